/** The module worker that runs Python: loads Pyodide, the wheel and the data, then serves. */

import pageModule from "./page.py";
import { PrintBatches } from "./print-batches";
import type { Reply, Request, Site, Stage } from "./protocol";

/** The part of Pyodide used here. */
interface Pyodide {
  version: string;
  loadPackage(urls: string[], options: { messageCallback: () => void }): Promise<unknown>;
  pyimport(name: string): any;
  runPython(code: string): unknown;
  setStdout(options: { write: (bytes: Uint8Array) => number }): void;
  setStderr(options: { write: (bytes: Uint8Array) => number }): void;
  FS: { writeFile(path: string, text: string): void };
}

const TRAINING_IMAGES = 60_000;
const TEST_IMAGES = 10_000;
const PIXELS = 28 * 28;
/** Bytes of the idx files' headers. */
const IMAGE_HEADER = 16;
const LABEL_HEADER = 8;
/** Each idx file and its bytes when unpacked. */
const DATA = [
  ["train-images-idx3-ubyte", IMAGE_HEADER + TRAINING_IMAGES * PIXELS],
  ["train-labels-idx1-ubyte", LABEL_HEADER + TRAINING_IMAGES],
  ["t10k-images-idx3-ubyte", IMAGE_HEADER + TEST_IMAGES * PIXELS],
  ["t10k-labels-idx1-ubyte", LABEL_HEADER + TEST_IMAGES],
] as const;

let pyodide: Pyodide;
/** The functions of page.py that are called here, whatever a program assigns to their names. */
let page: Record<"run" | "stop" | "predict" | "usage", any>;
let testImages = new Uint8Array();
let testLabels = new Uint8Array();

const post = (reply: Reply) => self.postMessage(reply);
const printed = new PrintBatches((text, dropped) => post({ type: "output", text, dropped }));

/** What happened, in one line, with the step of loading it happened in. */
class LoadError extends Error {
  constructor(
    readonly stage: Stage,
    cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

async function step<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof LoadError ? error : new LoadError(stage, error);
  }
}

async function fetchFile(url: URL): Promise<Response> {
  const response = await fetch(url).catch((error: Error) => {
    throw new Error(`${url.pathname}: ${error.message}`, { cause: error });
  });
  if (!response.ok) throw new Error(`${url.pathname}: HTTP status ${response.status}`);
  return response;
}

/** Downloads the gzipped idx files and unpacks them; tells the fraction that has arrived. */
async function fetchData(base: URL, onFraction: (fraction: number) => void) {
  const responses = await Promise.all(
    DATA.map(([name]) => fetchFile(new URL(`data/${name}.gz`, base))),
  );
  const total = responses.reduce((sum, r) => sum + Number(r.headers.get("content-length")), 0);
  let received = 0;
  const counted = () =>
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        received += chunk.byteLength;
        onFraction(Math.min(1, received / Math.max(total, 1)));
        controller.enqueue(chunk);
      },
    });
  return Promise.all(
    responses.map(async (response, index) => {
      const [name, bytes] = DATA[index]!;
      const gunzip = new DecompressionStream("gzip");
      const unpacked = response
        .body!.pipeThrough(counted())
        .pipeThrough(gunzip as ReadableWritablePair<Uint8Array, Uint8Array>);
      const content = await new Response(unpacked as ReadableStream)
        .arrayBuffer()
        .catch((error) => {
          throw new Error(`data/${name}.gz is damaged or was cut short (${error.message})`);
        });
      if (content.byteLength !== bytes) {
        throw new Error(`data/${name}.gz holds ${content.byteLength} bytes, ${bytes} expected`);
      }
      return new Uint8Array(content);
    }),
  );
}

async function load(request: Extract<Request, { type: "load" }>): Promise<void> {
  const base = new URL(request.base);
  const done = { python: 0, data: 0 };
  const tell = (stage: Stage) =>
    post({ type: "loading", stage, fraction: 0.6 * done.python + 0.4 * done.data });

  const site: Site = await step("site", async () =>
    (await fetchFile(new URL("site.json", base))).json(),
  );
  tell("python");
  const data = step("data", () =>
    fetchData(base, (fraction) => {
      done.data = fraction;
      tell(done.python < 0.6 ? "python" : "data");
    }),
  );
  // Its failure is seen when it is awaited below; until then it is not unhandled.
  data.catch(() => {});

  pyodide = await step("python", async () => {
    const index = new URL(site.pyodide, base);
    const { loadPyodide } = await import(new URL("pyodide.mjs", index).href);
    return loadPyodide({ indexURL: index.href });
  });
  pyodide.setStdout(printed.stream());
  pyodide.setStderr(printed.stream());
  done.python = 0.6;
  tell("wheel");
  await step("wheel", async () => {
    const tools = site.tools.map((path) => new URL(path, base).href);
    await pyodide.loadPackage(tools, { messageCallback: () => {} });
    await pyodide.pyimport("micropip").install(new URL(site.wheel, base).href);
    pyodide.FS.writeFile("page.py", pageModule);
    pyodide.runPython("import wasm_torch");
  });
  done.python = 0.9;
  tell("data");
  const files = await data;
  testImages = files[2]!.subarray(IMAGE_HEADER);
  testLabels = files[3]!.subarray(LABEL_HEADER);

  tell("threads");
  await step("threads", async () => {
    const { load, run, stop, predict, usage } = pyodide.pyimport("page");
    page = { run, stop, predict, usage };
    load(forward, ...files, request.trainingImages);
    await pyodide.pyimport("wasm_torch").threads_ready();
  });
  done.python = 1;
  tell("threads");
  const usage = page.usage();
  const [threads, memoryBytes] = usage.toJs();
  usage.destroy();
  post({ type: "ready", python: pyodide.version, engine: site.version, threads, memoryBytes });
}

/** Called by page.py: its name for a message and the values, as the page expects them. */
function forward(kind: string, ...v: any[]): void {
  switch (kind) {
    case "progress": {
      const [seen, total, loss, accuracy, seconds, threads, memoryBytes, canPredict] = v;
      const progress = { seen, total, loss, accuracy, seconds, threads, memoryBytes };
      return post({ type: "progress", progress, canPredict });
    }
    case "tested":
      return post({ type: "tested", accuracy: v[0] });
    case "finished":
      printed.flush();
      return post({ type: "finished", outcome: v[0], canPredict: v[1] });
    case "error": {
      printed.flush();
      const [heading, traceback, line, canPredict] = v;
      return post({ type: "error", heading, traceback, line: line || null, canPredict });
    }
  }
}

/** Whether Python has exited or crashed: every use of it throws then. */
function hasEnded(): boolean {
  try {
    return pyodide !== undefined && !pyodide.runPython;
  } catch {
    return true;
  }
}

/** An exception that came out of Python; tells the page where it is Python's end. */
function tellEnd(error: unknown): boolean {
  if (!hasEnded()) return false;
  printed.flush();
  post({ type: "ended", reason: error instanceof Error ? error.message : String(error) });
  return true;
}

async function run(source: string): Promise<void> {
  try {
    await page.run(source);
  } catch (error) {
    if (tellEnd(error)) return;
    const traceback = String((error as Error).message).trimEnd();
    const heading = traceback.slice(traceback.lastIndexOf("\n") + 1);
    forward("error", heading, traceback, 0, false);
  }
}

function predict(id: number, pixels: Uint8Array): void {
  try {
    const result = page.predict(pixels);
    if (typeof result === "string") {
      post({ type: "predictionFailed", id, reason: result });
    } else {
      const probabilities: number[] = result.toJs();
      result.destroy();
      post({ type: "prediction", id, probabilities });
    }
  } catch (error) {
    if (tellEnd(error)) return;
    post({ type: "predictionFailed", id, reason: String((error as Error).message) });
  }
}

self.onmessage = async ({ data }: MessageEvent<Request>) => {
  switch (data.type) {
    case "load":
      try {
        await load(data);
      } catch (error) {
        const { stage, message } = error as LoadError;
        post({ type: "failed", stage: stage ?? "python", reason: message });
      }
      break;
    case "run":
      await run(data.source);
      break;
    case "stop":
      page.stop();
      break;
    case "predict":
      predict(data.id, data.pixels);
      break;
    case "sample": {
      const index = Math.floor(Math.random() * TEST_IMAGES);
      const pixels = testImages.slice(index * PIXELS, (index + 1) * PIXELS);
      post({ type: "sample", id: data.id, pixels, label: testLabels[index]! });
      break;
    }
  }
};

// A program that ends Python in one of its turns has no caller here that could hear of it.
self.addEventListener("error", (event) => tellEnd(event.error) && event.preventDefault());
self.addEventListener("unhandledrejection", (event) => {
  if (tellEnd(event.reason)) event.preventDefault();
});
