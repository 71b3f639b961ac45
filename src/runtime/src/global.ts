/** The script for a plain tag: a global `WASMTorch` with `init` and the public classes. */
import { type InitOptions, type Runtime, start } from "./api/runtime";

export * from "./api/exports";

/** Where this script lies, which only its first run can tell. */
const script = globalThis.document?.currentScript as HTMLScriptElement | null | undefined;
const BESIDE = new URL("./", script?.src || globalThis.location.href);

/** Starts an engine in a worker; see the ES module's `init`. */
export function init(options: InitOptions = {}): Promise<Runtime> {
  return start(options, BESIDE);
}
