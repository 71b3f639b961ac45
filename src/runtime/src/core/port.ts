/**
 * The port as functions of a foreign module's table: `_C` in Pyodide calls the engine through them.
 *
 * A trap that unwound through Python's own frames would end the session, so what works on memory
 * that the caller names goes through a JavaScript frame which catches it. That costs 15 ns a call;
 * functions that cannot trap are the engine's own exports.
 */
import type { Engine } from "./engine";
import { type Signature, typedFunctions } from "./table";

const OUT_OF_MEMORY = 0; // the address that says so

/** Copies of up to this many words are cheaper in a loop than through two subarrays. */
const LOOP_WORDS = 256;

/** The foreign memory's byte view, which is another object after that memory grew. */
export type ForeignBytes = () => Uint8Array;

interface Copies {
  copyIn(engineAddress: number, source: number, bytes: number): void;
  copyOut(destination: number, engineAddress: number, bytes: number): void;
}

function copies(engine: Engine, foreignBytes: ForeignBytes): Copies {
  let foreign = foreignBytes();
  let foreignWords = new Int32Array(foreign.buffer);

  const refresh = () => {
    const now = foreignBytes();
    if (now !== foreign) {
      foreign = now;
      foreignWords = new Int32Array(foreign.buffer);
    }
  };
  const copy = (
    to: Uint8Array,
    toWords: Int32Array,
    target: number,
    from: Uint8Array,
    fromWords: Int32Array,
    source: number,
    bytes: number,
  ) => {
    if (((target | source | bytes) & 3) === 0 && bytes <= LOOP_WORDS * 4) {
      const end = (source + bytes) >>> 2;
      for (let i = source >>> 2, j = target >>> 2; i < end; ) toWords[j++] = fromWords[i++]!;
    } else {
      to.set(from.subarray(source, source + bytes), target);
    }
  };
  return {
    copyIn(engineAddress, source, bytes) {
      refresh();
      const target = engineAddress >>> 0;
      const end = target + (bytes >>> 0);
      const to = engine.views.bytes(end);
      copy(to, engine.views.words(end), target, foreign, foreignWords, source >>> 0, bytes >>> 0);
    },
    copyOut(destination, engineAddress, bytes) {
      refresh();
      const source = engineAddress >>> 0;
      const end = source + (bytes >>> 0);
      const from = engine.views.bytes(end);
      const words = engine.views.words(end);
      copy(foreign, foreignWords, destination >>> 0, from, words, source, bytes >>> 0);
    },
  };
}

/** The fourteen functions in the order of `struct Port` in src/wasm_torch/_C/tensor.h. */
export function portFunctions(engine: Engine, foreignBytes: ForeignBytes): CallableFunction[] {
  const e = engine.exports;
  const { copyIn, copyOut } = copies(engine, foreignBytes);
  const report = (call: string, error: unknown) =>
    console.error(`wasm-torch: ${call} failed: ${error}`);

  const guarded: Record<string, { signature: Signature; call: (...args: never[]) => unknown }> = {
    submit: {
      signature: "iiiiiiiiiiiiiiiiii",
      // Spelled out: rest parameters cost 5 ns more.
      // biome-ignore format: one line reads best
      call: (kernel: number, a: number, b: number, c: number, d: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number, o: number, p: number, q: number) => {
        try {
          return e.wt_submit(kernel, a, b, c, d, f, g, h, i, j, k, l, m, n, o, p, q);
        } catch {
          return engine.recover();
        }
      },
    },
    run: {
      signature: "iii",
      call: (kernel: number, args: number) => {
        try {
          return e.wt_run(kernel, args);
        } catch {
          return engine.recover();
        }
      },
    },
    loadScalar: {
      signature: "fii",
      call: (address: number, dtype: number) => {
        try {
          return e.wt_load_scalar(address, dtype);
        } catch (error) {
          engine.recover();
          report("reading an element", error);
          return Number.NaN;
        }
      },
    },
    allocate: {
      signature: "ii",
      call: (bytes: number) => {
        try {
          return e.wt_allocate(bytes);
        } catch (error) {
          engine.recover();
          report("an allocation", error);
          return OUT_OF_MEMORY;
        }
      },
    },
    release: {
      signature: "vi",
      call: (address: number) => {
        try {
          e.wt_release(address);
        } catch (error) {
          engine.recover();
          report("releasing memory", error);
        }
      },
    },
    setNumThreads: {
      signature: "ii",
      call: (count: number) => engine.setNumThreads(count),
    },
    copyIn: {
      signature: "viii",
      call: (address: number, source: number, bytes: number) => {
        try {
          copyIn(address, source, bytes);
        } catch (error) {
          report("copying to the engine", error);
        }
      },
    },
    copyOut: {
      signature: "viii",
      call: (destination: number, address: number, bytes: number) => {
        try {
          copyOut(destination, address, bytes);
        } catch (error) {
          report("copying from the engine", error);
        }
      },
    },
  };
  const names = Object.keys(guarded);
  const typed = typedFunctions(Object.values(guarded));
  const entry = (name: string) => typed[names.indexOf(name)]!;
  return [
    entry("submit"),
    entry("run"),
    entry("loadScalar"),
    entry("allocate"),
    entry("release"),
    e.wt_argument_slot,
    e.wt_error_detail,
    e.wt_memory_stat,
    e.wt_reset_peak_memory,
    e.wt_empty_cache,
    entry("setNumThreads"),
    e.wt_get_num_threads,
    entry("copyIn"),
    entry("copyOut"),
  ];
}
