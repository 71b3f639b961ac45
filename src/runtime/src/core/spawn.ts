/** Starts workers from source text: those of the web, or Node's. */
import { hasWebWorkers, nodeBuiltin } from "./environment";

export interface SpawnedWorker {
  postMessage(message: unknown): void;
  terminate(): unknown;
}

interface NodeWorker extends SpawnedWorker {
  on(event: "error" | "exit", listener: (detail: unknown) => void): void;
  unref(): void;
}

interface WorkerThreads {
  Worker: new (source: string, options: object) => NodeWorker;
}

let blobUrl: string | undefined;

/**
 * Starts a worker. `ended` is called at least once, with the cause, when it cannot start, fails or
 * ends; the worker may still have to be terminated then.
 *
 * @throws what the platform throws where it forbids such workers, a content security policy say.
 */
export function spawn(source: string, name: string, ended: (cause: string) => void): SpawnedWorker {
  if (hasWebWorkers()) {
    // The URL stays: some browsers fetch the script after the constructor has returned.
    blobUrl ??= URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const worker = new Worker(blobUrl, { name });
    worker.onerror = (event) => {
      event.preventDefault();
      ended(event.message || "its script did not load");
    };
    worker.onmessageerror = () => ended("it could not read its message");
    return worker;
  }
  const threads = nodeBuiltin<WorkerThreads>("worker_threads");
  if (threads === undefined) throw new Error("workers are not available here");
  const worker = new threads.Worker(source, { eval: true, name, execArgv: [] });
  worker.on("error", (error) => ended(String(error)));
  worker.on("exit", () => ended("it ended"));
  worker.unref(); // a waiting worker does not keep the process alive
  return worker;
}
