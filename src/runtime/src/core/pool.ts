/** The workers of one engine: started on demand, counted out when they die. */
import type { EngineExports } from "./exports";
import { type Spawn, type SpawnedWorker, spawn } from "./spawn";
import type { WorkerStart } from "./worker";
import workerSource from "./worker.ts?bundled";

/** How long `ready` waits for workers that do not come. */
const START_SECONDS = 20;

export class WorkerPool {
  /** The living workers by their number in the engine. */
  readonly workers = new Map<number, SpawnedWorker>();

  constructor(
    private readonly engine: EngineExports,
    private readonly module: WebAssembly.Module,
    private readonly memory: WebAssembly.Memory,
    private readonly spawnWorker: Spawn = spawn,
  ) {}

  /** Starts workers until `count` are alive or starting. They join when they are up. */
  grow(count: number): void {
    while (this.workers.size < count) {
      const worker = this.engine.wt_worker_prepare();
      if (worker === 0) return;
      if (!this.#start(worker)) return;
    }
  }

  /** Resolves when all living workers serve jobs, or when they have had ample time to. */
  async ready(): Promise<void> {
    const deadline = performance.now() + START_SECONDS * 1000;
    while (this.engine.wt_workers_ready() < this.workers.size) {
      if (performance.now() > deadline) {
        const missing = this.workers.size - this.engine.wt_workers_ready();
        console.warn(`wasm-torch: ${missing} workers have not started; fewer threads run.`);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Ends all workers at once. */
  terminate(): void {
    for (const [worker, handle] of this.workers) {
      this.workers.delete(worker);
      handle.terminate();
      this.engine.wt_worker_lost(worker);
    }
  }

  #start(worker: number): boolean {
    try {
      const ended = (cause: string) => {
        if (this.workers.get(worker) === handle) this.#lose(worker, cause);
      };
      const handle = this.spawnWorker(workerSource, `wasm-torch ${worker}`, { ended });
      this.workers.set(worker, handle);
      const start: WorkerStart = {
        module: this.module,
        memory: this.memory,
        worker,
        stack: this.engine.wt_worker_stack(worker) >>> 0,
        tls: this.engine.wt_worker_tls(worker) >>> 0,
      };
      handle.postMessage(start);
      return true;
    } catch (error) {
      this.#lose(worker, String(error));
      return false;
    }
  }

  #lose(worker: number, cause: string): void {
    this.workers.get(worker)?.terminate();
    this.workers.delete(worker);
    this.engine.wt_worker_lost(worker);
    const threads = this.workers.size + 1;
    console.warn(
      `wasm-torch: worker ${worker} is lost (${cause}); ` +
        `${threads === 1 ? "one thread goes" : `${threads} threads go`} on.`,
    );
  }
}
