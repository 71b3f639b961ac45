/** Element types of tensors, and the typed arrays that hold them. */

/** The names of `wasm_torch`'s dtypes. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uint8"
  | "bool";

/**
 * Elements of a tensor, dense and row-major. int64 lies in a BigInt64Array, bool in a Uint8Array
 * of 0 and 1, and float16 and bfloat16 lie as their bits in a Uint16Array.
 */
export type TensorData =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint32Array
  | BigUint64Array;

type ArrayType = { new (buffer: ArrayBuffer): TensorData; new (length: number): TensorData };

interface DTypeInfo {
  bytes: number;
  array: ArrayType;
  floating: boolean;
}

function info(array: unknown, bytes: number, floating = false): DTypeInfo {
  return { bytes, array: array as ArrayType, floating };
}

export const DTYPES: Readonly<Record<DType, DTypeInfo>> = {
  float32: info(Float32Array, 4, true),
  float64: info(Float64Array, 8, true),
  float16: info(Uint16Array, 2, true),
  bfloat16: info(Uint16Array, 2, true),
  int8: info(Int8Array, 1),
  int16: info(Int16Array, 2),
  int32: info(Int32Array, 4),
  int64: info(BigInt64Array, 8),
  uint8: info(Uint8Array, 1),
  bool: info(Uint8Array, 1),
};

export function isDType(name: unknown): name is DType {
  return typeof name === "string" && Object.hasOwn(DTYPES, name);
}

/** The dtype that a typed array's elements have by themselves; undefined where there is none. */
export function dtypeOf(data: ArrayBufferView): DType | undefined {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  if (data instanceof Int8Array) return "int8";
  if (data instanceof Int16Array) return "int16";
  if (data instanceof Int32Array) return "int32";
  if (data instanceof BigInt64Array) return "int64";
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) return "uint8";
  return undefined;
}

export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);

/** The bits of the nearest bfloat16, ties to even. */
function bfloat16Bits(value: number): number {
  word[0] = value;
  const all = bits[0]!;
  if (Number.isNaN(value)) return 0x7fc0;
  return ((all + 0x7fff + ((all >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The bits of the nearest float16, ties to even. */
function float16Bits(value: number): number {
  word[0] = value;
  const all = bits[0]!;
  const sign = (all >>> 16) & 0x8000;
  const magnitude = Math.abs(word[0]!);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundToEven(magnitude * 2 ** 24);
  const exponent = ((all >>> 23) & 255) - 127;
  // A carry out of the fraction goes on into the exponent, as it should.
  return sign | (((exponent + 15) << 10) + roundToEven((magnitude / 2 ** exponent - 1) * 1024));
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

function float16Value(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function bfloat16Value(half: number): number {
  bits[0] = half << 16;
  return word[0]!;
}

/** The elements as numbers, whatever their dtype; an int64 beyond 2^53 loses its last bits. */
export function toNumbers(data: TensorData, dtype: DType): number[] {
  const half = { float16: float16Value, bfloat16: bfloat16Value }[dtype as string];
  if (half !== undefined) return Array.from(data as Uint16Array, half);
  return Array.from(data as ArrayLike<number | bigint>, Number);
}

/** Numbers as elements of a dtype. Throws TypeError where an int64 is no integer. */
export function fromNumbers(
  values: ArrayLike<number | bigint | boolean>,
  dtype: DType,
): TensorData {
  const data = new DTYPES[dtype].array(values.length) as Float64Array;
  const store = storing(dtype);
  for (let i = 0; i < values.length; i++) data[i] = store(values[i]!) as number;
  return data;
}

function storing(dtype: DType): (value: number | bigint | boolean) => number | bigint {
  switch (dtype) {
    case "float16":
      return (value) => float16Bits(Number(value));
    case "bfloat16":
      return (value) => bfloat16Bits(Number(value));
    case "bool":
      return (value) => Number(Boolean(value));
    case "int64":
      return (value) => {
        if (typeof value === "number" && !Number.isInteger(value)) {
          throw new TypeError(`${value} is not an integer, which int64 takes`);
        }
        return BigInt(value);
      };
    default:
      return Number;
  }
}
