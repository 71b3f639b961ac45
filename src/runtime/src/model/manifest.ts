/** The manifest of a model file, checked before anything relies on it. */
import { countOf, type DType, DTYPES, isDType } from "./dtypes";
import { Damaged } from "./errors";
import { checkExpression, evaluate, type Expression, type Sizes, type SymbolInfo } from "./sizes";

/** A nest of positions in `inputs` or `outputs`; null stands where there is no tensor. */
export type Tree = number | null | Tree[] | { [key: string]: Tree };

/**
 * One input or output: dense and row-major. A size that varies from call to call is the name of a
 * symbol, such as "batch", or an expression: `["floordiv", ["+", "height", 1], 2]`.
 */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Expression[];
}

/** A tensor whose sizes are known. */
export interface FixedInfo extends TensorInfo {
  readonly shape: readonly number[];
}

export interface WeightInfo extends FixedInfo {
  /** The dtype that the file keeps it in, where that is another: it is widened when loaded. */
  readonly stored?: "float16" | "bfloat16";
  /** Its place in memory. */
  readonly offset: number;
  readonly bytes: number;
  readonly role: "parameter" | "constant" | "state";
}

export interface MethodInfo {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly input_tree: Tree;
  readonly output_tree: Tree;
  readonly states: readonly { readonly name: string; readonly weight: number }[];
  /** The sizes that vary. */
  readonly symbols: readonly SymbolInfo[];
  readonly arena_bytes: Expression;
  /** The largest number that a call computes with. */
  readonly largest?: Expression;
  readonly nodes: readonly { readonly op: string; readonly source: string }[];
}

export interface Manifest {
  readonly format: number;
  readonly producer: string;
  readonly torch: string;
  /** False: for the scalar engine alone. */
  readonly simd: boolean;
  /** False: calls take one thread. */
  readonly threads: boolean;
  readonly kernels: readonly string[];
  readonly weights: {
    /** Bytes of the payload. */
    readonly bytes: number;
    /** Bytes in memory, where some tensors are stored in another dtype. */
    readonly memory?: number;
    readonly checksum: string;
    readonly tensors: readonly WeightInfo[];
  };
  readonly constants: { readonly bytes: number; readonly offset: number };
  readonly methods: Readonly<Record<string, MethodInfo>>;
}

export function bytesOf(info: FixedInfo): number {
  return countOf(info.shape) * DTYPES[info.dtype].bytes;
}

/** Bytes of a weight in the file. */
export function storedBytes(weight: WeightInfo): number {
  return weight.stored === undefined ? weight.bytes : weight.bytes / 2;
}

/** Bytes of weights and constants in memory. */
export function memoryBytes({ weights }: Manifest): number {
  return weights.memory ?? weights.bytes;
}

/** The tensor at these sizes of the symbols. */
export function infoAt(info: TensorInfo, sizes: Sizes): FixedInfo {
  return { ...info, shape: info.shape.map((size) => evaluate(size, sizes)) };
}

/** Addresses have 32 bits. */
export const MOST_BYTES = 2 ** 32 - 1;

function check(fits: unknown, what: string): asserts fits {
  if (!fits) throw new Damaged(`the manifest of the model file is damaged (${what})`);
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST_BYTES;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkTensor(info: unknown, where: string, symbols: ReadonlySet<string>): void {
  check(isRecord(info) && typeof info.name === "string", `${where} has no name`);
  check(isDType(info.dtype), `the dtype of ${where} ${info.name}`);
  check(Array.isArray(info.shape), `the shape of ${info.name}`);
  for (const size of info.shape) checkExpression(size, symbols, `the shape of ${info.name}`);
  const fixed = info.shape.every(isSize);
  check(!fixed || bytesOf(info as unknown as FixedInfo) <= MOST_BYTES, `the size of ${info.name}`);
}

/** The names of a method's symbols. */
function checkSymbols(name: string, method: MethodInfo): Set<string> {
  const what = `the symbols of ${name}`;
  check(Array.isArray(method.symbols), what);
  for (const symbol of method.symbols) {
    check(isRecord(symbol) && typeof symbol.name === "string", what);
    const { minimum, maximum, input, dimension, factor, offset } = symbol;
    check(isSize(minimum) && isSize(maximum) && minimum <= maximum, what);
    check(isSize(factor) && factor > 0 && Number.isInteger(offset), what);
    const shape = isSize(input) ? method.inputs[input]?.shape : undefined;
    check(Array.isArray(shape) && isSize(dimension) && dimension < shape.length, what);
  }
  const names = new Set(method.symbols.map((symbol) => symbol.name));
  check(names.size === method.symbols.length, what);
  return names;
}

function checkTree(tree: unknown, count: number, where: string): void {
  if (tree === null) return;
  if (typeof tree === "number") {
    check(isSize(tree) && tree < count, `the nest of ${where}`);
  } else {
    check(typeof tree === "object", `the nest of ${where}`);
    for (const part of Object.values(tree as object)) checkTree(part, count, where);
  }
}

function checkWeights(manifest: Manifest, payload: number): void {
  const { weights, constants } = manifest;
  check(isRecord(weights) && weights.bytes === payload, "the bytes of the weights");
  check(/^crc32:[0-9a-f]{8}$/.test(weights.checksum), "the checksum of the weights");
  check(Array.isArray(weights.tensors), "the list of weights");
  const memory = memoryBytes(manifest);
  check(isSize(memory) && memory >= payload, "the memory of the weights");
  for (const tensor of weights.tensors) {
    checkTensor(tensor, "the weight", new Set());
    const { offset, bytes } = tensor as WeightInfo;
    check(isSize(offset) && isSize(bytes) && offset % 64 === 0, `the place of ${tensor.name}`);
    check(bytes === bytesOf(tensor) && offset + bytes <= memory, `the place of ${tensor.name}`);
  }
  check(isRecord(constants), "the constants");
  check(isSize(constants.offset) && isSize(constants.bytes), "the constants");
  check(constants.offset + constants.bytes <= memory, "the place of the constants");
  if (weights.memory !== undefined) checkStored(manifest, memory);
}

/** The payload's tensors must lie so that each can be unpacked before it is written over. */
function checkStored({ weights, constants }: Manifest, memory: number): void {
  const [most, last] = weights.tensors.reduce<[number, number]>(
    ([source, target], tensor) => {
      const fits = tensor.stored === undefined || tensor.dtype === "float32";
      const known = [undefined, "float16", "bfloat16"].includes(tensor.stored);
      check(known && fits, `how ${tensor.name} is stored`);
      check(tensor.offset === target, `the place of ${tensor.name}`);
      return [source + aligned(storedBytes(tensor)), target + aligned(tensor.bytes)];
    },
    [0, 0],
  );
  check(constants.offset === last, "the place of the constants");
  check(weights.bytes - most === memory - last, "the memory of the weights");
}

/** The next multiple of the alignment of tensors in a file. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

function checkMethod(name: string, method: MethodInfo, manifest: Manifest): void {
  check(isRecord(method), `the method ${name}`);
  check(Array.isArray(method.inputs), `the inputs of ${name}`);
  check(method.inputs.every(isRecord), `the inputs of ${name}`);
  const symbols = checkSymbols(name, method);
  for (const [kind, list] of [
    ["input", method.inputs],
    ["output", method.outputs],
  ] as const) {
    check(Array.isArray(list), `the ${kind}s of ${name}`);
    for (const info of list) checkTensor(info, `the ${kind}`, symbols);
  }
  checkTree(method.input_tree, method.inputs.length, `the inputs of ${name}`);
  checkTree(method.output_tree, method.outputs.length, `the outputs of ${name}`);
  check(Array.isArray(method.states), `the states of ${name}`);
  for (const state of method.states) {
    check(isRecord(state) && isSize(state.weight), `the states of ${name}`);
    check(state.weight < manifest.weights.tensors.length, `the states of ${name}`);
  }
  checkExpression(method.arena_bytes, symbols, `the arena of ${name}`);
  checkExpression(method.largest ?? 0, symbols, `the numbers of ${name}`);
  check(Array.isArray(method.nodes) && method.nodes.every(isRecord), `the nodes of ${name}`);
}

/**
 * Parses a manifest of a file with so many bytes of weights.
 *
 * @throws Damaged where a field is missing, or where what it says cannot be.
 */
export function checkedManifest(text: string, payload: number): Manifest {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(text);
  } catch (error) {
    throw new Damaged(`the manifest of the model file is damaged (${error})`);
  }
  check(isRecord(manifest), "it is no object");
  check(typeof manifest.simd === "boolean", "simd");
  check(typeof manifest.threads === "boolean", "threads");
  check(Array.isArray(manifest.kernels), "the kernels");
  check(
    manifest.kernels.every((kernel) => typeof kernel === "string"),
    "the kernels",
  );
  checkWeights(manifest, payload);
  check(isRecord(manifest.methods) && Object.keys(manifest.methods).length > 0, "no method");
  for (const [name, method] of Object.entries(manifest.methods)) {
    checkMethod(name, method, manifest);
  }
  return manifest;
}
