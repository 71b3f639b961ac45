/** From what a caller gives to one dense tensor for each input, and from outputs to their nest. */
import { countOf, type DType, DTYPES, dtypeOf, type TensorData } from "./dtypes";
import { ModelInputError } from "./errors";
import type { MethodInfo, TensorInfo, Tree } from "./manifest";
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

function listed(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

function signature(name: string, inputs: readonly TensorInfo[]): string {
  const list = inputs.map((info) => `${info.name}: ${info.dtype}${listed(info.shape)}`);
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

/** The elements of one input in its dtype, checked. */
function fitting(info: TensorInfo, value: Input): TensorData {
  const wanted = info.dtype;
  if (value instanceof Tensor) {
    checkShape(info, value.shape);
    return ofDType(info, value.data, value.dtype);
  }
  if (ArrayBuffer.isView(value)) {
    const data = value as TensorData;
    const count = countOf(info.shape);
    if (data.length !== count) {
      throw new ModelInputError(
        `input "${info.name}" has ${data.length} elements; the model was exported for ` +
          `${listed(info.shape)}, which are ${count}`,
      );
    }
    if (data.constructor === DTYPES[wanted].array) return data;
    return ofDType(info, data, dtypeOf(data));
  }
  if (!Array.isArray(value) && !["number", "bigint", "boolean"].includes(typeof value)) {
    const kind = value === null ? "null" : ((value as object)?.constructor?.name ?? typeof value);
    throw new ModelInputError(
      `input "${info.name}" is a ${kind}; it takes a tensor, a typed array or numbers`,
    );
  }
  const made = tensor(value as NestedNumbers, undefined, wanted);
  // A flat list of all elements stands for the shape.
  const flat = made.shape.length === 1 && made.size === countOf(info.shape);
  if (!flat) checkShape(info, made.shape);
  return made.data;
}

function checkShape(info: TensorInfo, shape: readonly number[]): void {
  const same = shape.length === info.shape.length && shape.every((n, i) => n === info.shape[i]);
  if (!same) {
    throw new ModelInputError(
      `input "${info.name}" has shape ${listed(shape)}; the model was exported for ` +
        listed(info.shape),
    );
  }
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

/**
 * One dense array for each input of a method.
 *
 * @throws ModelInputError where count, name, shape or dtype is not what the method takes.
 */
export function bindInputs(
  name: string,
  method: MethodInfo,
  given: readonly InputNest[],
): TensorData[] {
  const values = byPosition(name, method, given);
  return method.inputs.map((info, i) => fitting(info, values[i]!));
}

/** The outputs of a call in the nest that the exported model gave. */
export function nestOutputs(method: MethodInfo, outputs: readonly TensorData[]): OutputNest {
  const tensors = method.outputs.map((info, i) => new Tensor(outputs[i]!, info.shape, info.dtype));
  const build = (tree: Tree): OutputNest => {
    if (tree === null) return null;
    if (typeof tree === "number") return tensors[tree]!;
    if (Array.isArray(tree)) return tree.map(build);
    return Object.fromEntries(Object.entries(tree).map(([key, part]) => [key, build(part)]));
  };
  return build(method.output_tree);
}
