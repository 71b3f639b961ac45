/** Finds out what the WebAssembly engine understands, and so which of our binaries it can run. */

import { HEADER } from "./encode";

/** The binaries, the fastest first: relaxed SIMD, SIMD, and the plain one for tests. */
export type Variant = "relaxed" | "simd" | "scalar";

/** A module with one function of type () -> v128 and this body. */
function vectorModule(...body: number[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(
    ...HEADER,
    ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b], // type 0: () -> v128
    ...[0x03, 0x02, 0x01, 0x00], // function 0 has type 0
    ...[0x0a, body.length + 4, 0x01, body.length + 2, 0x00, ...body, 0x0b], // its code, no locals
  );
}

const SPLAT_ZERO = [0x41, 0x00, 0xfd, 0x0f]; // i32.const 0, i8x16.splat
const RELAXED_SWIZZLE = [0xfd, 0x80, 0x02];

/** A module with a memory that is shared: limits flags 3, minimum 1, maximum 1. */
const SHARED_MEMORY = Uint8Array.of(...HEADER, ...[0x05, 0x04, 0x01, 0x03, 0x01, 0x01]);

/** The fastest variant this engine can run; null where even the scalar one cannot. */
export function bestVariant(
  validate: (bytes: BufferSource) => boolean = WebAssembly.validate,
): Variant | null {
  if (!validate(SHARED_MEMORY)) return null;
  if (validate(vectorModule(...SPLAT_ZERO, ...SPLAT_ZERO, ...RELAXED_SWIZZLE))) return "relaxed";
  return validate(vectorModule(...SPLAT_ZERO)) ? "simd" : "scalar";
}
