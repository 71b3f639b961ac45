/** The runtime, as a page uses it: an engine in a worker, and models in that. */
import type { Variant } from "../core/probe";
import type { ImageOptions } from "../image/options";
import type { ImageSource } from "../image/source";
import type { DType, TensorData } from "../model/dtypes";
import { chooseVariant, type EngineInfo, type MemoryStats } from "../model/runtime";
import type { Source } from "../model/source";
import { type NestedNumbers, Tensor, tensor } from "../model/tensor";
import { Connection } from "./connection";
import { imageTensor } from "./image";
import { Model } from "./model";
import { Queue } from "./queue";

export interface InitOptions {
  /** False runs the scalar engine. True by default. */
  simd?: boolean;
  /** Threads of the engine; 1 starts no workers. By default the engine decides. */
  threads?: number;
  /** Abandons the start. */
  signal?: AbortSignal;
  /**
   * Where the engine is: a URL for each of its variants, or a folder that holds them under their
   * names (`relaxed.wasm`, `simd.wasm`, `scalar.wasm`). By default they lie beside this script.
   */
  engine?: string | URL | Partial<Record<Variant, string | URL>>;
}

export interface LoadModelOptions {
  /** Told the bytes that have arrived and, once known, those of the whole file. */
  onProgress?: (progress: { loaded: number; total: number | undefined }) => void;
  signal?: AbortSignal;
}

/** The page's own address, against which addresses are resolved; Node has none. */
function absolute(address: string): string {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  return base === undefined ? address : new URL(address, base).href;
}

function engineAddress(engine: NonNullable<InitOptions["engine"]>, variant: Variant): string {
  if (typeof engine === "object" && !(engine instanceof URL)) {
    const address = engine[variant];
    if (address === undefined) throw new TypeError(`no address of ${variant}.wasm was given`);
    return absolute(String(address));
  }
  const folder = String(engine);
  return absolute(`${folder}${folder.endsWith("/") ? "" : "/"}${variant}.wasm`);
}

function checkThreads(threads: number | undefined): void {
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new TypeError(`threads must be a positive integer, not ${threads}`);
  }
}

/** Starts an engine in a worker of its own. `beside` is where it lies by default. */
export async function start(
  options: InitOptions,
  beside: NonNullable<InitOptions["engine"]>,
): Promise<Runtime> {
  const { simd = true, threads, signal, engine = beside } = options;
  checkThreads(threads);
  signal?.throwIfAborted();
  const variant = chooseVariant(simd);
  const connection = new Connection();
  const stop = () => connection.close("the start was abandoned");
  signal?.addEventListener("abort", stop);
  try {
    const content = { engine: engineAddress(engine, variant), variant, threads };
    const info = await connection.request("start", content);
    return new Runtime(connection, info);
  } catch (error) {
    connection.close("the engine did not start");
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

export class Runtime {
  readonly #queue = new Queue();

  /** @internal Runtimes come from `WASMTorch.init`. */
  constructor(
    private readonly connection: Connection,
    private readonly engine: EngineInfo,
  ) {}

  /** The engine's binary: "relaxed" (fused multiply-add), "simd" or "scalar". */
  get variant(): Variant {
    return this.engine.variant;
  }

  /** Threads that take part in each operation. */
  get threads(): number {
    return this.engine.threads;
  }

  /** Why there is one thread only, as a sentence; undefined where there may be more. */
  get singleThreadedBecause(): string | undefined {
    return this.engine.singleThreadedBecause;
  }

  /**
   * Loads a model: from an address, relative to the page, or from what holds its bytes. After that
   * nothing is fetched any more.
   *
   * @throws ModelError of the class that names the cause (FetchError, NotWasm, NotOurs, Truncated,
   * Damaged, NewerFormat, MissingKernel, OutOfMemory), or the signal's reason.
   */
  async loadModel(source: Source, { onProgress, signal }: LoadModelOptions = {}): Promise<Model> {
    signal?.throwIfAborted();
    let abort: (() => void) | undefined;
    try {
      const { model, manifest } = await this.connection.request(
        "load",
        { source: await portable(source), progress: onProgress !== undefined },
        {
          progress: onProgress && ((loaded, total) => onProgress({ loaded, total })),
          sent: (request) => {
            abort = () => void this.connection.request("abort", { request });
            signal?.addEventListener("abort", abort);
          },
        },
      );
      const loaded = new Model(this.connection, this.#queue, model, manifest);
      if (signal?.aborted) await loaded.dispose(); // the last byte came before the abort did
      signal?.throwIfAborted();
      return loaded;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      if (abort !== undefined) signal?.removeEventListener("abort", abort);
    }
  }

  /** A tensor of typed or plain data; see `tensor`. */
  tensor(data: TensorData | NestedNumbers, shape?: readonly number[], dtype?: DType): Tensor {
    return tensor(data, shape, dtype);
  }

  /**
   * A float32 tensor [1, 3, H, W] of a picture, as torchvision prepares it for classification:
   * resized (bilinear, as PIL does it on 8 bits), its centre cropped, normalised.
   *
   * Decoding and resizing happen in the runtime's worker. Files are turned as their EXIF says,
   * colour profiles are not applied, and alpha is dropped. A video or a canvas is taken as it is
   * now. In Node only `{ data, width, height }` with RGBA bytes is a picture.
   *
   * @throws ImageError where there is no picture, or an option is wrong.
   */
  imageTensor(source: ImageSource, options: ImageOptions = {}): Promise<Tensor> {
    return imageTensor(this.connection, source, options);
  }

  /** Bytes of the engine's memory. */
  getMemoryStats(): Promise<MemoryStats> {
    return this.connection.request("stats", undefined);
  }

  /** Counts `peakBytes` from now on. */
  resetPeak(): Promise<void> {
    return this.connection.request("resetPeak", undefined);
  }

  /**
   * Gives memory back to the system, which WebAssembly does only with a new engine: that is made
   * once no model is loaded. Resolves to whether it was.
   */
  trim(): Promise<boolean> {
    return this.#queue.run(() => this.connection.request("trim", undefined));
  }

  /** Ends the engine, its threads and its models. */
  dispose(): void {
    this.connection.close("the runtime has been disposed of");
  }
}

/** A source that can go to the worker: an address from the root, or a blob. */
async function portable(source: Source): Promise<string | Blob> {
  if (typeof source === "string" || source instanceof URL) return absolute(String(source));
  if (source instanceof Blob) return source;
  if (source instanceof Response) return source.blob();
  if (source instanceof Request) return (await fetch(source)).blob();
  if (ArrayBuffer.isView(source)) return new Blob([source as ArrayBufferView<ArrayBuffer>]);
  return new Blob([source]);
}
