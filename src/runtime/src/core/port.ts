/**
 * The port as functions of a foreign module's table: `_C` in Pyodide calls the engine through them.
 *
 * A trap that unwound through Python's own frames would end the session. So kernels, and whatever
 * else works on memory that the caller names, run below a JavaScript frame that catches it. The frame
 * costs a small part of an eager call (`make bench-eager` shows the whole of one). The functions that
 * only touch the engine's own records are its exports, called directly.
 */
import { Copies, type ForeignBytes } from "./copies";
import type { Engine } from "./engine";
import { submitThrough } from "./submit";
import { typedFunctions } from "./table";

export type { ForeignBytes };

function report(call: string, error: unknown): void {
  console.error(`wasm-torch: ${call} failed: ${error}`);
}

/** The functions of the port that are JavaScript, as WebAssembly functions. */
function guardedFunctions(engine: Engine, copies: Copies) {
  const e = engine.exports;
  const run = (kernel: number, args: number) => {
    try {
      return e.wt_run(kernel, args);
    } catch {
      return engine.recover();
    }
  };
  const copyIn = (address: number, source: number, bytes: number) => {
    try {
      copies.in(address, source, bytes);
    } catch (error) {
      report("copying to the engine", error);
    }
  };
  const copyOut = (destination: number, address: number, bytes: number) => {
    try {
      copies.out(destination, address, bytes);
    } catch (error) {
      report("copying from the engine", error);
    }
  };
  return typedFunctions([
    { signature: "iii", call: run },
    { signature: "ii", call: (count: number) => engine.setNumThreads(count) },
    { signature: "viii", call: copyIn },
    { signature: "viii", call: copyOut },
  ]) as [CallableFunction, CallableFunction, CallableFunction, CallableFunction];
}

/** The thirteen functions in the order of `struct Port` in src/wasm_torch/_C/tensor.h. */
export function portFunctions(engine: Engine, foreignBytes: ForeignBytes): CallableFunction[] {
  const e = engine.exports;
  const copies = new Copies(engine.views, foreignBytes);
  const [run, setNumThreads, copyIn, copyOut] = guardedFunctions(engine, copies);
  return [
    submitThrough(run, engine.views.memory, e.wt_argument_slot()),
    run,
    e.wt_allocate,
    e.wt_release,
    e.wt_argument_slot,
    e.wt_error_detail,
    e.wt_memory_stat,
    e.wt_reset_peak_memory,
    e.wt_empty_cache,
    setNumThreads,
    e.wt_get_num_threads,
    copyIn,
    copyOut,
  ];
}
