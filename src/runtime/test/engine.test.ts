import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { Worker as NodeWorker } from "node:worker_threads";
import type { Engine } from "../src/core";
import { WorkerPool } from "../src/core/pool";
import { compile, connect, expWords, startEngine, TRAP, UNARY_CONTIGUOUS } from "./engines";

const CORES = availableParallelism();
const MANY = 1 << 20;
const WILD = -4096; // the last page below 4 GiB

/** Runs exp over MANY zeros with the pool and checks every result. */
function assertJobsWork(engine: Engine): void {
  const { port } = connect(engine);
  const source = port.allocate(4 * MANY);
  const out = port.allocate(4 * MANY);
  const floats = new Float32Array(engine.views.memory.buffer);
  floats.fill(0, source >>> 2, (source >>> 2) + MANY);
  assert.equal(port.submit(UNARY_CONTIGUOUS, ...expWords(out, source, MANY)), 0);
  assert.ok(floats.subarray(out >>> 2, (out >>> 2) + MANY).every((value) => value === 1));
  port.release(source);
  port.release(out);
}

/** Runs `body` and returns what it wrote to console.warn. */
async function warnings(body: () => unknown): Promise<string[]> {
  const lines: string[] = [];
  const { warn } = console;
  console.warn = (...parts: unknown[]) => void lines.push(parts.join(" "));
  try {
    await body();
  } finally {
    console.warn = warn;
  }
  return lines;
}

test("calls work at once and workers join after a turn of the event loop", async () => {
  const engine = startEngine();
  assertJobsWork(engine);
  assert.equal(await engine.threadsReady(), Math.min(4, CORES));
  assertJobsWork(engine);
  engine.pool.terminate();
});

test("more threads are started on demand, up to the machine's", async () => {
  const engine = startEngine();
  engine.setNumThreads(1);
  assert.equal(await engine.threadsReady(), 1);
  engine.setNumThreads(1000);
  assert.equal(await engine.threadsReady(), Math.min(64, CORES));
  assertJobsWork(engine);
  engine.pool.terminate();
});

test("a trap on any thread is a status, and the pool goes on", async () => {
  const engine = startEngine();
  const { port } = connect(engine);
  const threads = await engine.threadsReady();
  const out = port.allocate(4 * MANY);
  for (let i = 0; i < 5; i++) {
    assert.equal(port.submit(UNARY_CONTIGUOUS, ...expWords(out, WILD, 4)), TRAP);
    assert.equal(port.submit(UNARY_CONTIGUOUS, ...expWords(out, WILD - 2 * MANY, MANY)), TRAP);
  }
  assert.equal(await engine.threadsReady(), threads);
  assertJobsWork(engine);
  engine.pool.terminate();
});

test("a session's traps cost no worker, however many they are", async () => {
  const engine = startEngine();
  const { port } = connect(engine);
  const threads = await engine.threadsReady();
  const out = port.allocate(4 * MANY);
  const said = await warnings(async () => {
    for (let i = 0; i < 100; i++) {
      assert.equal(port.submit(UNARY_CONTIGUOUS, ...expWords(out, WILD - 2 * MANY, MANY)), TRAP);
      assert.equal(await engine.threadsReady(), threads);
    }
  });
  assert.deepEqual(said, []);
  assertJobsWork(engine);
  engine.pool.terminate();
});

test("a worker that traps outside of jobs is given up", { skip: CORES < 2 }, async () => {
  const engine = startEngine();
  const threads = await engine.threadsReady();
  assert.equal(engine.exports.wt_worker_failed(1), 0, "no job is running: it may not go on");
  const said = await warnings(async () => {
    engine.pool.terminate();
    const exports = { ...engine.exports, wt_worker_tls: () => WILD };
    const pool = new WorkerPool(exports, compile(), engine.views.memory);
    pool.grow(threads - 1);
    await pool.ready();
    assert.equal(pool.workers.size, 0);
  });
  assert.match(said[0]!, /worker \d+ is lost .*memory access out of bounds/);
  assertJobsWork(engine);
});

test("a terminated worker is counted out", { skip: CORES < 2 }, async () => {
  const engine = startEngine();
  const threads = await engine.threadsReady();
  const said = await warnings(async () => {
    await (engine.pool.workers.get(1) as unknown as NodeWorker).terminate();
    assertJobsWork(engine);
    await new Promise((resolve) => setTimeout(resolve, 50));
  });
  assert.equal(await engine.threadsReady(), threads - 1);
  assert.match(said.join(), /worker 1 is lost \(it ended\)/);
  engine.pool.terminate();
});

test("a thread that must not wait spins", async () => {
  const { wait } = Atomics;
  Atomics.wait = () => {
    throw new TypeError("Atomics.wait cannot be called in this context");
  };
  let engine: Engine;
  try {
    engine = startEngine();
  } finally {
    Atomics.wait = wait;
  }
  await engine.threadsReady();
  for (let i = 0; i < 20; i++) assertJobsWork(engine);
  engine.pool.terminate();
});

test("where memory cannot be shared there is one thread and one warning", async () => {
  const scope = globalThis as { Worker?: unknown; SharedArrayBuffer?: unknown };
  const { SharedArrayBuffer } = scope;
  scope.Worker = class {};
  delete scope.SharedArrayBuffer;
  let engine: Engine;
  const said = await warnings(() => {
    engine = startEngine();
  });
  scope.SharedArrayBuffer = SharedArrayBuffer;
  delete scope.Worker;
  assert.equal(said.length, 1);
  assert.match(said[0]!, /Cross-Origin-Opener-Policy: same-origin/);
  assert.match(said[0]!, /Cross-Origin-Embedder-Policy: require-corp/);
  assert.equal(engine!.setNumThreads(8), 1);
  assert.equal(await engine!.threadsReady(), 1);
  assertJobsWork(engine!);
});
