#include "reduce/f32_runs.h"

#include <math.h>

#include "pointwise/vector_math.h"
#include "simd.h"

WT_INLINE wt_word block_of(wt_word count) { return count < WT_RUN_BLOCK ? count : WT_RUN_BLOCK; }

WT_INLINE double fold8(const wt_f32x4 sums[8]) {
  return wt_f32x4_sum_f64(((sums[0] + sums[1]) + (sums[2] + sums[3])) +
                          ((sums[4] + sums[5]) + (sums[6] + sums[7])));
}
WT_INLINE double fold4(const wt_f32x4 sums[4]) {
  return wt_f32x4_sum_f64((sums[0] + sums[1]) + (sums[2] + sums[3]));
}
WT_INLINE wt_f32x4 absolute(wt_f32x4 x) {
  return (wt_f32x4)((wt_i32x4)x & wt_i32x4_splat(0x7fffffff));
}

/* ---- sums ---------------------------------------------------------------------------------- */
double wt_f32_sum_simd(const float *x, wt_word count) {
  double total = 0;
  for (wt_word n; count > 0; x += n, count -= n) {
    n = block_of(count);
    wt_f32x4 sums[8] = {{0}};
    wt_word i = 0;
    for (; i + 32 <= n; i += 32) {
      WT_UNROLL
      for (int k = 0; k < 8; k++) sums[k] += wt_f32x4_load(x + i + 4 * k);
    }
    for (; i + 4 <= n; i += 4) sums[0] += wt_f32x4_load(x + i);
    total += fold8(sums);
    for (; i < n; i++) total += (double)x[i];
  }
  return total;
}

double wt_f32_sum_abs_simd(const float *x, wt_word count) {
  double total = 0;
  for (wt_word n; count > 0; x += n, count -= n) {
    n = block_of(count);
    wt_f32x4 sums[8] = {{0}};
    wt_word i = 0;
    for (; i + 32 <= n; i += 32) {
      WT_UNROLL
      for (int k = 0; k < 8; k++) sums[k] += absolute(wt_f32x4_load(x + i + 4 * k));
    }
    for (; i + 4 <= n; i += 4) sums[0] += absolute(wt_f32x4_load(x + i));
    total += fold8(sums);
    for (; i < n; i++) total += fabs((double)x[i]);
  }
  return total;
}

double wt_f32_sum_squares_simd(const float *x, wt_word count) {
  wt_f64x2 sums[4] = {{0}};
  wt_word i = 0;
  for (; i + 8 <= count; i += 8) {
    wt_f32x4 a = wt_f32x4_load(x + i), b = wt_f32x4_load(x + i + 4);
    wt_f64x2 parts[4] = {wt_f64x2_from_low(a), wt_f64x2_from_high(a), wt_f64x2_from_low(b),
                         wt_f64x2_from_high(b)};
    WT_UNROLL
    for (int k = 0; k < 4; k++) sums[k] = wt_f64x2_madd(parts[k], parts[k], sums[k]);
  }
  double total = wt_f64x2_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < count; i++) total += (double)x[i] * (double)x[i];
  return total;
}

void wt_f32_deviations_simd(const float *x, wt_word count, float center, double *sum,
                            double *squares) {
  const wt_f32x4 centers = wt_f32x4_splat(center);
  double total = 0, total_squares = 0;
  for (wt_word n; count > 0; x += n, count -= n) {
    n = block_of(count);
    wt_f32x4 sums[4] = {{0}}, square_sums[4] = {{0}};
    wt_word i = 0;
    for (; i + 16 <= n; i += 16) {
      WT_UNROLL
      for (int k = 0; k < 4; k++) {
        wt_f32x4 d = wt_f32x4_load(x + i + 4 * k) - centers;
        sums[k] += d;
        square_sums[k] = wt_f32x4_madd(d, d, square_sums[k]);
      }
    }
    for (; i + 4 <= n; i += 4) {
      wt_f32x4 d = wt_f32x4_load(x + i) - centers;
      sums[0] += d;
      square_sums[0] = wt_f32x4_madd(d, d, square_sums[0]);
    }
    total += fold4(sums);
    total_squares += fold4(square_sums);
    for (; i < n; i++) {
      double d = (double)(x[i] - center);
      total += d;
      total_squares += d * d;
    }
  }
  *sum = total;
  *squares = total_squares;
}

void wt_f32_centered_dot_simd(const float *a, const float *x, wt_word count, float center,
                              double *sum, double *dot) {
  const wt_f32x4 centers = wt_f32x4_splat(center);
  double total = 0, total_dot = 0;
  for (wt_word n; count > 0; a += n, x += n, count -= n) {
    n = block_of(count);
    wt_f32x4 sums[4] = {{0}}, dots[4] = {{0}};
    wt_word i = 0;
    for (; i + 16 <= n; i += 16) {
      WT_UNROLL
      for (int k = 0; k < 4; k++) {
        wt_f32x4 factor = wt_f32x4_load(a + i + 4 * k);
        sums[k] += factor;
        dots[k] = wt_f32x4_madd(factor, wt_f32x4_load(x + i + 4 * k) - centers, dots[k]);
      }
    }
    for (; i + 4 <= n; i += 4) {
      wt_f32x4 factor = wt_f32x4_load(a + i);
      sums[0] += factor;
      dots[0] = wt_f32x4_madd(factor, wt_f32x4_load(x + i) - centers, dots[0]);
    }
    total += fold4(sums);
    total_dot += fold4(dots);
    for (; i < n; i++) {
      total += (double)a[i];
      total_dot += (double)a[i] * (double)(x[i] - center);
    }
  }
  *sum = total;
  *dot = total_dot;
}

/* ---- extremes ------------------------------------------------------------------------------ */
/* pmax and pmin drop a NaN in their second operand, so NaN is looked for on the side. */
#define DEFINE_EXTREME(name, pick, pick_lane, better, start)                         \
  float wt_f32_##name##_simd(const float *x, wt_word count) {                        \
    wt_f32x4 best[4];                                                                \
    wt_i32x4 unordered = {0, 0, 0, 0};                                               \
    for (int k = 0; k < 4; k++) best[k] = wt_f32x4_splat(start);                     \
    wt_word i = 0;                                                                   \
    for (; i + 16 <= count; i += 16) {                                               \
      WT_UNROLL                                                                      \
      for (int k = 0; k < 4; k++) {                                                  \
        wt_f32x4 v = wt_f32x4_load(x + i + 4 * k);                                   \
        best[k] = pick(best[k], v);                                                  \
        unordered |= v != v;                                                         \
      }                                                                              \
    }                                                                                \
    for (; i + 4 <= count; i += 4) {                                                 \
      wt_f32x4 v = wt_f32x4_load(x + i);                                             \
      best[0] = pick(best[0], v);                                                    \
      unordered |= v != v;                                                           \
    }                                                                                \
    float result = pick_lane(pick(pick(best[0], best[1]), pick(best[2], best[3])));  \
    bool has_nan = (unordered[0] | unordered[1] | unordered[2] | unordered[3]) != 0; \
    for (; i < count; i++) {                                                         \
      if (x[i] better result) result = x[i];                                         \
      has_nan |= x[i] != x[i];                                                       \
    }                                                                                \
    return has_nan ? NAN : result;                                                   \
  }                                                                                  \
  float wt_f32_##name##_reference(const float *x, wt_word count) {                   \
    float result = start;                                                            \
    for (wt_word i = 0; i < count; i++) {                                            \
      if (x[i] != x[i]) return NAN;                                                  \
      if (x[i] better result) result = x[i];                                         \
    }                                                                                \
    return result;                                                                   \
  }
DEFINE_EXTREME(max, wt_f32x4_pmax, wt_f32x4_max_lane, >, -INFINITY)
DEFINE_EXTREME(min, wt_f32x4_pmin, wt_f32x4_min_lane, <, INFINITY)

/* ---- exponentials -------------------------------------------------------------------------- */
WT_INLINE wt_f32x4 exp_of_four(float *out, const float *x, wt_f32x4 centers) {
  wt_f32x4 e = wt_f32x4_exp(wt_f32x4_load(x) - centers);
  if (out) wt_f32x4_store(out, e);
  return e;
}

double wt_f32_exp_sum_simd(float *out, const float *x, wt_word count, float center) {
  const wt_f32x4 centers = wt_f32x4_splat(center);
  double total = 0;
  for (wt_word n; count > 0; x += n, count -= n) {
    n = block_of(count);
    wt_f32x4 sums[4] = {{0}};
    wt_word i = 0;
    for (; i + 16 <= n; i += 16) {
      WT_UNROLL
      for (int k = 0; k < 4; k++)
        sums[k] += exp_of_four(out ? out + i + 4 * k : NULL, x + i + 4 * k, centers);
    }
    for (; i + 4 <= n; i += 4) sums[0] += exp_of_four(out ? out + i : NULL, x + i, centers);
    if (i < n) {
      wt_f32x4 e = wt_f32x4_exp(wt_f32x4_load_part(x + i, (int)(n - i)) - centers);
      for (int lane = 0; i + lane < n; lane++) total += (double)e[lane];
      if (out) wt_f32x4_store_part(out + i, e, (int)(n - i));
    }
    total += fold4(sums);
    if (out) out += n;
  }
  return total;
}

double wt_f32_exp_sum_reference(float *out, const float *x, wt_word count, float center) {
  double total = 0;
  for (wt_word i = 0; i < count; i++) {
    const float e = expf(x[i] - center);
    total += (double)e;
    if (out) out[i] = e;
  }
  return total;
}

/* ---- scalar references --------------------------------------------------------------------- */
double wt_f32_sum_reference(const float *x, wt_word count) {
  double total = 0;
  for (wt_word i = 0; i < count; i++) total += (double)x[i];
  return total;
}

double wt_f32_sum_abs_reference(const float *x, wt_word count) {
  double total = 0;
  for (wt_word i = 0; i < count; i++) total += fabs((double)x[i]);
  return total;
}

double wt_f32_sum_squares_reference(const float *x, wt_word count) {
  double total = 0;
  for (wt_word i = 0; i < count; i++) total += (double)x[i] * (double)x[i];
  return total;
}

void wt_f32_deviations_reference(const float *x, wt_word count, float center, double *sum,
                                 double *squares) {
  *sum = *squares = 0;
  for (wt_word i = 0; i < count; i++) {
    double d = (double)(x[i] - center);
    *sum += d;
    *squares += d * d;
  }
}

void wt_f32_centered_dot_reference(const float *a, const float *x, wt_word count, float center,
                                   double *sum, double *dot) {
  *sum = *dot = 0;
  for (wt_word i = 0; i < count; i++) {
    *sum += (double)a[i];
    *dot += (double)a[i] * (double)(x[i] - center);
  }
}
