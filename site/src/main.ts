/** The demo page: an editor, a worker that runs its program, plots, and a pad to draw on. */

import { Answer } from "./answer";
import { byId, integer, percent } from "./dom";
import { Pad } from "./draw";
import { createEditor } from "./editor";
import { hideFailure, showLoadingFailure, showProgramError, showPythonEnded } from "./failure";
import { whyNotIsolated } from "./isolation";
import { Measurements } from "./measurements";
import { Printed } from "./printed";
import type { Reply, Site, Stage } from "./protocol";
import { startPulse } from "./pulse";
import { Session } from "./session";
import { remember, remembered } from "./storage";
import { setUpTabs } from "./tabs";
import { followTheme } from "./theme";
import trainModule from "./train.py";

const ALL_IMAGES = 60_000;
/** A program that has not heard Stop after this many milliseconds may be ended by force. */
const STOP_PATIENCE = 2_000;
/** Milliseconds between two predictions of the same drawing while the network learns. */
const PREDICT_AGAIN = 500;

const STAGES: Record<Stage, string> = {
  site: "Loading…",
  python: "Starting Python…",
  data: "Downloading the digits…",
  wheel: "Installing wasm-torch…",
  threads: "Starting the engine…",
};

type State = "loading" | "ready" | "running" | "failed";

/** ``?images=2000`` in the address trains on fewer images. */
function imagesWanted(): number {
  const asked = Number.parseInt(new URLSearchParams(location.search).get("images") ?? "", 10);
  return Number.isNaN(asked) ? ALL_IMAGES : Math.min(ALL_IMAGES, Math.max(64, asked));
}

const trainingImages = imagesWanted();
const trainButton = byId<HTMLButtonElement>("train");
const stopButton = byId<HTMLButtonElement>("stop");
const progressBar = byId<HTMLProgressElement>("progress");
const measurements = new Measurements();
const answer = new Answer();
const printed = new Printed();
const pad = new Pad(() => askForPrediction());
const session = new Session(trainingImages, receive);
const editor = createEditor(byId("editor"), trainModule, remembered("program"), train, () => {
  remember("program", editor.edited ? editor.text : null);
  byId<HTMLButtonElement>("reset").disabled = !editor.edited;
});

let state: State = "loading";
let stopTimer = 0;
let testAccuracy: number | null = null;
/** Whether the program has a network that can be asked. */
let canPredict = false;
/** The prediction and the test image that are on their way; null when none is. */
let predicting: number | null = null;
let predictAgain = false;
let predictedAt = 0;
let sampling: number | null = null;

function enter(next: State, status: string): void {
  state = next;
  document.body.dataset.state = next;
  trainButton.disabled = next !== "ready";
  stopButton.disabled = next !== "running";
  byId<HTMLButtonElement>("sample").disabled = next !== "ready" && next !== "running";
  byId("busy").textContent = next === "running" ? "training" : "idle";
  clearTimeout(stopTimer);
  stopButton.textContent = "Stop";
  setStatus(status);
}

function setStatus(text: string): void {
  const status = byId("status");
  if (status.textContent !== text) status.textContent = text;
}

function load(): void {
  hideFailure();
  canPredict = false;
  predicting = sampling = null;
  progressBar.value = 0;
  enter("loading", STAGES.site);
  answer.say("Train first; then draw.");
  session.start();
}

function train(): void {
  if (state !== "ready") return;
  hideFailure();
  editor.mark(null);
  measurements.clear();
  testAccuracy = null;
  canPredict = false;
  progressBar.value = 0;
  printed.clear();
  askForPrediction();
  enter("running", "Training…");
  session.run(editor.text);
}

/** First asks the program to stop; a second press ends a Python that did not listen. */
function stop(): void {
  if (stopButton.textContent === "End Python") {
    load();
    setStatus("Restarting Python…");
    return;
  }
  setStatus("Stopping…");
  stopButton.disabled = true;
  session.stop();
  stopTimer = window.setTimeout(() => {
    stopButton.disabled = false;
    stopButton.textContent = "End Python";
    setStatus("The program does not listen. It stops where it calls page.report, or with Python.");
  }, STOP_PATIENCE);
}

function receive(reply: Reply): void {
  switch (reply.type) {
    case "loading":
      progressBar.value = reply.fraction;
      return setStatus(STAGES[reply.stage]);
    case "ready":
      progressBar.value = 0;
      byId("versions").textContent = `wasm-torch ${reply.engine} on Pyodide ${reply.python}`;
      measurements.usage(reply.threads, reply.memoryBytes);
      return enter("ready", "Ready.");
    case "failed":
      enter("failed", "Not ready.");
      return showLoadingFailure(reply.stage, reply.reason);
    case "progress":
      measurements.add(reply.progress);
      progressBar.value = reply.progress.seen / reply.progress.total;
      canPredict = reply.canPredict;
      if (progressBar.value === 1) setStatus("All images seen; the program is finishing…");
      if (performance.now() - predictedAt > PREDICT_AGAIN) askForPrediction();
      return;
    case "tested":
      testAccuracy = reply.accuracy;
      return measurements.tested(reply.accuracy);
    case "output":
      return printed.add(reply.text, reply.dropped);
    case "finished":
      return finish(reply);
    case "error":
      canPredict = reply.canPredict;
      measurements.finish();
      printed.show();
      enter("ready", "The program raised an exception.");
      editor.mark(reply.line);
      askForPrediction();
      return showProgramError(reply.heading, reply.traceback, reply.line);
    case "ended":
      canPredict = false;
      predicting = sampling = null;
      measurements.finish();
      printed.show();
      enter("failed", "Python has ended.");
      answer.say("Train first; then draw.");
      return showPythonEnded(reply.reason);
    case "prediction":
    case "predictionFailed":
      return showPrediction(reply);
    case "sample":
      if (reply.id !== sampling) return;
      sampling = null;
      pad.show(reply.pixels, reply.label);
  }
}

function finish({ outcome, canPredict: able }: Extract<Reply, { type: "finished" }>): void {
  canPredict = able;
  measurements.finish();
  printed.show();
  if (outcome === "stopped") {
    enter("ready", "Stopped.");
  } else if (testAccuracy === null) {
    enter("ready", "The program has ended.");
  } else {
    enter("ready", `Trained: it reads ${percent(testAccuracy)} of the test images right.`);
  }
  askForPrediction();
}

/** Asks the network about the pad. One question is out at a time; the last one counts. */
function askForPrediction(): void {
  if (!pad.pixels || !canPredict) {
    answer.say(canPredict ? "Draw a digit." : "Train first; then draw.");
  } else if (predicting !== null) {
    predictAgain = true;
  } else {
    predictAgain = false;
    predictedAt = performance.now();
    predicting = session.predict(pad.pixels);
  }
}

function showPrediction(reply: Extract<Reply, { type: "prediction" | "predictionFailed" }>): void {
  if (reply.id !== predicting) return;
  predicting = null;
  if (predictAgain) return askForPrediction();
  if (!pad.pixels) return;
  if (reply.type === "prediction") return answer.tell(reply.probabilities, pad.label);
  answer.say(reply.reason);
}

async function describeSite(): Promise<void> {
  byId("image-count").textContent = integer.format(trainingImages);
  const reason = await whyNotIsolated();
  byId("isolation-text").textContent = reason;
  byId("isolation").hidden = reason === null;
  const site: Site = await (await fetch("site.json")).json();
  byId("notebook-link").hidden = !site.lite;
}

trainButton.addEventListener("click", train);
stopButton.addEventListener("click", stop);
byId("retry").addEventListener("click", load);
byId("reset").addEventListener("click", () => editor.reset());
byId("clear").addEventListener("click", () => pad.clear());
byId("sample").addEventListener("click", () => (sampling = session.sample()));
byId<HTMLButtonElement>("reset").disabled = !editor.edited;
followTheme(() => pad.draw());
setUpTabs(startPulse());
load();
// A site without site.json is reported by the worker.
describeSite().catch(() => {});
