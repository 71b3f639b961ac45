/** The image classification page: a picture or the webcam in, the five likeliest names out. */

import { CameraError, startCamera, stopCamera } from "./camera";
import { Classifier } from "./classifier";
import { byId, integer } from "./dom";
import { hideFailure, showFailure } from "./failure";
import { whyNotIsolated } from "./isolation";
import { acceptFiles, offerSamples, type Sample } from "./picture-input";
import { Ranking } from "./ranking";
import { followTheme } from "./theme";

type State = "loading" | "ready" | "busy" | "live" | "failed";

const preview = byId<HTMLImageElement>("preview");
const video = byId<HTMLVideoElement>("video");
const empty = byId("empty");
const cameraButton = byId<HTMLButtonElement>("camera");
const ranking = new Ranking();

let classifier: Classifier | null = null;
let state: State = "loading";
/** Counts what was asked for; an answer to anything but the last is not shown. */
let asked = 0;

function enter(next: State): void {
  state = next;
  document.body.dataset.state = next;
  const usable = classifier !== null;
  byId("loading").hidden = usable || next === "failed";
  byId<HTMLButtonElement>("choose").disabled = !usable;
  cameraButton.disabled = !usable;
  for (const button of byId("samples").querySelectorAll("button")) button.disabled = !usable;
  const live = next === "live";
  cameraButton.setAttribute("aria-pressed", `${live}`);
  cameraButton.textContent = live ? "Stop the webcam" : "Use the webcam";
  if (!live) byId("rate").textContent = "";
}

async function load(): Promise<void> {
  hideFailure();
  enter("loading");
  byId("status").textContent = "Starting the engine…";
  try {
    if (typeof WASMTorch === "undefined") {
      throw new Error("wasm-torch/wasm-torch.min.js could not be loaded");
    }
    classifier = await Classifier.load((part) => {
      byId("status").textContent = "Downloading the network…";
      byId<HTMLProgressElement>("progress").value = part;
    });
  } catch (error) {
    enter("failed");
    const remedy = "“make site” exports it into the site's folder models/. Is the server running?";
    showFailure("The network could not be loaded", remedy, (error as Error).message, true);
    return;
  }
  const { threads, variant } = classifier.runtime;
  byId("threads").textContent = integer.format(threads);
  byId("versions").textContent = `MobileNetV2 on wasm-torch's engine “${variant}”`;
  ranking.clear("Give it a picture.");
  enter("ready");
}

/** Ends what goes on, shows a picture, and names what is in it. */
async function classify(picture: Blob, description: string): Promise<void> {
  if (classifier === null) return;
  const number = begin("busy");
  ranking.clear("Looking…");
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(picture);
  preview.alt = description;
  show(preview);
  try {
    const answer = await classifier.classify(picture);
    if (number !== asked) return;
    ranking.show(answer);
    enter("ready");
  } catch (error) {
    if (number !== asked) return;
    show(null);
    ranking.clear("Nothing yet.");
    enter("ready");
    const [title, remedy] =
      (error as Error).name === "ImageError"
        ? ["This is no picture", "Choose a file that this browser can show: JPEG, PNG, WebP, GIF."]
        : ["The network failed", "Try again, or reload the page."];
    showFailure(title!, remedy!, (error as Error).message, false);
  }
}

/** Ends the webcam and earlier failures; the number is that of what begins now. */
function begin(next: State): number {
  hideFailure();
  stopCamera(video);
  asked += 1;
  enter(next);
  return asked;
}

function show(element: HTMLElement | null): void {
  for (const each of [preview, video, empty]) each.hidden = true;
  (element ?? empty).hidden = false;
}

async function toggleCamera(): Promise<void> {
  if (state === "live") {
    begin("ready");
    show(null);
    ranking.clear("Give it a picture.");
    return;
  }
  const number = begin("live");
  ranking.clear("Waiting for the webcam…");
  try {
    await startCamera(video, () => number === asked && void toggleCamera());
    if (number !== asked) return;
    show(video);
    await watch(number);
  } catch (error) {
    if (number !== asked) return;
    begin("ready");
    show(null);
    ranking.clear("Nothing yet.");
    const { title, remedy, message } =
      error instanceof CameraError
        ? error
        : { title: "The webcam has stopped", remedy: "Start it again.", message: `${error}` };
    showFailure(title, remedy, message, false);
  }
}

/** Names what the webcam sees, picture after picture, until something else is asked for. */
async function watch(number: number): Promise<void> {
  const times: number[] = [];
  while (number === asked) {
    const answer = await classifier!.classify(video);
    if (number !== asked) return;
    ranking.show(answer);
    times.push(performance.now());
    if (times.length > 20) times.shift();
    const seconds = (times.at(-1)! - times[0]!) / 1000;
    if (seconds > 0) {
      byId("rate").textContent = `${((times.length - 1) / seconds).toFixed(0)} pictures a second`;
    }
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}

async function takeSample({ title, address }: Sample): Promise<void> {
  try {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`${address}: HTTP status ${response.status}`);
    await classify(await response.blob(), `Example: ${title}`);
  } catch (error) {
    const remedy = "“make site” puts the examples into the site's folder samples/.";
    showFailure("The example could not be downloaded", remedy, (error as Error).message, false);
  }
}

async function describeSite(): Promise<void> {
  const reason = await whyNotIsolated();
  byId("isolation-text").textContent = reason;
  byId("isolation").hidden = reason === null;
  const site: { version: string; samples: Sample[] } = await (await fetch("site.json")).json();
  offerSamples(site.samples, (sample) => void takeSample(sample));
  enter(state);
}

acceptFiles(
  (file) =>
    void classify(file, file instanceof File ? `Your picture, ${file.name}` : "Your picture"),
  (what) =>
    showFailure(
      "This is no picture",
      "Choose a file instead.",
      `What was ${what} holds no file.`,
      false,
    ),
);
cameraButton.addEventListener("click", () => void toggleCamera());
byId("retry").addEventListener("click", () => void load());
followTheme(() => {});
void load();
// A site without site.json still classifies; only the examples are missing.
describeSite().catch(() => {});
