/** The red box: what went wrong while loading or in the program, and what to do about it. */

import { byId } from "./dom";
import type { Stage } from "./protocol";

const LOADING: Record<Stage, { title: string; remedy: string }> = {
  site: {
    title: "The page is incomplete",
    remedy: "“make demo” builds the site and serves it. Is the server still running?",
  },
  python: {
    title: "Python did not start, or has stopped",
    remedy: "The program in the editor is as you left it. Try again; that starts a new Python.",
  },
  data: {
    title: "The digits could not be downloaded",
    remedy: "“make site” puts the four MNIST files into the site's folder data/.",
  },
  wheel: {
    title: "wasm-torch could not be installed",
    remedy: "“make site” builds the wheel and puts it into the site's folder wheels/.",
  },
  threads: {
    title: "The engine did not start",
    remedy: "It needs a browser with WebAssembly SIMD: Chromium from 91, Firefox from 89.",
  },
};

const box = byId("failure");

export function hideFailure(): void {
  box.hidden = true;
}

/** ``text`` is what was reported, word for word; ``retry`` offers to try again. */
export function showFailure(title: string, remedy: string, text: string, retry: boolean): void {
  byId("failure-title").textContent = title;
  byId("failure-remedy").textContent = remedy;
  byId("failure-text").textContent = text;
  byId("retry").hidden = !retry;
  box.hidden = false;
}

export function showLoadingFailure(stage: Stage, reason: string): void {
  const { title, remedy } = LOADING[stage];
  showFailure(title, remedy, reason, true);
}

/** Python itself has ended, by the program's doing or in a crash. */
export function showPythonEnded(reason: string): void {
  const remedy =
    "The program ended it, as os._exit does, or it crashed. The program in the editor is as you " +
    "left it. Try again; that starts a new Python.";
  showFailure("Python has ended", remedy, reason, true);
}

/** An exception of the editor's program: its type and first line, and the traceback below. */
export function showProgramError(heading: string, traceback: string, line: number | null): void {
  const where = line === null ? "" : `Line ${line} is marked in the editor. `;
  showFailure(
    heading,
    `${where}Change the program and press Train again.`,
    traceback.trimEnd(),
    false,
  );
}
