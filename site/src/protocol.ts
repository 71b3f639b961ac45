/** The messages between the page and the worker that runs Python. */

/** What the build wrote into site.json: where things are. */
export interface Site {
  version: string;
  pyodide: string;
  pyodideVersion: string;
  wheel: string;
  tools: string[];
  lite: boolean;
}

/** The steps of loading, in order; a failure names the one it happened in. */
export type Stage = "site" | "python" | "data" | "wheel" | "threads";

export type Request =
  | { type: "load"; base: string; trainingImages: number }
  | { type: "run"; source: string }
  | { type: "stop" }
  | { type: "predict"; id: number; pixels: Uint8Array }
  | { type: "sample"; id: number };

export interface Progress {
  /** Images of all epochs shown to the network so far, and in all. */
  seen: number;
  total: number;
  /** Means over the steps since the last message. Accuracy is a fraction. */
  loss: number;
  accuracy: number;
  /** Since the first step, in seconds. */
  seconds: number;
  threads: number;
  memoryBytes: number;
}

export type Reply =
  | { type: "loading"; stage: Stage; fraction: number }
  | { type: "ready"; python: string; engine: string; threads: number; memoryBytes: number }
  | { type: "failed"; stage: Stage; reason: string }
  | { type: "progress"; progress: Progress; canPredict: boolean }
  | { type: "tested"; accuracy: number }
  /** Printed text, after `dropped` characters that were too many to send. */
  | { type: "output"; text: string; dropped: number }
  | { type: "finished"; outcome: "trained" | "stopped"; canPredict: boolean }
  | {
      type: "error";
      /** The exception's type and first line. */
      heading: string;
      traceback: string;
      line: number | null;
      canPredict: boolean;
    }
  /** Python cannot be used any more. */
  | { type: "ended"; reason: string }
  | { type: "prediction"; id: number; probabilities: number[] }
  | { type: "predictionFailed"; id: number; reason: string }
  | { type: "sample"; id: number; pixels: Uint8Array; label: number };
