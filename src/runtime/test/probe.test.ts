import assert from "node:assert/strict";
import { test } from "node:test";
import { bestVariant } from "../src/core/probe";

/** An engine without the proposals whose opcodes or flags occur in the given byte sequences. */
function engineWithout(...forbidden: number[][]) {
  return (source: BufferSource): boolean => {
    const bytes = [...(source as Uint8Array)].join();
    return WebAssembly.validate(source) && !forbidden.some((part) => bytes.includes(part.join()));
  };
}

const RELAXED = [0xfd, 0x80, 0x02];
const SPLAT = [0xfd, 0x0f];
const SHARED_LIMITS = [0x01, 0x03, 0x01, 0x01];

test("this Node runs SIMD at least", () => {
  assert.match(String(bestVariant()), /^(relaxed|simd)$/);
});

test("without relaxed SIMD the plain SIMD binary is taken", () => {
  assert.equal(bestVariant(engineWithout(RELAXED)), "simd");
});

test("without SIMD the scalar binary is taken", () => {
  assert.equal(bestVariant(engineWithout(RELAXED, SPLAT)), "scalar");
});

test("without shared memory there is no binary", () => {
  assert.equal(bestVariant(engineWithout(SHARED_LIMITS)), null);
});
