/* The loops of float32 rows, from an expression on vectors.
 *
 * Operands advance by 4 * step elements a vector, so that a repeated operand (step 0) is read again
 * from its splat; `count` elements are written and no byte beyond.
 */
#ifndef WASM_TORCH_POINTWISE_FLOAT32_ROW_H
#define WASM_TORCH_POINTWISE_FLOAT32_ROW_H

#include "pointwise/row.h"
#include "pointwise/vector_math.h"

WT_INLINE wt_f32x4 wt_load_tail(const float *p, wt_word step, wt_word count) {
  if (step == 0 || count >= 4) return wt_f32x4_load(p);
  wt_f32x4 v = {p[0], 0, 0, 0};
  if (count > 1) v[1] = p[1];
  if (count > 2) v[2] = p[2];
  return v;
}
WT_INLINE void wt_store_tail(float *p, wt_f32x4 v, wt_word count) {
  if (count >= 4) {
    wt_f32x4_store(p, v);
    return;
  }
  p[0] = v[0];
  if (count > 1) p[1] = v[1];
  if (count > 2) p[2] = v[2];
}

/* Sixteen masks of four vectors as sixteen bools. */
WT_INLINE wt_u8x16 wt_bools_from_masks(wt_i32x4 a, wt_i32x4 b, wt_i32x4 c, wt_i32x4 d) {
#if defined(__wasm_simd128__)
  v128_t low = wasm_i16x8_narrow_i32x4((v128_t)a, (v128_t)b);
  v128_t high = wasm_i16x8_narrow_i32x4((v128_t)c, (v128_t)d);
  return (wt_u8x16)wasm_i8x16_narrow_i16x8(low, high) & 1;
#else
  wt_i16x8 low = __builtin_shufflevector((wt_i16x8)a, (wt_i16x8)b, 0, 2, 4, 6, 8, 10, 12, 14);
  wt_i16x8 high = __builtin_shufflevector((wt_i16x8)c, (wt_i16x8)d, 0, 2, 4, 6, 8, 10, 12, 14);
  return __builtin_shufflevector((wt_u8x16)low, (wt_u8x16)high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18,
                                 20, 22, 24, 26, 28, 30) &
         1;
#endif
}

/* Parameters as vectors, where the expression names them. */
#define WT_ROW_PARAMETERS                                                              \
  wt_f32x4 p0 = wt_f32x4_splat((float)call->p0), p1 = wt_f32x4_splat((float)call->p1); \
  (void)p0;                                                                            \
  (void)p1

/* WT_FLOAT32_UNARY(name, expression in x, p0, p1): float32_<name>(call). */
#define WT_FLOAT32_UNARY(name, expression)                                     \
  static int float32_##name(const wt_row_call *call) {                         \
    WT_ROW_PARAMETERS;                                                         \
    const float *in = call->in[0];                                             \
    float *out = call->out;                                                    \
    for (wt_word left = call->count; left > 0; left -= 4, in += 4, out += 4) { \
      wt_f32x4 x = wt_load_tail(in, 1, left);                                  \
      wt_store_tail(out, (expression), left);                                  \
    }                                                                          \
    return WT_OK;                                                              \
  }

/* WT_FLOAT32_BINARY(name, expression in a, b, p0). */
#define WT_FLOAT32_BINARY(name, expression)                                            \
  static int float32_##name(const wt_row_call *call) {                                 \
    WT_ROW_PARAMETERS;                                                                 \
    const float *in0 = call->in[0], *in1 = call->in[1];                                \
    wt_word step0 = call->step[0], step1 = call->step[1], left = call->count;          \
    float *out = call->out;                                                            \
    for (; left >= 8; left -= 8, out += 8) {                                           \
      wt_f32x4 a = wt_f32x4_load(in0), b = wt_f32x4_load(in1);                         \
      wt_f32x4 first = (expression);                                                   \
      a = wt_f32x4_load(in0 + 4 * step0);                                              \
      b = wt_f32x4_load(in1 + 4 * step1);                                              \
      wt_f32x4 second = (expression);                                                  \
      wt_f32x4_store(out, first);                                                      \
      wt_f32x4_store(out + 4, second);                                                 \
      in0 += 8 * step0;                                                                \
      in1 += 8 * step1;                                                                \
    }                                                                                  \
    for (; left > 0; left -= 4, out += 4, in0 += 4 * step0, in1 += 4 * step1) {        \
      wt_f32x4 a = wt_load_tail(in0, step0, left), b = wt_load_tail(in1, step1, left); \
      wt_store_tail(out, (expression), left);                                          \
    }                                                                                  \
    return WT_OK;                                                                      \
  }

/* The same for expressions too long to be worth a second copy. */
#define WT_FLOAT32_BINARY_COSTLY(name, expression)                                     \
  static int float32_##name(const wt_row_call *call) {                                 \
    WT_ROW_PARAMETERS;                                                                 \
    const float *in0 = call->in[0], *in1 = call->in[1];                                \
    wt_word step0 = call->step[0], step1 = call->step[1], left = call->count;          \
    float *out = call->out;                                                            \
    for (; left > 0; left -= 4, out += 4, in0 += 4 * step0, in1 += 4 * step1) {        \
      wt_f32x4 a = wt_load_tail(in0, step0, left), b = wt_load_tail(in1, step1, left); \
      wt_store_tail(out, (expression), left);                                          \
    }                                                                                  \
    return WT_OK;                                                                      \
  }

/* Predicates: a vector expression giving masks, sixteen lanes at a time; the rest one by one
 * through the same expression. */
#define WT_FLOAT32_PREDICATE(name, expression)                                         \
  WT_INLINE wt_i32x4 float32_##name##_mask(wt_f32x4 a, wt_f32x4 b) {                   \
    (void)b;                                                                           \
    return (expression);                                                               \
  }                                                                                    \
  static int float32_##name(const wt_row_call *call) {                                 \
    const float *in0 = call->in[0], *in1 = call->in[1];                                \
    wt_word step0 = call->step[0], step1 = call->step[1], left = call->count;          \
    uint8_t *out = call->out;                                                          \
    if (in1 == NULL) in1 = in0; /* a unary predicate */                                \
    for (; left >= 16; left -= 16, out += 16, in0 += 16 * step0, in1 += 16 * step1) {  \
      wt_i32x4 mask[4];                                                                \
      WT_UNROLL for (int k = 0; k < 4; k++) {                                          \
        mask[k] = float32_##name##_mask(wt_f32x4_load(in0 + 4 * k * step0),            \
                                        wt_f32x4_load(in1 + 4 * k * step1));           \
      }                                                                                \
      wt_u8x16_store(out, wt_bools_from_masks(mask[0], mask[1], mask[2], mask[3]));    \
    }                                                                                  \
    for (; left > 0; left--, out++, in0 += step0, in1 += step1) {                      \
      *out = float32_##name##_mask(wt_f32x4_splat(*in0), wt_f32x4_splat(*in1))[0] & 1; \
    }                                                                                  \
    return WT_OK;                                                                      \
  }

#endif
