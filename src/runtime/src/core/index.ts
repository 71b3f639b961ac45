/** The synchronous core: an engine, its memory and its threads, on any thread that may compile. */
export { Engine } from "./engine";
export { hardwareConcurrency, whyNoWorkers } from "./environment";
export type { EngineExports } from "./exports";
export { portFunctions } from "./port";
export { bestVariant, type Variant } from "./probe";
export { addToTable, typedFunctions } from "./table";
