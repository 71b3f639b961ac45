/* Reductions of contiguous float32 runs, in SIMD and as scalar references.
 *
 * A run is x[0..count-1]. Sums are taken in float32 over blocks of at most WT_RUN_BLOCK elements
 * spread over 32 lanes, and across blocks in float64: the rounding error does not grow with count.
 */
#ifndef WASM_TORCH_F32_RUNS_H
#define WASM_TORCH_F32_RUNS_H

#include "core/core.h"

#define WT_RUN_BLOCK 1024

/* R(result, name, parameters): wt_f32_<name> is wt_f32_<name>_simd or wt_f32_<name>_reference. */
#define WT_F32_RUNS(R)                                                                             \
  R(double, sum, (const float *x, wt_word count))                                                  \
  R(double, sum_abs, (const float *x, wt_word count))                                              \
  /* Squares in float64, so that they neither overflow nor vanish. */                              \
  R(double, sum_squares, (const float *x, wt_word count))                                          \
  /* Sums of x - center and of its square. */                                                      \
  R(void, deviations, (const float *x, wt_word count, float center, double *sum, double *squares)) \
  /* Sums of a and of a * (x - center). */                                                         \
  R(void, centered_dot,                                                                            \
    (const float *a, const float *x, wt_word count, float center, double *sum, double *dot))       \
  /* Largest and smallest element, NaN where any is NaN, -inf and inf of nothing. */               \
  R(float, max, (const float *x, wt_word count))                                                   \
  R(float, min, (const float *x, wt_word count))                                                   \
  /* Writes exp(x - center) to out, which may be x or NULL, and returns the sum. */                \
  R(double, exp_sum, (float *out, const float *x, wt_word count, float center))

#define R(result, name, parameters)       \
  result wt_f32_##name##_simd parameters; \
  result wt_f32_##name##_reference parameters;
WT_F32_RUNS(R)
#undef R

#if WT_USE_REFERENCE
#define WT_F32_RUN(name) wt_f32_##name##_reference
#else
#define WT_F32_RUN(name) wt_f32_##name##_simd
#endif

#endif
