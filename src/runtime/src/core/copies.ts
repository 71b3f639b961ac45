/** Copies between the engine's memory and the memory of the module that called. */
import type { MemoryViews } from "./memory";

/** Copies of up to this many words are cheaper in a loop than through two subarrays. */
const LOOP_WORDS = 256;

/** The foreign memory's byte view, which is another object after that memory grew. */
export type ForeignBytes = () => Uint8Array;

/** One memory as bytes and as words. */
interface Side {
  bytes: Uint8Array;
  words: Int32Array;
}

function copy(to: Side, target: number, from: Side, source: number, bytes: number): void {
  if (((target | source | bytes) & 3) === 0 && bytes <= LOOP_WORDS * 4) {
    const { words } = to;
    const sourceWords = from.words;
    const end = (source + bytes) >>> 2;
    for (let i = source >>> 2, j = target >>> 2; i < end; ) words[j++] = sourceWords[i++]!;
  } else {
    to.bytes.set(from.bytes.subarray(source, source + bytes), target);
  }
}

export class Copies {
  #foreign: Side;

  constructor(
    private readonly engine: MemoryViews,
    private readonly foreignBytes: ForeignBytes,
  ) {
    const bytes = foreignBytes();
    this.#foreign = { bytes, words: new Int32Array(bytes.buffer) };
  }

  /** From the foreign memory to the engine's. */
  in(engineAddress: number, source: number, bytes: number): void {
    const target = engineAddress >>> 0;
    const engine = this.engine.reaching(target + (bytes >>> 0));
    copy(engine, target, this.#foreignNow(), source >>> 0, bytes >>> 0);
  }

  /** From the engine's memory to the foreign one. */
  out(destination: number, engineAddress: number, bytes: number): void {
    const source = engineAddress >>> 0;
    const engine = this.engine.reaching(source + (bytes >>> 0));
    copy(this.#foreignNow(), destination >>> 0, engine, source, bytes >>> 0);
  }

  #foreignNow(): Side {
    const bytes = this.foreignBytes();
    if (bytes !== this.#foreign.bytes) {
      this.#foreign = { bytes, words: new Int32Array(bytes.buffer) };
    }
    return this.#foreign;
  }
}
