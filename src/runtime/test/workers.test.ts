/** The pool's workers, which the page starts for the runtime's worker. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { mock, test } from "node:test";
import workerThreads, { type Worker } from "node:worker_threads";
import { start } from "../src/api/runtime";

const SKIP = { skip: availableParallelism() < 2 };
const ENGINE = new URL("../../engine/", import.meta.url).pathname;

interface Started {
  name: string;
  worker: Worker;
}

/** Runs `body` while every worker that this thread starts is noted; `refuse` throws for some. */
async function noting(
  body: (started: Started[]) => Promise<void>,
  refuse: (name: string) => boolean = () => false,
): Promise<void> {
  const started: Started[] = [];
  const { Worker: Original } = workerThreads;
  const warn = mock.method(console, "warn", () => undefined);
  workerThreads.Worker = class extends Original {
    constructor(source: string, options: { name: string }) {
      if (refuse(options.name)) throw new Error("no such workers here");
      super(source, options);
      started.push({ name: options.name, worker: this });
    }
  } as typeof Original;
  try {
    await body(started);
  } finally {
    workerThreads.Worker = Original;
    warn.mock.restore();
  }
}

const names = (started: Started[]) => started.map(({ name }) => name);
const ended = ({ worker }: Started) => worker.threadId === -1;

test("the page starts the pool, and ends it with the runtime", SKIP, async () => {
  await noting(async (started) => {
    const runtime = await start({ threads: 2, engine: ENGINE }, ENGINE);
    assert.equal(runtime.threads, 2);
    assert.deepEqual(names(started), ["wasm-torch", "wasm-torch 1"]);
    runtime.dispose();
    await Promise.all(started.map(({ worker }) => once(worker, "exit")));
  });
});

test("a new engine has new workers, and the old ones are gone", SKIP, async () => {
  await noting(async (started) => {
    const runtime = await start({ threads: 2, engine: ENGINE }, ENGINE);
    assert.equal(await runtime.trim(), true);
    assert.deepEqual(names(started), ["wasm-torch", "wasm-torch 1", "wasm-torch 1"]);
    const old = started[1]!;
    if (!ended(old)) await once(old.worker, "exit");
    assert.equal(ended(started[2]!), false);
    runtime.dispose();
  });
});

test("a worker that the page cannot start, or loses, is counted out", SKIP, async () => {
  const refuse = (name: string) => name === "wasm-torch 1";
  await noting(async (started) => {
    const runtime = await start({ threads: 2, engine: ENGINE }, ENGINE);
    assert.equal(runtime.threads, 1);
    assert.deepEqual(names(started), ["wasm-torch"]);
    runtime.dispose();
  }, refuse);
  await noting(async (started) => {
    const runtime = await start({ threads: 2, engine: ENGINE }, ENGINE);
    await started[1]!.worker.terminate();
    assert.ok((await runtime.getMemoryStats()).reservedBytes > 0, "it goes on");
    assert.equal(await runtime.trim(), true);
    assert.deepEqual(names(started), ["wasm-torch", "wasm-torch 1", "wasm-torch 1"]);
    runtime.dispose();
  });
});
