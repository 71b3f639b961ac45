/** The runtime's worker: a synchronous runtime that answers requests, in the order they come. */
import { nodeBuiltin } from "../core/environment";
import { preprocess } from "../image/preprocess";
import { read } from "../image/read";
import type { TensorData } from "../model/dtypes";
import { describeError, Disposed, FetchError } from "../model/errors";
import type { Program } from "../model/program";
import { SyncRuntime } from "../model/runtime";
import { allBytes } from "../model/source";
import type { Calls, Kind, ReplyMessage, RequestMessage } from "./protocol";
import { RemoteWorkers, type WorkerEnded } from "./workers";

/** The least time between two reports of a load's progress: a frame of a page. */
const PROGRESS_MILLISECONDS = 16;

let runtime: SyncRuntime;
const programs = new Map<number, Program>();
const loads = new Map<number, AbortController>();
const pool = new RemoteWorkers((order) => reply({ order }));
let models = 0;

async function compile(engine: string | WebAssembly.Module): Promise<WebAssembly.Module> {
  if (engine instanceof WebAssembly.Module) return engine;
  // Gathered rather than streamed to the compiler: servers often do not say application/wasm.
  const bytes = await allBytes(engine);
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new FetchError(`${engine} is not the engine of wasm-torch: ${error}`);
  }
}

function find(model: number): Program {
  const program = programs.get(model);
  if (program === undefined) throw new Disposed("the model has been disposed of");
  return program;
}

/** Tells the page of a load's progress, once in a while and at the end. */
function reportsOf(id: number): (loaded: number, total: number | undefined) => void {
  let next = 0;
  return (loaded, total) => {
    const now = performance.now();
    if (now < next && loaded !== total) return;
    next = now + PROGRESS_MILLISECONDS;
    reply({ id, progress: { loaded, total } });
  };
}

type Handlers = {
  [K in Kind]: (content: Calls[K][0], id: number) => Calls[K][1] | Promise<Calls[K][1]>;
};

const handlers: Handlers = {
  async start({ engine, variant, threads }) {
    runtime = new SyncRuntime(await compile(engine), variant, threads, pool.spawn);
    return runtime.info();
  },
  async load({ source, progress }, id) {
    const controller = new AbortController();
    loads.set(id, controller);
    try {
      const program = await runtime.load(source, {
        signal: controller.signal,
        onProgress: progress ? reportsOf(id) : undefined,
      });
      const model = ++models;
      programs.set(model, program);
      return { model, manifest: program.manifest };
    } finally {
      loads.delete(id);
    }
  },
  abort({ request }) {
    loads.get(request)?.abort();
  },
  call: ({ model, method, inputs, sizes }) => find(model).call(method, inputs, sizes),
  image: async ({ picture, plan }) => [preprocess(await read(picture), plan)],
  resetState: ({ model }) => find(model).resetState(),
  dispose({ model }) {
    const program = programs.get(model);
    if (program !== undefined) runtime.dispose(program);
    programs.delete(model);
  },
  stats: () => runtime.memoryStats(),
  resetPeak: () => runtime.resetPeak(),
  trim: () => runtime.trim(),
};

/** The buffers that a reply hands over instead of copying them. */
function owned(result: unknown): ArrayBuffer[] {
  if (!Array.isArray(result)) return [];
  return result.map((data: TensorData) => data.buffer as ArrayBuffer);
}

type PageMessage = RequestMessage | WorkerEnded;

function hear(message: PageMessage): void {
  if ("ended" in message) pool.hear(message);
  else void answer(message);
}

async function answer({ id, kind, content }: RequestMessage): Promise<void> {
  try {
    const result = await (handlers[kind] as (content: unknown, id: number) => unknown)(content, id);
    reply({ id, result }, owned(result));
  } catch (error) {
    reply({ id, error: describeError(error) });
  }
}

interface Port {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  on(event: "message", listener: (message: PageMessage) => void): void;
}

const node = nodeBuiltin<{ parentPort: Port | null }>("worker_threads")?.parentPort;

function reply(message: ReplyMessage, transfer: ArrayBuffer[] = []): void {
  (node ?? (self as unknown as Port)).postMessage(message, transfer);
}

if (node) node.on("message", hear);
else self.onmessage = ({ data }: MessageEvent<PageMessage>) => hear(data);
