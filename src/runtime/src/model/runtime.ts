/**
 * The synchronous runtime: an engine on this thread with its models. A page uses it through the
 * proxy of `WASMTorch`, which runs it in a worker.
 */
import { Engine } from "../core/engine";
import { bestVariant, type Variant } from "../core/probe";
import type { Spawn } from "../core/spawn";
import { Unsupported } from "./errors";
import { Program, ProgramLoader } from "./program";
import { pieces, type Source } from "./source";

/** Bytes of the engine's memory. */
export interface MemoryStats {
  /** In use now, by models and calls. */
  heapUsed: number;
  /** The most that was in use so far. */
  peakBytes: number;
  /** Taken from the system; it does not shrink until `trim`. */
  reservedBytes: number;
  /** The most that there can be. */
  limitBytes: number;
  /** What the loaded models' weights take. */
  weightBytes: number;
}

/** What is known of an engine that runs. */
export interface EngineInfo {
  variant: Variant;
  threads: number;
  /** Why there is one thread only, as a sentence. */
  singleThreadedBecause: string | undefined;
}

/** Which engine to run for `simd`. Throws Unsupported where none runs here. */
export function chooseVariant(simd: boolean): Variant {
  const best = bestVariant();
  if (best === null) {
    throw new Unsupported(
      "wasm-torch needs WebAssembly with shared memory, which is not available here; a current " +
        "Chrome, Edge, Firefox or Safari has it",
    );
  }
  return simd ? best : "scalar";
}

export interface LoadOptions {
  /** Told the bytes that have arrived and, once known, those of the whole file. */
  onProgress?: (loaded: number, total: number | undefined) => void;
  signal?: AbortSignal;
}

export class SyncRuntime {
  #engine: Engine;
  readonly #programs = new Set<Program>();
  #loading = 0;

  /** `spawn` starts the engine's workers in another way than from this thread. */
  constructor(
    private readonly module: WebAssembly.Module,
    private readonly variant: Variant,
    private readonly threads?: number,
    private readonly spawn?: Spawn,
  ) {
    this.#engine = this.#start();
  }

  #start(): Engine {
    return new Engine(this.module, this.variant, this.threads, this.spawn);
  }

  /** Resolves when the workers that are starting have joined, or when they had time to. */
  async info(): Promise<EngineInfo> {
    const threads = await this.#engine.threadsReady();
    const { singleThreadedBecause } = this.#engine;
    return { variant: this.variant, threads, singleThreadedBecause };
  }

  /**
   * Loads a model file, writing its weights into the engine's memory as they arrive.
   *
   * @throws ModelError of the class that names the cause; nothing of the model stays.
   */
  async load(source: Source, { onProgress, signal }: LoadOptions = {}): Promise<Program> {
    const loader = new ProgramLoader(this.#engine);
    this.#loading++;
    try {
      for await (const piece of pieces(source, signal)) {
        loader.push(piece);
        onProgress?.(loader.reader.received, loader.reader.total);
      }
      const program = loader.finish();
      this.#programs.add(program);
      return program;
    } catch (error) {
      loader.abandon();
      throw error;
    } finally {
      this.#loading--;
    }
  }

  dispose(program: Program): void {
    if (this.#programs.delete(program)) program.dispose();
  }

  memoryStats(): MemoryStats {
    const stat = (which: number) => this.#engine.exports.wt_memory_stat(which);
    let weightBytes = 0;
    for (const program of this.#programs) weightBytes += program.weightBytes;
    return {
      heapUsed: stat(0),
      peakBytes: stat(1),
      reservedBytes: stat(2),
      limitBytes: stat(3),
      weightBytes,
    };
  }

  /** Counts `peakBytes` from now on. */
  resetPeak(): void {
    this.#engine.exports.wt_reset_peak_memory();
  }

  /**
   * Gives memory back. Without models the engine itself is made anew, since WebAssembly's memory
   * never shrinks; returns whether that was done.
   */
  trim(): boolean {
    this.#engine.exports.wt_empty_cache();
    if (this.#programs.size > 0 || this.#loading > 0) return false;
    this.#engine.pool.terminate();
    this.#engine = this.#start();
    return true;
  }

  /** Ends the workers and forgets the models. */
  close(): void {
    for (const program of this.#programs) program.dispose();
    this.#programs.clear();
    this.#engine.pool.terminate();
  }
}
