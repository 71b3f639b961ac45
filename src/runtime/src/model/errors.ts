/**
 * What loading and running a model may throw. Each cause has its class, as in
 * `wasm_torch.compiler.errors`, and every message names the remedy.
 */

/** Any error of a model file or of a call. */
export class ModelError extends Error {
  override readonly name: string = "ModelError";
}

/** The bytes are no WebAssembly module. */
export class NotWasm extends ModelError {
  override readonly name = "NotWasm";
}

/** A WebAssembly module, but no model of this project. */
export class NotOurs extends ModelError {
  override readonly name = "NotOurs";
}

/** The file was written by a later version of this project. */
export class NewerFormat extends ModelError {
  override readonly name = "NewerFormat";
}

/** The file ends early. */
export class Truncated extends ModelError {
  override readonly name = "Truncated";
}

/** The bytes differ from those that were written. */
export class Damaged extends ModelError {
  override readonly name = "Damaged";
}

/** The engine at hand lacks a kernel which the model calls. */
export class MissingKernel extends ModelError {
  override readonly name = "MissingKernel";
}

/** The file could not be fetched. */
export class FetchError extends ModelError {
  override readonly name = "FetchError";
}

/** An input whose count, name, shape or dtype is not what the model takes. */
export class ModelInputError extends ModelError {
  override readonly name = "ModelInputError";
}

/** A picture that is none, or cannot be read, or options that do not fit. */
export class ImageError extends ModelError {
  override readonly name = "ImageError";
}

/** The engine's memory has no room for what was asked for; it goes on working. */
export class OutOfMemory extends ModelError {
  override readonly name = "OutOfMemory";
}

/** A kernel refused what it was given while the model ran; the runtime goes on working. */
export class ExecutionError extends ModelError {
  override readonly name = "ExecutionError";
}

/** The model or the runtime was disposed of, or the runtime's worker died. */
export class Disposed extends ModelError {
  override readonly name = "Disposed";
}

/** This browser or page lacks what the engine needs. */
export class Unsupported extends ModelError {
  override readonly name = "Unsupported";
}

const CLASSES = {
  ModelError,
  NotWasm,
  NotOurs,
  NewerFormat,
  Truncated,
  Damaged,
  MissingKernel,
  FetchError,
  ModelInputError,
  ImageError,
  OutOfMemory,
  ExecutionError,
  Disposed,
  Unsupported,
};

/** An error as a message between threads. */
export interface ErrorMessage {
  name: string;
  message: string;
}

export function describeError(error: unknown): ErrorMessage {
  if (error instanceof Error || error instanceof DOMException) {
    return { name: error.name, message: error.message };
  }
  return { name: "Error", message: String(error) };
}

/** The error that `describeError` described, of its own class. */
export function errorFrom({ name, message }: ErrorMessage): Error {
  if (name in CLASSES) return new CLASSES[name as keyof typeof CLASSES](message);
  if (name === "AbortError") return new DOMException(message, name);
  if (name === "TypeError") return new TypeError(message);
  if (name === "RangeError") return new RangeError(message);
  return new Error(name === "Error" ? message : `${name}: ${message}`);
}
