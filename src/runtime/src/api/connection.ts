/** Requests to the runtime's worker and their answers. */
import { type SpawnedWorker, spawn } from "../core/spawn";
import { Disposed, errorFrom } from "../model/errors";
import type { Calls, Kind, ReplyMessage } from "./protocol";
import { PageWorkers } from "./workers";
import workerSource from "./worker.ts?bundled";

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
  progress?: (loaded: number, total: number | undefined) => void;
}

interface RequestOptions {
  /** Told the request's number before anything is answered. */
  sent?: (id: number) => void;
  progress?: Pending["progress"];
  /** Handed over to the worker instead of being copied. */
  transfer?: Transferable[];
}

export class Connection {
  readonly #worker: SpawnedWorker;
  readonly #pending = new Map<number, Pending>();
  /** The workers of the engine's pool. */
  readonly #pool = new PageWorkers((message) => this.#worker.postMessage(message));
  #requests = 0;
  #lost: string | undefined;

  constructor() {
    this.#worker = spawn(workerSource, "wasm-torch", {
      ended: (cause) => this.close(`the runtime's worker is lost (${cause})`),
      message: (reply) => this.#hear(reply as ReplyMessage),
    });
  }

  /** Sends a request. */
  request<K extends Kind>(
    kind: K,
    content: Calls[K][0],
    options: RequestOptions = {},
  ): Promise<Calls[K][1]> {
    if (this.#lost !== undefined) return Promise.reject(new Disposed(this.#lost));
    const id = ++this.#requests;
    return new Promise((resolve, reject) => {
      const settle = resolve as (result: unknown) => void;
      this.#pending.set(id, { resolve: settle, reject, progress: options.progress });
      this.#worker.keepAlive(true);
      try {
        this.#worker.postMessage({ id, kind, content }, options.transfer);
      } catch (error) {
        this.#take(id);
        reject(error as Error);
        return;
      }
      options.sent?.(id);
    });
  }

  /** Ends the worker; what waits for it, and all that follows, is refused with this reason. */
  close(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(new Disposed(reason));
    this.#pool.terminate();
    this.#worker.terminate();
  }

  #hear(reply: ReplyMessage): void {
    if ("order" in reply) {
      if (this.#lost === undefined) this.#pool.obey(reply.order);
    } else if ("progress" in reply) {
      this.#pending.get(reply.id)?.progress?.(reply.progress.loaded, reply.progress.total);
    } else if ("error" in reply) {
      this.#take(reply.id)?.reject(errorFrom(reply.error));
    } else {
      this.#take(reply.id)?.resolve(reply.result);
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#worker.keepAlive(false);
    return pending;
  }
}
