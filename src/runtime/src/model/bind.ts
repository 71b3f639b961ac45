/** From what a caller gives to one dense tensor for each input, and from outputs to their nest. */
import { countOf, type DType, DTYPES, dtypeOf, type TensorData } from "./dtypes";
import { ModelInputError } from "./errors";
import { type FixedInfo, infoAt, type MethodInfo, type TensorInfo, type Tree } from "./manifest";
import { evaluate, shapeText, type Sizes, symbolsOf, textOf, UNLIMITED } from "./sizes";
import { type NestedNumbers, Tensor, tensor } from "./tensor";

/** One input: a tensor, its elements alone, or numbers in a nest. */
export type Input = Tensor | TensorData | NestedNumbers;

/** Inputs in the nest that the exported model took: lists, and objects by name. */
export type InputNest = Input | InputNest[] | { [name: string]: InputNest };

/** Outputs in the nest that the exported model gave. */
export type OutputNest = Tensor | null | OutputNest[] | { [name: string]: OutputNest };

function isPlain(value: unknown): value is Record<string, InputNest> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function signature(name: string, inputs: readonly TensorInfo[]): string {
  const list = inputs.map((info) => `${info.name}: ${info.dtype}${shapeText(info.shape)}`);
  return `${name} takes ${inputs.length} (${list.join(", ")})`;
}

/** Whether `value` has the form of this part of the tree; its tensors go to `flat` by position. */
function take(part: Tree, value: InputNest, flat: Map<number, Input>): boolean {
  if (part === null) return true;
  if (typeof part === "number") {
    flat.set(part, value as Input);
    return value !== undefined;
  }
  if (Array.isArray(part)) {
    if (!Array.isArray(value) || value.length !== part.length) return false;
    return part.every((item, i) => take(item, value[i]!, flat));
  }
  if (!isPlain(value)) return false;
  const keys = Object.keys(part);
  if (Object.keys(value).length !== keys.length) return false;
  return keys.every((key) => key in value && take(part[key]!, value[key]!, flat));
}

function isNested(tree: Tree): boolean {
  if (typeof tree !== "object" || tree === null) return false;
  return Object.values(tree).some((part) => typeof part === "object" && part !== null);
}

/**
 * The inputs of a call by position: positional arguments, one object by name, or the nest that the
 * model was exported with.
 */
function byPosition(name: string, method: MethodInfo, given: readonly InputNest[]): Input[] {
  const { inputs, input_tree } = method;
  const named = given.length === 1 && isPlain(given[0]) ? given[0] : undefined;
  if (isNested(input_tree)) {
    const flat = new Map<number, Input>();
    const nest = Array.isArray(input_tree) ? [...given] : given[0]!;
    if (take(input_tree, nest, flat)) return inputs.map((_, i) => flat.get(i)!);
  }
  if (named === undefined) {
    if (given.length !== inputs.length) {
      throw new ModelInputError(`${given.length} inputs were given; ${signature(name, inputs)}`);
    }
    return [...given] as Input[];
  }
  const unknown = Object.keys(named).find((key) => !inputs.some((info) => info.name === key));
  if (unknown !== undefined) {
    throw new ModelInputError(`there is no input "${unknown}"; ${signature(name, inputs)}`);
  }
  return inputs.map((info) => {
    const value = named[info.name];
    if (value === undefined) {
      throw new ModelInputError(`input "${info.name}" is missing; ${signature(name, inputs)}`);
    }
    return value as Input;
  });
}

function isFloating(dtype: DType): boolean {
  return DTYPES[dtype].floating;
}

/** What was given for one input; `shape` is undefined where its elements lie in one flat list. */
interface Given {
  readonly data: TensorData;
  readonly dtype: DType | undefined;
  readonly shape: readonly number[] | undefined;
  /** Whether a flat list could as well be a tensor of one dimension. */
  readonly listed: boolean;
}

function examined(info: TensorInfo, value: Input): Given {
  if (value instanceof Tensor) {
    return { data: value.data, dtype: value.dtype, shape: value.shape, listed: false };
  }
  if (ArrayBuffer.isView(value)) {
    const data = value as TensorData;
    const same = data.constructor === DTYPES[info.dtype].array;
    return { data, dtype: same ? info.dtype : dtypeOf(data), shape: undefined, listed: false };
  }
  if (!Array.isArray(value) && !["number", "bigint", "boolean"].includes(typeof value)) {
    const kind = value === null ? "null" : ((value as object)?.constructor?.name ?? typeof value);
    throw new ModelInputError(
      `input "${info.name}" is a ${kind}; it takes a tensor, a typed array or numbers`,
    );
  }
  const { data, shape } = tensor(value as NestedNumbers, undefined, info.dtype);
  // A flat list of all elements stands for the shape.
  const listed = shape.length === 1 && info.shape.length !== 1;
  return { data, dtype: info.dtype, shape: listed ? undefined : shape, listed };
}

/** The sizes of the symbols, each read from its input and checked against its range. */
function readSizes(method: MethodInfo, given: readonly Given[]): Sizes {
  const sizes = new Map<string, number>();
  const known = (size: TensorInfo["shape"][number]) => symbolsOf(size).every((s) => sizes.has(s));
  // Inputs that have a shape come first: with theirs, that of a flat list may be found.
  const ordered = [...method.symbols].sort(
    (a, b) => Number(!given[a.input]!.shape) - Number(!given[b.input]!.shape),
  );
  for (const symbol of ordered) {
    const { name, dimension, factor, offset } = symbol;
    const info = method.inputs[symbol.input]!;
    const { data, shape } = given[symbol.input]!;
    let size: number;
    if (shape === undefined) {
      const others = info.shape.filter((_, d) => d !== dimension);
      if (!others.every(known)) {
        throw new ModelInputError(
          `the shape of input "${info.name}" varies in more than one dimension: give ` +
            `tensor(data, shape) for ${shapeText(info.shape)}`,
        );
      }
      const rest = countOf(others.map((other) => evaluate(other, sizes)));
      size = data.length / rest;
      if (!Number.isInteger(size)) {
        throw new ModelInputError(
          `input "${info.name}" has ${data.length} elements, which do not fill ` +
            `${shapeText(info.shape)}: they are no multiple of ${rest}`,
        );
      }
    } else {
      if (shape.length !== info.shape.length) throw wrongShape(info, shape);
      size = shape[dimension]!;
    }
    const [low, high] = [symbol.minimum, symbol.maximum].map((n) => factor * n + offset) as [
      number,
      number,
    ];
    const value = (size - offset) / factor;
    if (!Number.isInteger(value) || size < low || size > high) {
      const range = symbol.maximum < UNLIMITED ? `in [${low}, ${high}]` : `at least ${low}`;
      throw new ModelInputError(
        `input "${info.name}" has size ${size} at dimension ${dimension}; expected "${name}" to ` +
          `be ${range}${factor > 1 ? `, in steps of ${factor}` : ""}`,
      );
    }
    sizes.set(name, value);
  }
  return sizes;
}

/** Throws where an input's shape is not what it is at these sizes. */
function checkShape(method: MethodInfo, i: number, given: Given, sizes: Sizes): void {
  const info = method.inputs[i]!;
  const wanted: FixedInfo = infoAt(info, sizes);
  const { data, shape, listed } = given;
  if (shape === undefined) {
    const count = countOf(wanted.shape);
    if (data.length === count) return;
    if (listed) throw wrongShape(info, [data.length]);
    throw new ModelInputError(
      `input "${info.name}" has ${data.length} elements; the model was exported for ` +
        `${shapeText(info.shape)}, which are ${count}`,
    );
  }
  if (shape.length !== wanted.shape.length) throw wrongShape(info, shape);
  const dim = shape.findIndex((size, d) => size !== wanted.shape[d]);
  if (dim < 0) return;
  if (typeof info.shape[dim] === "number") throw wrongShape(info, shape);
  const chosen = method.symbols
    .filter(({ name }) => symbolsOf(info.shape[dim]!).includes(name))
    .map(({ name, input, dimension }) => {
      const source = method.inputs[input]!.name;
      return `${name}=${sizes.get(name)} (input "${source}", dimension ${dimension})`;
    });
  throw new ModelInputError(
    `Sizes must match: input "${info.name}" has size ${shape[dim]} at dimension ${dim}, where ` +
      `${textOf(info.shape[dim]!)} is ${wanted.shape[dim]} with ${chosen.join(", ")}`,
  );
}

function wrongShape(info: TensorInfo, shape: readonly number[]): ModelInputError {
  return new ModelInputError(
    `input "${info.name}" has shape ${shapeText(shape)}; the model was exported for ` +
      shapeText(info.shape),
  );
}

function ofDType(info: TensorInfo, data: TensorData, dtype: DType | undefined): TensorData {
  const wanted = info.dtype;
  if (dtype === wanted) return data;
  const given = dtype ?? data.constructor.name;
  // Integers widen to int64 and numbers change their precision; nothing else is meant.
  const sameKind = dtype !== undefined && isFloating(dtype) === isFloating(wanted);
  if (sameKind && wanted !== "bool" && dtype !== "float16" && dtype !== "bfloat16") {
    return tensor(data, [data.length], wanted).data;
  }
  throw new ModelInputError(`input "${info.name}" has dtype ${given}; the model takes ${wanted}`);
}

/** What a call takes: one dense array for each input, and the sizes of the method's symbols. */
export interface BoundInputs {
  readonly inputs: TensorData[];
  readonly sizes: Sizes;
}

/**
 * One dense array for each input of a method, and the sizes that vary.
 *
 * @throws ModelInputError where count, name, shape or dtype is not what the method takes.
 */
export function bindInputs(
  name: string,
  method: MethodInfo,
  given: readonly InputNest[],
): BoundInputs {
  const values = byPosition(name, method, given);
  const examinedInputs = method.inputs.map((info, i) => examined(info, values[i]!));
  const sizes = readSizes(method, examinedInputs);
  examinedInputs.forEach((input, i) => checkShape(method, i, input, sizes));
  const inputs = method.inputs.map((info, i) => {
    const { data, dtype } = examinedInputs[i]!;
    return ofDType(info, data, dtype);
  });
  return { inputs, sizes };
}

/** The outputs of a call at these sizes, in the nest that the exported model gave. */
export function nestOutputs(
  method: MethodInfo,
  outputs: readonly TensorData[],
  sizes: Sizes = new Map(),
): OutputNest {
  const tensors = method.outputs.map((info, i) => {
    return new Tensor(outputs[i]!, infoAt(info, sizes).shape, info.dtype);
  });
  const build = (tree: Tree): OutputNest => {
    if (tree === null) return null;
    if (typeof tree === "number") return tensors[tree]!;
    if (Array.isArray(tree)) return tree.map(build);
    return Object.fromEntries(Object.entries(tree).map(([key, part]) => [key, build(part)]));
  };
  return build(method.output_tree);
}
