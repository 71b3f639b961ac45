import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemory, MemoryViews } from "../src/core/memory";

test("the largest maximum that the system grants is taken", () => {
  const asked: number[] = [];
  const { Memory } = WebAssembly;
  class StingyMemory extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      asked.push(descriptor.maximum!);
      if (descriptor.maximum! > 16384) throw new RangeError("could not allocate memory");
      super(descriptor);
    }
  }
  WebAssembly.Memory = StingyMemory;
  try {
    const { memory, limit } = createMemory(1);
    assert.equal(memory.buffer.byteLength, 65536);
    assert.equal(limit, 2 ** 30);
    assert.deepEqual(asked, [65536, 32768, 16384]);
  } finally {
    WebAssembly.Memory = Memory;
  }
});

test("where nothing is granted the error says so", () => {
  const { Memory } = WebAssembly;
  WebAssembly.Memory = class extends Memory {
    constructor() {
      super({ initial: 2, maximum: 1, shared: true });
    }
  };
  try {
    assert.throws(() => createMemory(1), /no shared WebAssembly memory of 512 MiB/);
  } finally {
    WebAssembly.Memory = Memory;
  }
});

test("views reach what the memory grew by", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
  const views = new MemoryViews(memory);
  assert.equal(views.reaching(65536).bytes.length, 65536);
  memory.grow(2);
  assert.equal(views.reaching(65537).bytes.length, 3 * 65536);
  assert.equal(views.reaching(3 * 65536).words.length, (3 * 65536) / 4);
});
