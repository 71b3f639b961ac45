/** Tensors as a page holds them. */
import {
  countOf,
  type DType,
  DTYPES,
  dtypeOf,
  fromNumbers,
  type TensorData,
  toNumbers,
} from "./dtypes";
import { ModelInputError } from "./errors";

/** Numbers in a nest whose depth and lengths give the shape. */
export type NestedNumbers = number | bigint | boolean | readonly NestedNumbers[];

/** A dense, row-major tensor on the page's side. */
export class Tensor {
  /**
   * @param data its elements; they are not copied.
   * @throws ModelInputError where the data has not as many elements as the shape.
   */
  constructor(
    readonly data: TensorData,
    readonly shape: readonly number[],
    readonly dtype: DType,
  ) {
    if (data.length !== countOf(shape)) {
      throw new ModelInputError(
        `${data.length} elements do not fill the shape [${shape.join(", ")}], which has ` +
          `${countOf(shape)}`,
      );
    }
    if (data.BYTES_PER_ELEMENT !== DTYPES[dtype].bytes) {
      throw new ModelInputError(`a ${data.constructor.name} cannot hold elements of ${dtype}`);
    }
  }

  /** The number of elements. */
  get size(): number {
    return this.data.length;
  }

  /** The elements as numbers in a nest as deep as the tensor has dimensions. */
  toArray(): NestedNumbers {
    const numbers = toNumbers(this.data, this.dtype);
    const nest = (depth: number, begin: number, count: number): NestedNumbers => {
      if (depth === this.shape.length) return numbers[begin]!;
      const size = this.shape[depth]!;
      const step = count / size;
      return Array.from({ length: size }, (_, i) => nest(depth + 1, begin + i * step, step));
    };
    return nest(0, 0, numbers.length);
  }

  /** The only element. Throws RangeError where there is not exactly one. */
  item(): number {
    if (this.size !== 1) throw new RangeError(`a tensor of ${this.size} elements is no number`);
    return toNumbers(this.data, this.dtype)[0]!;
  }

  /**
   * The indexes of the `k` largest elements of a vector (or of all elements), the largest first.
   */
  topk(k: number): { index: number; value: number }[] {
    const values = toNumbers(this.data, this.dtype);
    const order = values.map((value, index) => ({ index, value }));
    return order.sort((a, b) => b.value - a.value).slice(0, k);
  }
}

function shapeOf(nest: NestedNumbers): number[] {
  const shape: number[] = [];
  for (let part = nest; Array.isArray(part); part = part[0] as NestedNumbers) {
    shape.push(part.length);
    if (part.length === 0) break;
  }
  return shape;
}

function flatten(
  nest: NestedNumbers,
  shape: readonly number[],
  out: (number | bigint | boolean)[],
) {
  if (!Array.isArray(nest)) {
    if (shape.length > 0) throw uneven();
    out.push(nest as number | bigint | boolean);
    return;
  }
  if (nest.length !== shape[0]) throw uneven();
  for (const part of nest) flatten(part, shape.slice(1), out);
}

function uneven(): ModelInputError {
  return new ModelInputError("the nested arrays are not of one length at each depth");
}

/**
 * A tensor of typed or plain data. Without a dtype it is the data's own: float32 for plain numbers,
 * int64 for bigints, bool for booleans. Without a shape it is the nest's, or one dimension.
 *
 * @throws ModelInputError where shape, dtype and data do not fit together.
 */
export function tensor(
  data: TensorData | NestedNumbers,
  shape?: readonly number[],
  dtype?: DType,
): Tensor {
  if (ArrayBuffer.isView(data)) {
    const own = dtypeOf(data);
    const wanted = dtype ?? own;
    if (wanted === undefined) {
      throw new ModelInputError(`say the dtype of this ${data.constructor.name}`);
    }
    const given = shape ?? [data.length];
    const holds = own === wanted || DTYPES[wanted].array === data.constructor;
    return new Tensor(holds ? data : converted(data, wanted), given, wanted);
  }
  const found = shapeOf(data);
  const numbers: (number | bigint | boolean)[] = [];
  flatten(data, found, numbers);
  const kind = typeof numbers[0];
  const own = kind === "bigint" ? "int64" : kind === "boolean" ? "bool" : "float32";
  const wanted = dtype ?? own;
  return new Tensor(stored(numbers, wanted), shape ?? found, wanted);
}

function converted(data: TensorData, dtype: DType): TensorData {
  return stored(data as ArrayLike<number | bigint>, dtype);
}

function stored(values: ArrayLike<number | bigint | boolean>, dtype: DType): TensorData {
  try {
    return fromNumbers(values, dtype);
  } catch (error) {
    throw new ModelInputError(error instanceof Error ? error.message : String(error));
  }
}
