/** Starts workers from source text: those of the web, or Node's. */
import { hasWebWorkers, nodeBuiltin } from "./environment";

export interface SpawnedWorker {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  terminate(): unknown;
  /** Whether the worker keeps a Node process alive; nothing elsewhere. */
  keepAlive(alive: boolean): void;
}

/** What a worker's parent hears of it. */
export interface Listeners {
  /** At least once, with the cause, when it cannot start, fails or ends; it may still have to be
   * terminated then. */
  ended(cause: string): void;
  message?(data: unknown): void;
}

interface NodeWorker {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  terminate(): unknown;
  on(event: "error" | "exit" | "message", listener: (detail: unknown) => void): void;
  ref(): void;
  unref(): void;
}

interface WorkerThreads {
  Worker: new (source: string, options: object) => NodeWorker;
}

/** Starts a worker from its source; see `spawn`. */
export type Spawn = (source: string, name: string, listeners: Listeners) => SpawnedWorker;

const blobUrls = new Map<string, string>();

/** The URL stays: some browsers fetch the script after the constructor has returned. */
function scriptUrl(source: string): string {
  let url = blobUrls.get(source);
  if (url === undefined) {
    url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    blobUrls.set(source, url);
  }
  return url;
}

/**
 * Starts a worker. In Node it does not keep the process alive until it is told to.
 *
 * @throws what the platform throws where it forbids such workers, a content security policy say.
 */
export function spawn(source: string, name: string, listeners: Listeners): SpawnedWorker {
  if (hasWebWorkers()) {
    const worker = new Worker(scriptUrl(source), { name });
    worker.onerror = (event) => {
      event.preventDefault();
      listeners.ended(event.message || "its script did not load");
    };
    worker.onmessageerror = () => listeners.ended("it could not read its message");
    worker.onmessage = ({ data }) => listeners.message?.(data);
    return Object.assign(worker, { keepAlive: () => undefined });
  }
  const threads = nodeBuiltin<WorkerThreads>("worker_threads");
  if (threads === undefined) throw new Error("workers are not available here");
  const worker = new threads.Worker(source, { eval: true, name, execArgv: [] });
  worker.on("error", (error) => listeners.ended(String(error)));
  worker.on("exit", () => listeners.ended("it ended"));
  if (listeners.message !== undefined) worker.on("message", listeners.message);
  worker.unref();
  return Object.assign(worker, {
    keepAlive: (alive: boolean) => (alive ? worker.ref() : worker.unref()),
  });
}
