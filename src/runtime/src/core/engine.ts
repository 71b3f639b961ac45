/** An engine: its instance on this thread, its memory, its workers, and calls that survive traps. */
import { hardwareConcurrency, whyNoWorkers } from "./environment";
import { type EngineExports, instantiate, MAX_THREADS } from "./exports";
import { createMemory, MemoryViews } from "./memory";
import { WorkerPool } from "./pool";
import type { Variant } from "./probe";
import type { Spawn } from "./spawn";

/** Pages the memory starts with: room for the engine's data and stack, and small tensors. */
const INITIAL_PAGES = 64;
const PAGE_BYTES = 65536;

/** Whether this thread may wait: a page's main thread must spin instead. */
function mayBlock(memory: WebAssembly.Memory): boolean {
  const words = new Int32Array(memory.buffer);
  try {
    Atomics.wait(words, 0, ~Atomics.load(words, 0), 0); // another value: returns at once
    return true;
  } catch {
    return false;
  }
}

export class Engine {
  readonly exports: EngineExports;
  readonly views: MemoryViews;
  readonly pool: WorkerPool;
  /** Why jobs run on one thread, as a sentence; undefined where workers can. */
  readonly singleThreadedBecause: string | undefined;
  readonly #stackTop: number;

  /**
   * Instantiates a compiled engine and starts the workers of `threads` threads (by default, of as
   * many as the engine thinks best). Calls work at once, on this thread; workers join when this
   * thread's event loop has had a turn. `spawn` starts them in another way than from this thread.
   *
   * @throws RangeError where no memory can be reserved.
   */
  constructor(
    module: WebAssembly.Module,
    readonly variant: Variant,
    threads?: number,
    spawn?: Spawn,
  ) {
    const { memory, limit } = createMemory(INITIAL_PAGES);
    this.exports = instantiate(module, memory);
    this.views = new MemoryViews(memory);
    this.pool = new WorkerPool(this.exports, module, memory, spawn);
    this.#stackTop = this.exports.__stack_pointer.value;
    this.singleThreadedBecause = whyNoWorkers();
    const most = this.singleThreadedBecause === undefined ? hardwareConcurrency() : 1;
    this.exports.wt_engine_start(
      Math.min(most, MAX_THREADS),
      Number(mayBlock(memory)),
      limit / PAGE_BYTES,
    );
    if (this.singleThreadedBecause !== undefined) {
      console.warn(`wasm-torch runs on one thread: ${this.singleThreadedBecause}.`);
    }
    if (threads !== undefined) this.exports.wt_set_num_threads(threads);
    this.pool.grow(this.exports.wt_threads_wanted() - 1);
  }

  /**
   * Sets how many threads, this one included, take part in a job, and starts the workers that are
   * missing. Returns the number in force, lower while workers start.
   */
  setNumThreads(count: number): number {
    const inForce = this.exports.wt_set_num_threads(count);
    this.pool.grow(this.exports.wt_threads_wanted() - 1);
    return inForce;
  }

  /** Resolves to the number of threads when the workers that are starting have joined. */
  async threadsReady(): Promise<number> {
    await this.pool.ready();
    return this.exports.wt_get_num_threads();
  }

  /**
   * Makes the engine usable again after a call trapped on this thread; returns WT_TRAP. The port is
   * called from outside only, never from within the engine, so the stack was empty before.
   */
  recover(): number {
    this.exports.__stack_pointer.value = this.#stackTop;
    return this.exports.wt_recover();
  }
}
