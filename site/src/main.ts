/** The page: loads the worker, shows what it reports, and sends it what the user does. */

import { byId, duration, integer, megabytes, percent } from "./dom";
import { createPad, showPixels } from "./draw";
import { createEditor } from "./editor";
import { showFailure, hideFailure } from "./failure";
import { whyNotIsolated } from "./isolation";
import { Plot } from "./plot";
import type { Progress, Reply, Request, Stage } from "./protocol";
import { startPulse } from "./pulse";
import { setUpTabs } from "./tabs";
import { setUpTheme } from "./theme";
import program from "./train.py";

type State = "loading" | "ready" | "running" | "stopping" | "failed";

const ALL_IMAGES = 60_000;
/** `?images=2000` trains on the first 2,000. */
const trainingImages = Math.min(
  ALL_IMAGES,
  Math.max(64, Number(new URLSearchParams(location.search).get("images")) || ALL_IMAGES),
);

const STAGES: Record<Stage, string> = {
  site: "Looking up what to load…",
  python: "Starting Python…",
  data: "Fetching MNIST…",
  wheel: "Installing wasm-shim-torch…",
  threads: "Starting threads…",
};

const status = byId("status");
const progressBar = byId<HTMLProgressElement>("progress");
const trainButton = byId<HTMLButtonElement>("train");
const stopButton = byId<HTMLButtonElement>("stop");
const resetButton = byId<HTMLButtonElement>("reset");
const sampleButton = byId<HTMLButtonElement>("sample");

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const send = (request: Request) => worker.postMessage(request);

let state: State = "loading";
let canPredict = false;
let testAccuracy: number | null = null;

const lossPlot = new Plot(byId("loss-plot"), {
  title: "Loss",
  yLabel: "cross entropy",
  top: (largest) => Math.max(0.5, Math.min(3, Math.ceil(largest * 2) / 2)),
  format: (value) => value.toFixed(2),
});
const accuracyPlot = new Plot(byId("accuracy-plot"), {
  title: "Accuracy",
  yLabel: "of the batch",
  top: () => 1,
  format: (value) => percent(value, 0),
});

const editor = createEditor(byId("editor"), program, train, () => {
  resetButton.disabled = !editor.edited;
});

function setState(next: State): void {
  state = next;
  document.body.dataset.state = next;
  trainButton.disabled = next !== "ready";
  stopButton.disabled = next !== "running";
  byId("busy").textContent = next === "running" || next === "stopping" ? "training" : "idle";
}

function train(): void {
  if (state !== "ready") return;
  hideFailure();
  editor.mark(null);
  byId("output").textContent = "";
  byId("output-box").hidden = true;
  testAccuracy = null;
  for (const plot of [lossPlot, accuracyPlot]) plot.clear(trainingImages);
  progressBar.value = 0;
  status.textContent = "Training…";
  setState("running");
  send({ type: "run", source: editor.text });
}

function stop(): void {
  if (state !== "running") return;
  setState("stopping");
  status.textContent = "Stopping…";
  send({ type: "stop" });
}

function showProgress(progress: Progress): void {
  const { seen, total, loss, accuracy, seconds, threads, memoryBytes } = progress;
  progressBar.value = seen / total;
  if (state === "running") {
    status.textContent = `${integer.format(seen)} of ${integer.format(total)} images`;
  }
  lossPlot.add(seen, loss, total);
  accuracyPlot.add(seen, accuracy, total);
  if (seconds > 0) byId("throughput").textContent = integer.format(Math.round(seen / seconds));
  byId("time").textContent = duration(seconds);
  showUsage(threads, memoryBytes);
}

function showUsage(threads: number, memoryBytes: number): void {
  byId("threads").textContent = `${threads}`;
  byId("memory").textContent = megabytes(memoryBytes);
}

function finish(outcome: string, predicts: boolean): void {
  canPredict = predicts;
  setState("ready");
  status.textContent =
    outcome === "stopped"
      ? "Stopped."
      : testAccuracy === null
        ? "Done."
        : `Done: ${percent(testAccuracy)} of the test images are read correctly.`;
  byId("answer").textContent = canPredict ? "Draw a digit." : "Train first, then draw.";
  predictDrawing();
}

// ---- drawing -----------------------------------------------------------------------------------
const seen = byId<HTMLCanvasElement>("seen");
const bars = Array.from({ length: 10 }, (_, digit) => {
  const item = document.createElement("li");
  item.innerHTML = `<span class="digit">${digit}</span><span class="bar"><i></i></span><output></output>`;
  byId("bars").append(item);
  return item;
});
/** The last picture asked about; answers to earlier ones are dropped. */
let question = 0;
let waiting = false;
let current: Uint8Array | null = null;

const pad = createPad(byId<HTMLCanvasElement>("pad"), () => {
  current = pad.pixels();
  showPixels(seen, current);
  predictDrawing();
});

/** Asks about the current picture, one question at a time. */
function predictDrawing(): void {
  question += 1;
  if (!current) return showProbabilities(null);
  if (!canPredict || waiting || state === "running" || state === "stopping") return;
  waiting = true;
  send({ type: "predict", id: question, pixels: current });
}

function showProbabilities(probabilities: number[] | null): void {
  const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
  bars.forEach((item, digit) => {
    const value = probabilities?.[digit] ?? 0;
    item.classList.toggle("best", digit === best);
    item.querySelector("i")!.style.width = `${100 * value}%`;
    item.querySelector("output")!.textContent = probabilities ? percent(value) : "";
  });
  if (probabilities) {
    byId("answer").textContent = `A ${best}, ${percent(probabilities[best]!, 0)} sure.`;
  } else {
    byId("answer").textContent = canPredict ? "Draw a digit." : "Train first, then draw.";
  }
}

function answered(id: number, show: () => void): void {
  waiting = false;
  if (id === question) show();
  else predictDrawing();
}

// ---- the worker's messages ---------------------------------------------------------------------
worker.onmessage = ({ data }: MessageEvent<Reply>) => {
  switch (data.type) {
    case "loading":
      progressBar.value = data.fraction;
      status.textContent = STAGES[data.stage];
      break;
    case "ready":
      setState("ready");
      progressBar.value = 0;
      status.textContent = "Ready.";
      sampleButton.disabled = false;
      showUsage(data.threads, data.memoryBytes);
      byId("versions").textContent = `wasm-torch ${data.engine}, Pyodide ${data.python}`;
      break;
    case "failed":
      setState("failed");
      status.textContent = "This page could not be loaded.";
      showFailure(STAGES[data.stage], data.reason, true);
      break;
    case "progress":
      showProgress(data.progress);
      break;
    case "tested":
      testAccuracy = data.accuracy;
      accuracyPlot.mark(data.accuracy, `test ${percent(data.accuracy)}`);
      break;
    case "output":
      byId("output-box").hidden = false;
      byId("output").textContent += `${data.text}\n`;
      break;
    case "finished":
      progressBar.value = data.outcome === "trained" ? 1 : progressBar.value;
      finish(data.outcome, data.canPredict);
      break;
    case "error":
      canPredict = data.canPredict;
      setState("ready");
      status.textContent = data.line ? `Stopped by an error in line ${data.line}.` : "Stopped by an error.";
      editor.mark(data.line);
      showFailure("Your program", data.traceback, false);
      break;
    case "prediction":
      answered(data.id, () => showProbabilities(data.probabilities));
      break;
    case "predictionFailed":
      answered(data.id, () => showFailure("predict(image)", data.traceback, false));
      break;
    case "sample":
      current = data.pixels;
      showPixels(seen, current);
      predictDrawing();
      break;
  }
};
worker.onerror = (event) => {
  setState("failed");
  status.textContent = "This page could not be loaded.";
  showFailure(STAGES.python, event.message || "The worker script did not load.", true);
};

// ---- the page's own controls ---------------------------------------------------------------------
trainButton.addEventListener("click", train);
stopButton.addEventListener("click", stop);
resetButton.addEventListener("click", () => editor.reset());
byId("reload").addEventListener("click", () => location.reload());
byId("clear").addEventListener("click", () => pad.clear());
sampleButton.addEventListener("click", () => send({ type: "sample", id: question }));
byId("image-count").textContent = integer.format(trainingImages);

setUpTheme(byId<HTMLButtonElement>("theme"));
setUpTabs();
startPulse();
showProbabilities(null);

async function start(): Promise<void> {
  const reason = await whyNotIsolated();
  if (reason) {
    byId("isolation-text").textContent = reason;
    byId("isolation").hidden = false;
  }
  const notebook = byId<HTMLAnchorElement>("notebook-link");
  const found = await fetch(notebook.href, { method: "HEAD" }).catch(() => null);
  notebook.hidden = !found?.ok;
}

send({ type: "load", base: new URL(".", location.href).href, trainingImages });
void start();
