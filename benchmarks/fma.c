/* Multiply-adds in registers: the 128-bit peak that matrix products are held against. Twelve
 * accumulators cover the latency of the instruction. */
#include <wasm_simd128.h>

float fma_loop(int loops, float factor) {
  v128_t acc[12], left = wasm_f32x4_splat(factor), right = wasm_f32x4_splat(1 - factor);
  for (int i = 0; i < 12; i++) acc[i] = wasm_f32x4_splat((float)i);
  for (int loop = 0; loop < loops; loop++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 12; i++) acc[i] = wasm_f32x4_relaxed_madd(left, right, acc[i]);
  }
  for (int i = 1; i < 12; i++) acc[0] = wasm_f32x4_add(acc[0], acc[i]);
  return wasm_f32x4_extract_lane(acc[0], 0);
}
