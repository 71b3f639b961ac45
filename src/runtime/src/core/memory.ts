/** The engine's memory, and views of it that follow its growth. */

const PAGE_BYTES = 65536;
const GIBIBYTE_PAGES = 16384;

/** Maxima to ask for, in GiB: some systems do not grant the address space of the larger ones. */
const MAXIMA = [4, 2, 1, 0.5];

/**
 * Makes a shared memory of `initialPages` with the largest maximum that is granted.
 *
 * @throws RangeError where not even the smallest is.
 */
export function createMemory(initialPages: number): { memory: WebAssembly.Memory; limit: number } {
  let refusal: unknown;
  for (const maximum of MAXIMA.map((gibibytes) => gibibytes * GIBIBYTE_PAGES)) {
    try {
      const memory = new WebAssembly.Memory({ initial: initialPages, maximum, shared: true });
      return { memory, limit: maximum * PAGE_BYTES };
    } catch (error) {
      refusal = error;
    }
  }
  throw new RangeError(`no shared WebAssembly memory of 512 MiB could be reserved: ${refusal}`);
}

/** Views of all of a memory, bytes and words of 32 bits. */
interface Views {
  bytes: Uint8Array;
  words: Int32Array;
}

/**
 * Views of a shared memory. The engine grows it from any thread, and a view keeps the length that
 * it was made with: ask for the end that will be touched.
 */
export class MemoryViews {
  #views: Views;

  constructor(readonly memory: WebAssembly.Memory) {
    this.#views = this.#make();
  }

  /** Views that reach to address `end`, if the memory does. */
  reaching(end: number): Views {
    if (end > this.#views.bytes.length) this.#views = this.#make();
    return this.#views;
  }

  #make(): Views {
    const { buffer } = this.memory;
    return { bytes: new Uint8Array(buffer), words: new Int32Array(buffer) };
  }
}
