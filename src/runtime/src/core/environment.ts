/** Where the runtime finds itself, a browser or Node, and what it may use there. */

interface NodeProcess {
  versions?: { node?: string };
  getBuiltinModule?(name: string): unknown;
}

/** One of Node's own modules, without an import statement; undefined elsewhere. */
export function nodeBuiltin<T>(name: string): T | undefined {
  const process = (globalThis as { process?: NodeProcess }).process;
  if (process?.versions?.node === undefined) return undefined;
  return process.getBuiltinModule?.(name) as T | undefined;
}

/** Whether workers are those of the web rather than Node's worker_threads. */
export function hasWebWorkers(): boolean {
  return typeof Worker === "function";
}

/** The number of threads this machine runs at once; at least 1. */
export function hardwareConcurrency(): number {
  const os = nodeBuiltin<{ availableParallelism?(): number }>("os");
  const count = os?.availableParallelism?.() ?? globalThis.navigator?.hardwareConcurrency ?? 1;
  return Math.max(1, Math.floor(count));
}

/** Why no worker can share the engine's memory here, as a sentence; undefined where one can. */
export function whyNoWorkers(): string | undefined {
  if (hasWebWorkers()) {
    if (globalThis.crossOriginIsolated === true || typeof SharedArrayBuffer === "function") {
      return undefined;
    }
    return (
      "this page is not cross-origin isolated. Its server must send the headers " +
      "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp"
    );
  }
  if (nodeBuiltin("worker_threads") !== undefined) return undefined;
  return "workers are not available here";
}
