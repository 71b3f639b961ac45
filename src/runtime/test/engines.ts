/** Engines for the tests, from the binaries that `make wasm` leaves in build/engine. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bestVariant, Engine, portFunctions } from "../src/core";

/** The variant this Node runs, scalar included, from the built tests' folder. */
export function compile(variant = bestVariant()!): WebAssembly.Module {
  // This file is bundled into build/runtime/tests.
  const url = new URL(`../../engine/${variant}.wasm`, import.meta.url);
  return new WebAssembly.Module(readFileSync(fileURLToPath(url)));
}

export function startEngine(): Engine {
  return new Engine(compile(), bestVariant()!);
}

const NAMES = [
  ...["submit", "run", "allocate", "release", "argumentSlot", "errorDetail"],
  ...["memoryStat", "resetPeakMemory", "emptyCache", "setNumThreads", "getNumThreads"],
  ...["copyIn", "copyOut"],
] as const;

/** The port by name, over a foreign memory of `pages`. */
export function connect(engine: Engine, pages = 1) {
  const foreign = new WebAssembly.Memory({ initial: pages });
  const port = portFunctions(engine, foreignView(foreign));
  const named = Object.fromEntries(NAMES.map((name, i) => [name, port[i]]));
  return { foreign, port: named as Record<(typeof NAMES)[number], (...args: number[]) => number> };
}

/** One view that is replaced when the memory grows, as Emscripten's HEAPU8 is. */
function foreignView(memory: WebAssembly.Memory): () => Uint8Array {
  let view = new Uint8Array(memory.buffer);
  return () => {
    if (view.buffer !== memory.buffer) view = new Uint8Array(memory.buffer);
    return view;
  };
}

/** Numbers of abi.h that the tests use. */
export const UNARY_CONTIGUOUS = 2;
export const EXP = 9;
export const FLOAT32 = 6;
export const OUT_OF_MEMORY = 1;
export const TRAP = 7;

/** Words of a unary_contiguous call: size, op, dtype, out_dtype, out, self, count, p0, p1. */
export function expWords(out: number, self: number, count: number): number[] {
  const parameters = [0, 0, 0, 0, 0]; // alignment, then two doubles
  return [48, EXP, FLOAT32, FLOAT32, out, self, count, ...parameters, 0, 0, 0, 0];
}
