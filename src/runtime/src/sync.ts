/**
 * `import { SyncRuntime } from "wasm-torch/sync"`: the runtime on the calling thread, for workers
 * and servers that have one of their own. Calls return their results at once.
 */
export { type BoundInputs, bindInputs, nestOutputs } from "./model/bind";
export type { Launch } from "./model/profile";
export type { Program } from "./model/program";
export { chooseVariant, type EngineInfo, type LoadOptions, SyncRuntime } from "./model/runtime";
export * from "./api/exports";
