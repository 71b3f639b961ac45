/**
 * The pool's workers belong to the engine in the runtime's worker, but the page starts them: workers
 * started by workers are late, or never come, in some browsers. Here are both sides.
 */
import { type Listeners, type Spawn, type SpawnedWorker, spawn } from "../core/spawn";

/** What the runtime's worker has the page do with a worker of the pool. */
export type WorkerOrder =
  | { worker: number; start: { source: string; name: string } }
  | { worker: number; post: unknown }
  | { worker: number; terminate: true };

/** What the page says of one: see `Listeners.ended`. */
export interface WorkerEnded {
  worker: number;
  ended: string;
}

/** The page's side. */
export class PageWorkers {
  readonly #workers = new Map<number, SpawnedWorker>();

  constructor(private readonly report: (message: WorkerEnded) => void) {}

  obey(order: WorkerOrder): void {
    const { worker } = order;
    if ("start" in order) {
      const ended = (cause: string) => {
        if (this.#workers.has(worker)) this.report({ worker, ended: cause });
      };
      try {
        this.#workers.set(worker, spawn(order.start.source, order.start.name, { ended }));
      } catch (error) {
        this.report({ worker, ended: String(error) });
      }
    } else if ("post" in order) {
      this.#workers.get(worker)?.postMessage(order.post);
    } else {
      this.#workers.get(worker)?.terminate();
      this.#workers.delete(worker);
    }
  }

  /** Ends all of them. */
  terminate(): void {
    const workers = [...this.#workers.values()];
    this.#workers.clear();
    for (const worker of workers) worker.terminate();
  }
}

/** The side of the runtime's worker. */
export class RemoteWorkers {
  readonly #listeners = new Map<number, Listeners>();
  #started = 0;

  constructor(private readonly send: (order: WorkerOrder) => void) {}

  /** Starts a worker as `spawn` does, except that what cannot start is told to have ended. */
  readonly spawn: Spawn = (source, name, listeners) => {
    const worker = ++this.#started;
    this.#listeners.set(worker, listeners);
    this.send({ worker, start: { source, name } });
    return {
      postMessage: (message) => this.send({ worker, post: message }),
      terminate: () => {
        if (this.#listeners.delete(worker)) this.send({ worker, terminate: true });
      },
      keepAlive: () => undefined,
    };
  };

  hear({ worker, ended }: WorkerEnded): void {
    this.#listeners.get(worker)?.ended(ended);
  }
}
