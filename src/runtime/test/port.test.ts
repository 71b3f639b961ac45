import assert from "node:assert/strict";
import { test } from "node:test";
import { compile, connect, OUT_OF_MEMORY, startEngine, UNARY_CONTIGUOUS } from "./engines";

test("every binary exports what the host asks for", () => {
  for (const variant of ["scalar", "simd", "relaxed"] as const) {
    const names = WebAssembly.Module.exports(compile(variant)).map(({ name }) => name);
    for (const name of ["wt_submit", "wt_recover", "__stack_pointer", "__wasm_init_tls"]) {
      assert.ok(names.includes(name), `${variant}.wasm lacks ${name}`);
    }
    const imports = WebAssembly.Module.imports(compile(variant));
    assert.deepEqual(imports, [{ module: "env", name: "memory", kind: "memory" }]);
  }
});

test("copies of every size and alignment keep all bytes and touch no others", () => {
  const engine = startEngine();
  const { foreign, port } = connect(engine);
  const bytes = new Uint8Array(foreign.buffer);
  const base = port.allocate(8192) >>> 0;
  for (const size of [0, 1, 2, 3, 4, 5, 8, 31, 64, 1020, 1024, 1025, 1028, 4000]) {
    for (const [from, to] of [
      [0, 0],
      [1, 0],
      [0, 2],
      [3, 1],
      [4, 8],
    ] as const) {
      const inside = engine.views.reaching(base + 8192).bytes.subarray(base, base + 8192);
      inside.fill(0xee);
      for (let i = 0; i < 16384; i++) bytes[i] = (i * 31 + 7) & 0xff;
      const expected = bytes.slice(from, from + size);
      port.copyIn(base + 16 + to, from, size);
      assert.deepEqual(inside.slice(16 + to, 16 + to + size), expected);
      assert.ok(inside.subarray(0, 16 + to).every((byte) => byte === 0xee));
      assert.ok(inside.subarray(16 + to + size).every((byte) => byte === 0xee));
      bytes.fill(0x11);
      port.copyOut(20000 + from, base + 16 + to, size);
      assert.deepEqual(bytes.slice(20000 + from, 20000 + from + size), expected);
      assert.equal(bytes[20000 + from + size], 0x11);
      assert.equal(bytes[20000 + from - 1], 0x11);
    }
  }
  engine.pool.terminate();
});

test("copies follow the growth of either memory", () => {
  const engine = startEngine();
  const { foreign, port } = connect(engine);
  foreign.grow(3);
  const far = 3 * 65536;
  new Uint8Array(foreign.buffer)[far] = 77;
  const block = port.allocate(64 << 20);
  const end = block + (64 << 20) - 4;
  assert.notEqual(block, 0);
  port.copyIn(end, far, 1);
  port.copyOut(far + 8, end, 1);
  assert.equal(new Uint8Array(foreign.buffer)[far + 8], 77);
  engine.pool.terminate();
});

test("a copy out of bounds is reported and throws nothing", () => {
  const engine = startEngine();
  const { port } = connect(engine);
  const lines: string[] = [];
  const { error } = console;
  console.error = (...parts: unknown[]) => void lines.push(parts.join(" "));
  port.copyIn(-8, 0, 4096);
  console.error = error;
  assert.match(lines.join(), /wasm-torch: copying to the engine failed/);
  engine.pool.terminate();
});

test("an allocation beyond the memory is refused and smaller ones still work", () => {
  const engine = startEngine();
  const { port } = connect(engine);
  const blocks: number[] = [];
  for (let block: number; (block = port.allocate(1 << 30)) !== 0; ) blocks.push(block);
  assert.equal(blocks.length, 3, "4 GiB hold three blocks of 1 GiB and the engine");
  const detail = new BigInt64Array(engine.views.memory.buffer, port.errorDetail() >>> 0, 3);
  assert.equal(detail[0], 1n << 30n);
  blocks.forEach((block) => port.release(block));
  assert.notEqual(port.allocate(1 << 20), 0);
  engine.pool.terminate();
});

test("an unknown kernel is a status", () => {
  const engine = startEngine();
  const { port } = connect(engine);
  const zeros = Array.from({ length: 16 }, () => 0);
  assert.equal(port.submit(9999, ...zeros), 8);
  assert.equal(port.submit(UNARY_CONTIGUOUS, ...zeros), 4);
  assert.notEqual(port.submit(UNARY_CONTIGUOUS, ...zeros), OUT_OF_MEMORY);
  engine.pool.terminate();
});

test("the port counts and resets memory", () => {
  const engine = startEngine();
  const { port } = connect(engine);
  const before = port.memoryStat(0);
  const block = port.allocate(1 << 20);
  assert.ok(port.memoryStat(0) >= before + (1 << 20));
  port.release(block);
  assert.equal(port.memoryStat(0), before);
  assert.ok(port.memoryStat(1) > before);
  port.resetPeakMemory();
  assert.equal(port.memoryStat(1), before);
  assert.ok(port.memoryStat(3) > 2 ** 32 - 2 ** 24, "all but the engine's own data");
  engine.pool.terminate();
});
