/** Pictures from the file dialog, the clipboard and dropped files; examples. */

import { byId } from "./dom";

/** Where the build put the examples; see tools/build_site.py. */
export interface Sample {
  title: string;
  address: string;
}

/** Calls ``onFile`` with whatever is given, a picture or not, and ``onNothing`` where none is. */
export function acceptFiles(onFile: (file: Blob) => void, onNothing: (what: string) => void): void {
  const input = byId<HTMLInputElement>("file");
  byId("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) onFile(file);
    input.value = ""; // the same file may be chosen again
  });
  const take = (data: DataTransfer | null, what: string) => {
    const files = [...(data?.files ?? [])];
    const file = files.find(({ type }) => type.startsWith("image/")) ?? files[0];
    if (file) onFile(file);
    else onNothing(what);
  };
  document.addEventListener("paste", (event) => take(event.clipboardData, "pasted"));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  const left = () => document.body.classList.remove("dropping");
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && left());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    left();
    take(event.dataTransfer, "dropped");
  });
}

/** A button with a small picture for each example. */
export function offerSamples(samples: Sample[], onChoose: (sample: Sample) => void): void {
  const buttons = samples.map((sample) => {
    const button = document.createElement("button");
    const image = new Image();
    image.src = sample.address;
    image.alt = "";
    button.type = "button";
    button.className = "sample";
    button.title = button.ariaLabel = `Example: ${sample.title}`;
    button.append(image);
    button.addEventListener("click", () => onChoose(sample));
    return button;
  });
  byId("samples").replaceChildren(...buttons);
}
