/**
 * The host in Pyodide. The built script is one expression; `wasm_torch._host.pyodide` evaluates it
 * and calls `start`, in a worker, in Node or on a page's main thread.
 */
import { addToTable, bestVariant, Engine, portFunctions, type Variant } from "../core";
import { checkModule, ModelCode } from "../model/code";
import { Damaged } from "../model/errors";

/** What the host uses of `pyodide._module`. */
interface PyodideModule {
  readonly wasmTable: WebAssembly.Table;
  readonly HEAPU8: Uint8Array;
}

export interface PyodideHost {
  readonly engine: Engine;
  /** Indexes in Pyodide's function table, in the order of `_C`'s struct Port. */
  readonly connection: readonly number[];
}

/** Which of the engine's binaries runs here; null where none does. */
export { bestVariant };

/** Compiles the engine and adds its port to Pyodide's function table, synchronously. */
export function start(pyodide: PyodideModule, bytes: BufferSource, variant: Variant): PyodideHost {
  const engine = new Engine(new WebAssembly.Module(bytes), variant);
  const port = portFunctions(engine, () => pyodide.HEAPU8);
  return { engine, connection: addToTable(pyodide.wasmTable, port) };
}

/**
 * A model's code on the engine, for addresses in its memory that Python took.
 *
 * @throws Damaged, MissingKernel: their names tell Python which of its own to raise.
 */
export function modelCode(
  engine: Engine,
  prefix: BufferSource,
  methods: readonly string[],
  serial: boolean,
): (weights: number, constants: number) => ModelCode {
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(prefix);
  } catch (error) {
    throw new Damaged(`the model's code is not valid WebAssembly: ${error}`);
  }
  checkModule(module, methods, engine);
  return (weights, constants) => new ModelCode(engine, module, weights, constants, serial);
}
