/** The ES module: `import { WASMTorch } from "wasm-torch"`, in a bundler, a page or Node. */
import { type InitOptions, type Runtime, start } from "./api/runtime";

export * from "./api/exports";

/** The binaries beside this module; written so that bundlers find them and take them along. */
const BESIDE = {
  relaxed: new URL("./relaxed.wasm", import.meta.url),
  simd: new URL("./simd.wasm", import.meta.url),
  scalar: new URL("./scalar.wasm", import.meta.url),
};

/**
 * Starts an engine in a worker; resolves when its threads have joined.
 *
 * @throws Unsupported where this browser lacks what the engine needs, FetchError where the engine
 * cannot be fetched, or the signal's reason.
 */
export function init(options: InitOptions = {}): Promise<Runtime> {
  return start(options, BESIDE);
}

export const WASMTorch = { init };
export default WASMTorch;
