#include "reduce/f32_columns.h"

#include <math.h>

#include "simd.h"

/* Whether groups of columns are taken in vectors; the loops over single columns are the reference.
 */
#if WT_USE_REFERENCE
#define VECTOR_GROUPS 0
#else
#define VECTOR_GROUPS 1
#endif

WT_INLINE wt_word rows_of(wt_word rows) { return rows < WT_COLUMN_ROWS ? rows : WT_COLUMN_ROWS; }

/* The loops below run down one group of columns at a time with the sums in registers: 16 columns,
 * then 4, then single ones. `lanes` is a compile-time constant after inlining. */
WT_INLINE void sum_group(double *totals, const float *x, wt_word stride, wt_word rows,
                         const int vectors) {
  wt_f32x4 even[4] = {{0}}, odd[4] = {{0}};
  wt_word r = 0;
  for (; r + 2 <= rows; r += 2, x += 2 * stride)
    for (int k = 0; k < vectors; k++) {
      even[k] += wt_f32x4_load(x + 4 * k);
      odd[k] += wt_f32x4_load(x + stride + 4 * k);
    }
  if (r < rows)
    for (int k = 0; k < vectors; k++) even[k] += wt_f32x4_load(x + 4 * k);
  for (int k = 0; k < vectors; k++) {
    wt_f32x4 sum = even[k] + odd[k];
    wt_f64x2_store(totals + 4 * k, wt_f64x2_load(totals + 4 * k) + wt_f64x2_from_low(sum));
    wt_f64x2_store(totals + 4 * k + 2, wt_f64x2_load(totals + 4 * k + 2) + wt_f64x2_from_high(sum));
  }
}

void wt_f32_columns_sum(double *totals, wt_columns columns) {
  const wt_word stride = columns.stride, width = columns.width;
  for (wt_word begin = 0, rows; begin < columns.rows; begin += rows) {
    rows = rows_of(columns.rows - begin);
    const float *x = columns.x + begin * stride;
    wt_word c = 0;
    for (; VECTOR_GROUPS && c + 16 <= width; c += 16) sum_group(totals + c, x + c, stride, rows, 4);
    for (; VECTOR_GROUPS && c + 4 <= width; c += 4) sum_group(totals + c, x + c, stride, rows, 1);
    for (; c < width; c++)
      for (wt_word r = 0; r < rows; r++) totals[c] += (double)x[r * stride + c];
  }
}

/* ---- extremes ------------------------------------------------------------------------------ */
#define DEFINE_EXTREME(name, better)                                                     \
  WT_INLINE void name##_group(float *best, const float *x, wt_word stride, wt_word rows, \
                              const int vectors) {                                       \
    wt_f32x4 held[4];                                                                    \
    for (int k = 0; k < vectors; k++) held[k] = wt_f32x4_load(best + 4 * k);             \
    for (wt_word r = 0; r < rows; r++, x += stride)                                      \
      for (int k = 0; k < vectors; k++)                                                  \
        held[k] = wt_f32x4_##name##imum(held[k], wt_f32x4_load(x + 4 * k));              \
    for (int k = 0; k < vectors; k++) wt_f32x4_store(best + 4 * k, held[k]);             \
  }                                                                                      \
  void wt_f32_columns_##name(float *best, wt_columns columns) {                          \
    const wt_word stride = columns.stride, width = columns.width;                        \
    for (wt_word begin = 0, rows; begin < columns.rows; begin += rows) {                 \
      rows = rows_of(columns.rows - begin);                                              \
      const float *x = columns.x + begin * stride;                                       \
      wt_word c = 0;                                                                     \
      for (; VECTOR_GROUPS && c + 16 <= width; c += 16)                                  \
        name##_group(best + c, x + c, stride, rows, 4);                                  \
      for (; VECTOR_GROUPS && c + 4 <= width; c += 4)                                    \
        name##_group(best + c, x + c, stride, rows, 1);                                  \
      for (; c < width; c++)                                                             \
        for (wt_word r = 0; r < rows; r++) {                                             \
          const float v = x[r * stride + c];                                             \
          if (v better best[c] || v != v) best[c] = v;                                   \
        }                                                                                \
    }                                                                                    \
  }
DEFINE_EXTREME(max, >)
DEFINE_EXTREME(min, <)

/* ---- moments ------------------------------------------------------------------------------- */
/* sums[c] and squares[c] of x - center[c] over at most WT_COLUMN_ROWS rows. */
WT_INLINE void deviations_group(double *sums, double *squares, const float *center, const float *x,
                                wt_word stride, wt_word rows, const int vectors) {
  wt_f32x4 sum[4] = {{0}}, square[4] = {{0}}, centers[4];
  for (int k = 0; k < vectors; k++) centers[k] = wt_f32x4_load(center + 4 * k);
  for (wt_word r = 0; r < rows; r++, x += stride)
    for (int k = 0; k < vectors; k++) {
      wt_f32x4 d = wt_f32x4_load(x + 4 * k) - centers[k];
      sum[k] += d;
      square[k] = wt_f32x4_madd(d, d, square[k]);
    }
  for (int k = 0; k < vectors; k++) {
    wt_f64x2_store(sums + 4 * k, wt_f64x2_from_low(sum[k]));
    wt_f64x2_store(sums + 4 * k + 2, wt_f64x2_from_high(sum[k]));
    wt_f64x2_store(squares + 4 * k, wt_f64x2_from_low(square[k]));
    wt_f64x2_store(squares + 4 * k + 2, wt_f64x2_from_high(square[k]));
  }
}

static void deviations(double *sums, double *squares, const float *center, const float *x,
                       wt_word stride, wt_word rows, wt_word width) {
  wt_word c = 0;
  for (; VECTOR_GROUPS && c + 16 <= width; c += 16)
    deviations_group(sums + c, squares + c, center + c, x + c, stride, rows, 4);
  for (; VECTOR_GROUPS && c + 4 <= width; c += 4)
    deviations_group(sums + c, squares + c, center + c, x + c, stride, rows, 1);
  for (; c < width; c++) {
    sums[c] = squares[c] = 0;
    for (wt_word r = 0; r < rows; r++) {
      double d = (double)(x[r * stride + c] - center[c]);
      sums[c] += d;
      squares[c] += d * d;
    }
  }
}

void wt_f32_columns_moments(double *mean, double *squares, int64_t count, wt_columns columns) {
  const wt_word stride = columns.stride, width = columns.width;
  for (wt_word begin = 0, rows; begin < columns.rows; begin += rows, count += rows) {
    rows = rows_of(columns.rows - begin);
    const float *x = columns.x + begin * stride;
    double sums[WT_COLUMN_TILE] = {0}, block_squares[WT_COLUMN_TILE];
    float center[WT_COLUMN_TILE];
    wt_f32_columns_sum(sums, (wt_columns){x, stride, rows, width});
    for (wt_word c = 0; c < width; c++) center[c] = (float)(sums[c] / (double)rows);
    deviations(sums, block_squares, center, x, stride, rows, width);
    const double share = (double)rows / (double)(count + rows), inverse_rows = 1.0 / (double)rows;
    for (wt_word c = 0; c < width; c++) {
      double block_mean = (double)center[c] + sums[c] * inverse_rows;
      double block_square = block_squares[c] - sums[c] * sums[c] * inverse_rows;
      if (block_square < 0) block_square = 0; /* by rounding; keeps NaN */
      double delta = block_mean - mean[c];
      mean[c] = count ? mean[c] + delta * share : block_mean;
      squares[c] += block_square + (count ? delta * delta * (double)count * share : 0.0);
    }
  }
}

/* ---- centered dot -------------------------------------------------------------------------- */
WT_INLINE void centered_dot_group(double *sums, double *dots, const float *center, const float *a,
                                  wt_word a_stride, const float *x, wt_word stride, wt_word rows,
                                  const int vectors) {
  wt_f32x4 sum[4] = {{0}}, dot[4] = {{0}}, centers[4];
  for (int k = 0; k < vectors; k++) centers[k] = wt_f32x4_load(center + 4 * k);
  for (wt_word r = 0; r < rows; r++, x += stride, a += a_stride)
    for (int k = 0; k < vectors; k++) {
      wt_f32x4 factor = wt_f32x4_load(a + 4 * k);
      sum[k] += factor;
      dot[k] = wt_f32x4_madd(factor, wt_f32x4_load(x + 4 * k) - centers[k], dot[k]);
    }
  for (int k = 0; k < vectors; k++)
    for (int lane = 0; lane < 4; lane++) {
      sums[4 * k + lane] += (double)sum[k][lane];
      dots[4 * k + lane] += (double)dot[k][lane];
    }
}

void wt_f32_columns_centered_dot(double *sums, double *dots, const float *center, const float *a,
                                 wt_word a_stride, wt_columns columns) {
  const wt_word stride = columns.stride, width = columns.width;
  for (wt_word begin = 0, rows; begin < columns.rows; begin += rows) {
    rows = rows_of(columns.rows - begin);
    const float *x = columns.x + begin * stride, *factor = a + begin * a_stride;
    wt_word c = 0;
    for (; VECTOR_GROUPS && c + 16 <= width; c += 16)
      centered_dot_group(sums + c, dots + c, center + c, factor + c, a_stride, x + c, stride, rows,
                         4);
    for (; VECTOR_GROUPS && c + 4 <= width; c += 4)
      centered_dot_group(sums + c, dots + c, center + c, factor + c, a_stride, x + c, stride, rows,
                         1);
    for (; c < width; c++)
      for (wt_word r = 0; r < rows; r++) {
        sums[c] += (double)factor[r * a_stride + c];
        dots[c] += (double)factor[r * a_stride + c] * (double)(x[r * stride + c] - center[c]);
      }
  }
}
