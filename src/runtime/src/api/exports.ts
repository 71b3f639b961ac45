/** The public names that every entry shares. */
export type { Variant } from "../core/probe";
export type { ImageOptions } from "../image/options";
export type { Pixels } from "../image/resize";
export type { ImageSource } from "../image/source";
export type { Input, InputNest, OutputNest } from "../model/bind";
export type { DType, TensorData } from "../model/dtypes";
export {
  Damaged,
  Disposed,
  ExecutionError,
  FetchError,
  ImageError,
  MissingKernel,
  ModelError,
  ModelInputError,
  NewerFormat,
  NotOurs,
  NotWasm,
  OutOfMemory,
  Truncated,
  Unsupported,
} from "../model/errors";
export type { Manifest, MethodInfo, TensorInfo } from "../model/manifest";
export type { MemoryStats } from "../model/runtime";
export type { Expression, Sizes, SymbolInfo } from "../model/sizes";
export type { Source } from "../model/source";
export { type NestedNumbers, Tensor, tensor } from "../model/tensor";
export { type CallOptions, Model, type ModelInput } from "./model";
export { type InitOptions, type LoadModelOptions, Runtime } from "./runtime";
