import assert from "node:assert/strict";
import { test } from "node:test";
import { bindInputs, nestOutputs } from "../src/model/bind";
import { fromNumbers, toNumbers } from "../src/model/dtypes";
import { describeError, errorFrom, ModelInputError, Truncated } from "../src/model/errors";
import { crc32, ModelReader } from "../src/model/format";
import {
  aligned,
  checkedManifest,
  type Manifest,
  type MethodInfo,
  storedBytes,
  type WeightInfo,
} from "../src/model/manifest";
import { checkExpression, evaluate, type Expression, textOf, UNLIMITED } from "../src/model/sizes";
import { Tensor, tensor } from "../src/model/tensor";
import { unpackWeights } from "../src/model/unpack";
import { startEngine } from "./engines";

const bytes = (text: string) => new TextEncoder().encode(text);

test("the engine's checksum is zlib's, in pieces of any size", () => {
  const engine = startEngine();
  const e = engine.exports;
  const address = e.wt_allocate(40960) >>> 0;
  const data = Uint8Array.from({ length: 40001 }, (_, i) => (i * 89 + (i >> 3)) & 255);
  engine.views.reaching(address + 40960).bytes.set(data, address);
  assert.equal(crc32(bytes("123456789")), 0xcbf43926, "the value of the standard's check");
  for (const cut of [0, 1, 7, 8, 9, 1500, 20000, 40001]) {
    const first = e.wt_crc32(address, cut, 0);
    const all = e.wt_crc32(address + cut, data.length - cut, first) >>> 0;
    assert.equal(all, crc32(data), `cut at ${cut}`);
  }
  engine.pool.terminate();
});

test("half precision rounds to nearest even and comes back", () => {
  const cases: [number, number][] = [
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519.9, 0x7bff],
    [65520, 0x7c00],
    [2 ** -24, 1],
    [2 ** -25, 0],
    [2 ** -14, 0x0400],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [Number.POSITIVE_INFINITY, 0x7c00],
    [-0, 0x8000],
    [1 - 2 ** -12, 0x3c00],
  ];
  for (const [value, expected] of cases) {
    assert.equal(fromNumbers([value], "float16")[0], expected, `${value}`);
  }
  for (const half of [0, 1, 0x3ff, 0x400, 0x3555, 0x7bff, 0x7c00, 0xfc00, 0x8001]) {
    const value = toNumbers(Uint16Array.of(half), "float16");
    assert.equal(fromNumbers(value, "float16")[0], half);
  }
  assert.equal(fromNumbers([1.00390625], "bfloat16")[0], 0x3f80, "a tie goes to even");
  assert.deepEqual(toNumbers(Uint16Array.of(0x3f80, 0xc040), "bfloat16"), [1, -3]);
  assert.ok(Number.isNaN(toNumbers(fromNumbers([Number.NaN], "float16"), "float16")[0]));
});

test("tensors are made of typed arrays and of nests", () => {
  assert.deepEqual(
    tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]).shape,
    [2, 3],
  );
  assert.equal(tensor([1n, 2n]).dtype, "int64");
  assert.equal(tensor([true, false]).dtype, "bool");
  assert.equal(tensor(Int32Array.of(1, 2), [2, 1], "int64").data.constructor, BigInt64Array);
  assert.deepEqual(
    tensor([
      [1, 2],
      [3, 4],
    ]).toArray(),
    [
      [1, 2],
      [3, 4],
    ],
  );
  assert.equal(tensor(7).item(), 7);
  assert.deepEqual(tensor([3, 9, 5]).topk(2), [
    { index: 1, value: 9 },
    { index: 2, value: 5 },
  ]);
  assert.deepEqual(tensor(new Float32Array(0), [0, 3]).toArray(), []);
  assert.throws(() => tensor([[1], [2, 3]]), /not of one length/);
  assert.throws(() => tensor([1, 2, 3], [2, 2]), /3 elements do not fill the shape \[2, 2\]/);
  assert.throws(() => tensor([1.5], undefined, "int64"), /1.5 is not an integer/);
  assert.throws(() => new Tensor(new Float32Array(2), [2], "int64"), /cannot hold/);
  assert.throws(() => tensor([1, 2]).item(), RangeError);
});

const METHOD: MethodInfo = {
  inputs: [
    { name: "x", dtype: "float32", shape: [2, 2] },
    { name: "ids", dtype: "int64", shape: [3] },
  ],
  outputs: [
    { name: "a", dtype: "float32", shape: [1] },
    { name: "b", dtype: "float32", shape: [1] },
  ],
  input_tree: [0, 1],
  output_tree: { first: 0, rest: [1, null] },
  states: [],
  symbols: [],
  arena_bytes: 0,
  nodes: [],
};

test("inputs go in by position, by name, flat, and from other integers", () => {
  const x = Float32Array.of(1, 2, 3, 4);
  const wanted = [x, BigInt64Array.of(5n, 6n, 7n)];
  for (const given of [
    [x, [5, 6, 7]],
    [
      [
        [1, 2],
        [3, 4],
      ],
      Int32Array.of(5, 6, 7),
    ],
    [{ ids: [5n, 6n, 7n], x }],
    [tensor([1, 2, 3, 4], [2, 2]), tensor([5, 6, 7], undefined, "int64")],
    [[1, 2, 3, 4], BigInt64Array.of(5n, 6n, 7n)],
    [Float64Array.of(1, 2, 3, 4), [5, 6, 7]],
  ]) {
    assert.deepEqual(bindInputs("forward", METHOD, given as never).inputs, wanted);
  }
});

test("inputs that do not fit are refused, and the message says what is wanted", () => {
  const x = new Float32Array(4);
  const ids = [1, 2, 3];
  for (const [given, message] of [
    [[x], /1 inputs were given; forward takes 2 \(x: float32\[2, 2\], ids: int64\[3\]\)/],
    [[{ x }], /input "ids" is missing/],
    [[{ x, ids, y: x }], /there is no input "y"/],
    [[new Float32Array(5), ids], /input "x" has 5 elements; .* \[2, 2\], which are 4/],
    [[tensor([1, 2, 3, 4]), ids], /input "x" has shape \[4\]; the model was exported for \[2, 2\]/],
    [[[[1, 2]], ids], /input "x" has shape \[1, 2\]/],
    [[x, Float32Array.of(1, 2, 3)], /input "ids" has dtype float32; the model takes int64/],
    [[Int32Array.of(1, 2, 3, 4), ids], /input "x" has dtype int32; the model takes float32/],
    [[x, [1.5, 2, 3]], /1.5 is not an integer/],
    [["1234", ids], /input "x" is a String/],
    [[undefined, ids], /input "x" is a undefined/],
    [[null, ids], /input "x" is a null/],
  ] as [never[], RegExp][]) {
    assert.throws(
      () => bindInputs("forward", METHOD, given),
      (error: Error) => {
        assert.ok(error instanceof ModelInputError);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});

test("nests go in and come out as the model was exported with", () => {
  const nested: MethodInfo = { ...METHOD, input_tree: [{ picture: 0 }, [1]] };
  const x = new Float32Array(4);
  const bound = bindInputs("forward", nested, [{ picture: x }, [[1, 2, 3]]]).inputs;
  assert.equal(bound[0], x);
  assert.deepEqual(bound[1], BigInt64Array.of(1n, 2n, 3n));
  assert.equal(bindInputs("forward", nested, [x, [1, 2, 3]]).inputs[0], x, "flat works, too");
  const out = nestOutputs(METHOD, [Float32Array.of(1), Float32Array.of(2)]) as {
    first: Tensor;
    rest: [Tensor, null];
  };
  assert.equal(out.first.item(), 1);
  assert.equal(out.rest[0].item(), 2);
  assert.equal(out.rest[1], null);
});

const SYMBOL = { minimum: 1, maximum: 8, input: 0, dimension: 0, factor: 1, offset: 0 };

const VARYING: MethodInfo = {
  ...METHOD,
  inputs: [
    { name: "x", dtype: "float32", shape: ["batch", 2] },
    { name: "ids", dtype: "int64", shape: ["batch", ["*", 2, "half"]] },
  ],
  outputs: [
    { name: "a", dtype: "float32", shape: [["+", "batch", 1]] },
    { name: "b", dtype: "float32", shape: [["max", ["floordiv", "half", 2], "batch"]] },
  ],
  symbols: [
    { ...SYMBOL, name: "batch" },
    { ...SYMBOL, name: "half", maximum: UNLIMITED, input: 1, dimension: 1, factor: 2 },
  ],
};

test("sizes that vary are read off the inputs", () => {
  const bound = bindInputs("forward", VARYING, [
    [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
    [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
  ]);
  assert.deepEqual(
    [...bound.sizes],
    [
      ["batch", 3],
      ["half", 1],
    ],
  );
  const flat = bindInputs("forward", VARYING, [new Float32Array(4), new BigInt64Array(12)]);
  assert.deepEqual(
    [...flat.sizes],
    [
      ["batch", 2],
      ["half", 3],
    ],
  );
  const given = { ids: tensor([[1, 2, 3, 4]], undefined, "int64"), x: new Float32Array(2) };
  assert.deepEqual(Object.fromEntries(bindInputs("forward", VARYING, [given]).sizes), {
    batch: 1,
    half: 2,
  });
  const { sizes } = flat;
  const data = [new Float32Array(3), new Float32Array(2)];
  const { first, rest } = nestOutputs(VARYING, data, sizes) as { first: Tensor; rest: Tensor[] };
  assert.deepEqual([first.shape, rest[0]!.shape], [[3], [2]]);
});

test("sizes out of their range, and sizes that do not agree, are named", () => {
  const ids = (rows: number, columns: number) => {
    return tensor(new BigInt64Array(rows * columns), [rows, columns]);
  };
  const x = (rows: number) => tensor(new Float32Array(2 * rows), [rows, 2]);
  for (const [given, message] of [
    [[x(9), ids(9, 2)], /"x" has size 9 at dimension 0; expected "batch" to be in \[1, 8\]$/],
    [[x(0), ids(0, 2)], /"x" has size 0 at dimension 0; expected "batch" to be in \[1, 8\]$/],
    [[x(2), ids(2, 3)], /size 3 at dimension 1; expected "half" to be at least 2, in steps of 2/],
    [
      [x(2), ids(3, 2)],
      /Sizes must match: input "ids" has size 3 at .* 0, where batch is 2 with batch=2 \(input "x"/,
    ],
    [[tensor([1, 2]), ids(1, 2)], /"x" has shape \[2\]; the model was exported for \[batch, 2\]/],
    [[new Float32Array(3), ids(1, 2)], /"x" has 3 elements, which do not fill \[batch, 2\]/],
    [
      [x(2), ids(2, 4), 1],
      /forward takes 2 \(x: float32\[batch, 2\], ids: int64\[batch, 2 \* half\]/,
    ],
  ] as [never[], RegExp][]) {
    assert.throws(
      () => bindInputs("forward", VARYING, given),
      (error: Error) => {
        assert.ok(error instanceof ModelInputError);
        assert.match(error.message, message);
        return true;
      },
    );
  }
  const both: MethodInfo = {
    ...VARYING,
    inputs: [{ name: "x", dtype: "float32", shape: ["batch", "half"] }],
    symbols: [
      { ...SYMBOL, name: "batch" },
      { ...SYMBOL, name: "half", dimension: 1 },
    ],
    input_tree: [0],
  };
  assert.throws(
    () => bindInputs("forward", both, [new Float32Array(6)]),
    /varies in more than one dimension: give tensor\(data, shape\) for \[batch, half\]/,
  );
});

test("expressions are evaluated, written and checked", () => {
  const sizes = new Map([["h", 7]]);
  const half: Expression = ["floordiv", ["+", "h", 1], 2];
  assert.equal(evaluate(["-", ["max", half, ["*", 3, "h"]], 1], sizes), 20);
  assert.equal(textOf(half), "(h + 1) // 2");
  assert.equal(textOf(["max", half, 3]), "max((h + 1) // 2, 3)");
  checkExpression(half, new Set(["h"]), "a size");
  for (const bad of [
    "w",
    -1,
    1.5,
    null,
    [],
    ["+", 1],
    ["^", 1, 2],
    ["floordiv", 1, 0],
    ["floordiv", 1, "h"],
  ]) {
    assert.throws(() => checkExpression(bad, new Set(["h"]), "a size"), /damaged \(a size\)/);
  }
});

test("a reader of no bytes, few bytes and foreign bytes says so", () => {
  const read = (...pieces: Uint8Array[]) => {
    const reader = new ModelReader({ prefix: () => undefined, weights: () => undefined });
    for (const piece of pieces) reader.push(piece);
    return reader.finish();
  };
  const magic = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  assert.throws(() => read(), { name: "NotWasm" });
  assert.throws(() => read(bytes("<!doctype html>")), { name: "NotWasm" });
  assert.throws(() => read(magic.subarray(0, 6)), { name: "Truncated" });
  assert.throws(() => read(magic, Uint8Array.of(1, 4, 1, 0x60, 0, 0)), { name: "NotOurs" });
});

test("manifests that cannot be are refused", () => {
  const good = {
    format: 1,
    simd: true,
    threads: true,
    kernels: ["gemm@1"],
    weights: { bytes: 64, checksum: "crc32:00000000", tensors: [] as unknown[] },
    constants: { bytes: 0, offset: 64 },
    methods: { forward: METHOD },
  };
  const parse = (change: object) => checkedManifest(JSON.stringify({ ...good, ...change }), 64);
  assert.equal(parse({}).kernels.length, 1);
  const weight = {
    name: "w",
    dtype: "float32",
    shape: [4],
    offset: 0,
    bytes: 16,
    role: "parameter",
  };
  const weights = (change: object) => ({
    weights: { ...good.weights, tensors: [{ ...weight, ...change }] },
  });
  assert.equal(parse(weights({})).weights.tensors.length, 1);
  const stored = (change: object, more = {}) => {
    const tensors = [{ ...weight, shape: [32], bytes: 128, stored: "float16", ...change }];
    const kept = { ...good.weights, memory: 128, ...more, tensors };
    return { weights: kept, constants: { bytes: 0, offset: 128 } };
  };
  assert.equal(parse(stored({})).weights.memory, 128);
  const method = (change: object) => ({ methods: { forward: { ...METHOD, ...change } } });
  for (const change of [
    { kernels: [1] },
    { simd: 1 },
    { threads: undefined },
    { methods: {} },
    { weights: { ...good.weights, bytes: 128 } },
    { constants: { bytes: 64, offset: 64 } },
    weights({ offset: 64 }),
    weights({ offset: 4 }),
    weights({ dtype: "float31" }),
    weights({ shape: [-4] }),
    weights({ bytes: 20 }),
    stored({ stored: "float8" }),
    stored({ dtype: "int32" }),
    stored({ offset: 64 }),
    stored({ shape: [64], bytes: 256 }),
    stored({}, { memory: 192 }),
    stored({}, { memory: 2 ** 33 }),
    stored({}, { memory: 32 }),
    method({ arena_bytes: -1 }),
    method({ output_tree: 2 }),
    method({ states: [{ weight: 0 }] }),
    method({ inputs: [{ name: "x", dtype: "float32", shape: [2 ** 31, 2 ** 31] }] }),
  ]) {
    assert.throws(() => parse(change), { name: "Damaged" }, JSON.stringify(change));
  }
  assert.throws(() => checkedManifest("{", 64), { name: "Damaged" });
});

test("weights of 16 bits are widened where they lie", () => {
  const engine = startEngine();
  const counts = [32, 5, 1000];
  const tensors: WeightInfo[] = [];
  let [memory, bytes] = [0, 0];
  for (const [i, count] of counts.entries()) {
    const stored = ([undefined, "float16", "bfloat16"] as const)[i];
    const common = { name: `w${i}`, dtype: "float32", shape: [count], role: "constant" } as const;
    tensors.push({ ...common, ...(stored && { stored }), offset: memory, bytes: 4 * count });
    bytes += aligned(storedBytes(tensors[i]!));
    memory += aligned(4 * count);
  }
  const constants = { bytes: 8, offset: memory };
  memory += 64;
  bytes += 64;
  const weights = { bytes, memory, checksum: "", tensors };
  const manifest = { weights, constants } as unknown as Manifest;
  const address = engine.exports.wt_allocate(memory + 64) >>> 0;
  const heap = engine.views.reaching(address + memory + 64).bytes;
  heap.fill(255, address, address + memory + 64);
  const wanted = tensors.map((tensor, k) => {
    const numbers = Array.from({ length: tensor.shape[0]! }, (_, i) => i - 8 * k);
    return toNumbers(fromNumbers(numbers, tensor.stored ?? "float32"), tensor.stored ?? "float32");
  });
  let at = address + memory - bytes;
  for (const [i, tensor] of tensors.entries()) {
    const data = fromNumbers(wanted[i]!, tensor.stored ?? "float32");
    heap.set(new Uint8Array(data.buffer), at);
    at += aligned(data.byteLength);
  }
  heap.fill(7, at, at + 8);
  unpackWeights(engine, manifest, address);
  for (const [i, tensor] of tensors.entries()) {
    const got = new Float32Array(heap.slice(address + tensor.offset).buffer, 0, counts[i]);
    assert.deepEqual([...got], wanted[i], tensor.name);
  }
  assert.ok(heap.slice(address + constants.offset, address + constants.offset + 8).every(isSeven));
  assert.ok(heap.slice(address + memory, address + memory + 64).every((byte) => byte === 255));
  engine.pool.terminate();
});

const isSeven = (byte: number) => byte === 7;

test("errors keep their class from one thread to the other", () => {
  const back = errorFrom(structuredClone(describeError(new Truncated("the file ends"))));
  assert.ok(back instanceof Truncated);
  assert.equal(back.message, "the file ends");
  assert.ok(errorFrom(describeError(new TypeError("no"))) instanceof TypeError);
  assert.equal(errorFrom(describeError(new DOMException("x", "AbortError"))).name, "AbortError");
  assert.match(errorFrom({ name: "Odd", message: "text" }).message, /Odd: text/);
});
