/** Files in pieces: streams of bytes, which are read into one buffer, and other streams. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FetchError } from "../src/model/errors";
import { allBytes, pieces, type Source } from "../src/model/source";

const data = Uint8Array.from({ length: 1_000_000 }, (_, i) => (i * 89 + (i >> 9)) & 255);

/** A stream that gives objects: no reader brings its own buffer. */
function stream(ending: (controller: ReadableStreamDefaultController) => void) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= data.length) ending(controller);
      else controller.enqueue(data.slice(at, (at += 300_000)));
    },
  });
}

async function gathered(source: Source): Promise<Uint8Array> {
  const found: number[] = [];
  for await (const piece of pieces(source)) for (const byte of piece) found.push(byte);
  return Uint8Array.from(found);
}

test("all bytes come in order, from bytes and from streams of both kinds", async () => {
  assert.deepEqual(await gathered(data.buffer), data);
  assert.deepEqual(await gathered(data.subarray(5, 77)), data.subarray(5, 77));
  assert.deepEqual(await gathered(new Blob([data])), data);
  assert.deepEqual(await gathered(new Response(data)), data);
  assert.deepEqual(await gathered(new Response(stream((c) => c.close()))), data);
  assert.deepEqual(await gathered(new Blob([])), new Uint8Array(0));
});

test("a stream of bytes is read into one buffer", async () => {
  const buffers: ArrayBufferLike[] = [];
  for await (const piece of pieces(new Blob([data]))) {
    assert.ok(buffers.every((buffer) => buffer.byteLength === 0)); // handed on to the next piece
    buffers.push(piece.buffer);
  }
  assert.ok(buffers.length > 1);
});

test("a stream that fails, or is left, is told", async () => {
  const failing = stream((controller) => controller.error(new Error("the line is cut")));
  await assert.rejects(gathered(new Response(failing)), /the line is cut/);
  const abort = new AbortController();
  const left = async () => {
    for await (const piece of pieces(new Blob([data]), abort.signal)) {
      assert.ok(piece.length > 0);
      abort.abort();
    }
  };
  await assert.rejects(left(), { name: "AbortError" });
});

test("a whole file, or why there is none", async () => {
  const url = URL.createObjectURL(new Blob([data]));
  assert.deepEqual(new Uint8Array(await allBytes(url)), data);
  await assert.rejects(allBytes("/no/such/file"), FetchError);
});
