/**
 * A model in an engine's memory, called synchronously: the weights lie there, and each call runs the
 * model's code on blocks for its inputs, outputs and intermediates, which are given back after it.
 */
import type { Engine } from "../core/engine";
import { checkModule, ModelCode, type Wrap } from "./code";
import { DTYPES, type TensorData } from "./dtypes";
import {
  Damaged,
  Disposed,
  ExecutionError,
  ModelInputError,
  OutOfMemory,
  Unsupported,
} from "./errors";
import { type ModelSink, ModelReader, type Prefix } from "./format";
import {
  bytesOf,
  infoAt,
  type Manifest,
  memoryBytes,
  type MethodInfo,
  MOST_BYTES,
} from "./manifest";
import { type Launch, Profiler } from "./profile";
import { evaluate, type Sizes, UNLIMITED } from "./sizes";
import { unpackWeights } from "./unpack";

/** wt_status of abi.h. */
const STATUS: Readonly<Record<number, string>> = {
  1: "the engine's memory does not suffice",
  2: "an index is out of range",
  3: "the kernel does not take this dtype",
  4: "an argument is not valid",
  5: "a matrix is singular",
  6: "an iteration did not converge",
  7: "the engine trapped",
  8: "the engine lacks the kernel",
  9: "division by zero",
};
const OUT_OF_MEMORY = 1;

/** Blocks of the engine's memory that are given back together. */
class Blocks {
  readonly #held: number[] = [];

  constructor(private readonly engine: Engine) {}

  /** The address of a new block. Throws OutOfMemory where there is no room. */
  allocate(bytes: number, what: string): number {
    const e = this.engine.exports;
    const address = bytes > MOST_BYTES ? 0 : e.wt_allocate(Math.max(bytes, 1)) >>> 0;
    if (address === 0) {
      const [used, limit] = [e.wt_memory_stat(0), e.wt_memory_stat(3)].map(megabytes);
      throw new OutOfMemory(
        `the engine's memory has no room for ${what} (${megabytes(bytes)}): ${used} of at most ` +
          `${limit} are in use. Dispose of other models, or use a smaller input`,
      );
    }
    this.#held.push(address);
    return address;
  }

  release(): void {
    for (const address of this.#held.splice(0)) this.engine.exports.wt_release(address);
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Writes bytes into the engine's memory. */
function write(engine: Engine, address: number, data: ArrayBufferView): void {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  engine.views.reaching(address + bytes.length).bytes.set(bytes, address);
}

/** A copy of bytes of the engine's memory, in memory that is not shared. */
function read(engine: Engine, address: number, bytes: number): ArrayBuffer {
  const copy = new Uint8Array(bytes);
  copy.set(engine.views.reaching(address + bytes).bytes.subarray(address, address + bytes));
  return copy.buffer;
}

/** A model on this thread. */
export class Program {
  readonly #code: ModelCode;
  readonly #initial = new Map<number, Uint8Array>();
  #disposed = false;

  constructor(
    private readonly engine: Engine,
    readonly manifest: Manifest,
    private readonly module: WebAssembly.Module,
    private readonly blocks: Blocks,
    private readonly weights: number,
  ) {
    this.#code = this.#instantiate();
    const status = this.#code.prepare() & 255;
    if (status === OUT_OF_MEMORY) {
      throw new OutOfMemory("the engine's memory has no room to pack the weights");
    }
    if (status !== 0) throw new Damaged(`the weights could not be packed: ${STATUS[status]}`);
    for (const { states } of Object.values(manifest.methods)) {
      for (const { weight } of states) this.#initial.set(weight, this.#state(weight));
    }
  }

  #instantiate(wrap?: Wrap): ModelCode {
    const { engine, manifest, module, weights } = this;
    const constants = weights + manifest.constants.offset;
    return new ModelCode(engine, module, weights, constants, !manifest.threads, wrap);
  }

  /** Bytes of the weights and constants in the engine's memory. */
  get weightBytes(): number {
    return memoryBytes(this.manifest);
  }

  #stateAddress(weight: number): number {
    return this.weights + this.manifest.weights.tensors[weight]!.offset;
  }

  #state(weight: number): Uint8Array {
    const { bytes } = this.manifest.weights.tensors[weight]!;
    return new Uint8Array(read(this.engine, this.#stateAddress(weight), bytes));
  }

  /** Gives every buffer that calls change the value that it has in the file. */
  resetState(): void {
    this.#alive();
    for (const [weight, data] of this.#initial)
      write(this.engine, this.#stateAddress(weight), data);
  }

  /**
   * Runs a method on dense inputs, one for each of its inputs and of its dtype and size, at the
   * sizes of its symbols (which `bindInputs` sees to); returns the outputs in order.
   *
   * @throws OutOfMemory, ExecutionError: the model and the engine go on working.
   */
  call(name: string, inputs: readonly TensorData[], sizes: Sizes = new Map()): TensorData[] {
    return this.#call(this.#code, name, inputs, sizes);
  }

  /**
   * As `call`, with a clock around each kernel: returns the kernel calls in their order in place of
   * the outputs. States change as they do in a call.
   */
  profile(
    name: string,
    inputs: readonly TensorData[],
    sizes: Sizes = new Map(),
  ): readonly Launch[] {
    const profiler = new Profiler(this.engine, (wrap) => this.#instantiate(wrap));
    this.#call(profiler, name, inputs, sizes);
    return profiler.launches;
  }

  #call(
    code: Pick<ModelCode, "run">,
    name: string,
    inputs: readonly TensorData[],
    sizes: Sizes,
  ): TensorData[] {
    this.#alive();
    const method = this.manifest.methods[name]!;
    const unknown = method.symbols.find((symbol) => !sizes.has(symbol.name));
    if (unknown !== undefined) throw new ModelInputError(`the size "${unknown.name}" is missing`);
    const inputInfos = method.inputs.map((info) => infoAt(info, sizes));
    const outputInfos = method.outputs.map((info) => infoAt(info, sizes));
    const arenaBytes = evaluate(method.arena_bytes, sizes);
    const total = [...inputInfos, ...outputInfos].reduce((sum, i) => sum + bytesOf(i), arenaBytes);
    if (total > MOST_BYTES || evaluate(method.largest ?? 0, sizes) > UNLIMITED) {
      throw new OutOfMemory(
        `a call of these sizes takes ${megabytes(total)}, more than WebAssembly can address: use ` +
          "smaller inputs",
      );
    }
    const blocks = new Blocks(this.engine);
    try {
      const words: number[] = [];
      inputInfos.forEach((info, i) => {
        words.push(blocks.allocate(bytesOf(info), `the input ${info.name}`));
        write(this.engine, words[i]!, inputs[i]!);
      });
      const outputs = outputInfos.map((info) =>
        blocks.allocate(bytesOf(info), `the output ${info.name}`),
      );
      const states = method.states.map(({ weight }) => this.#stateAddress(weight));
      const arena = blocks.allocate(arenaBytes, "intermediate results");
      const chosen = method.symbols.map((symbol) => sizes.get(symbol.name)!);
      const table = Uint32Array.from([...words, ...outputs, ...states, ...chosen]);
      const call = blocks.allocate(table.byteLength, "the call");
      write(this.engine, call, table);
      this.#check(code.run(name, call, arena), name, method);
      return outputInfos.map((info, i) => {
        const { array } = DTYPES[info.dtype];
        return new array(read(this.engine, outputs[i]!, bytesOf(info)));
      });
    } finally {
      blocks.release();
    }
  }

  #check(result: number, name: string, method: MethodInfo): void {
    const status = result & 255;
    if (status === 0) return;
    const node = method.nodes[result >>> 8];
    const where = node === undefined ? name : `${name}: ${node.op} at ${node.source || "the top"}`;
    const why = STATUS[status] ?? `status ${status}`;
    const text = `${where}: ${why}`;
    if (status === OUT_OF_MEMORY) {
      throw new OutOfMemory(`${text}. Dispose of other models, or use a smaller input`);
    }
    throw new ExecutionError(text);
  }

  #alive(): void {
    if (this.#disposed) throw new Disposed("the model has been disposed of");
  }

  /** Gives the model's memory back; it cannot be called any more. */
  dispose(): void {
    this.#disposed = true;
    this.blocks.release();
  }
}

/**
 * Loads a model in pieces: `push` what arrives, then `finish`. The weights are written to the
 * engine's memory as they come. Whatever is thrown, `abandon` gives back what was taken.
 */
export class ProgramLoader implements ModelSink {
  readonly reader = new ModelReader(this);
  readonly #blocks: Blocks;
  #module: WebAssembly.Module | undefined;
  #weights = 0;
  /** Where the file's payload goes: the end of the weights' memory, which may be larger. */
  #payload = 0;
  #checksum = 0;

  constructor(private readonly engine: Engine) {
    this.#blocks = new Blocks(engine);
  }

  push(bytes: Uint8Array): void {
    this.reader.push(bytes);
  }

  prefix({ bytes, manifest, weightsBytes }: Prefix): void {
    try {
      this.#module = new WebAssembly.Module(bytes);
    } catch (error) {
      throw new Damaged(`the model's code is not valid WebAssembly: ${error}`);
    }
    if (!manifest.simd && this.engine.variant !== "scalar") {
      throw new Unsupported(
        "the model was exported with use_simd=False, for the scalar engine: start the runtime " +
          "with init({ simd: false })",
      );
    }
    checkModule(this.#module, Object.keys(manifest.methods), this.engine);
    const memory = memoryBytes(manifest);
    this.#weights = this.#blocks.allocate(memory, "the weights");
    this.#payload = this.#weights + memory - weightsBytes;
  }

  weights(bytes: Uint8Array, offset: number): void {
    const address = this.#payload + offset;
    write(this.engine, address, bytes);
    const { wt_crc32 } = this.engine.exports;
    this.#checksum = wt_crc32(address | 0, bytes.length, this.#checksum);
  }

  /** The model, ready to be called. */
  finish(): Program {
    const { manifest } = this.reader.finish();
    const checksum = `crc32:${(this.#checksum >>> 0).toString(16).padStart(8, "0")}`;
    if (checksum !== manifest.weights.checksum) {
      throw new Damaged("the weights of the model file are damaged: download it again");
    }
    unpackWeights(this.engine, manifest, this.#weights);
    return new Program(this.engine, manifest, this.#module!, this.#blocks, this.#weights);
  }

  abandon(): void {
    this.#blocks.release();
  }
}
