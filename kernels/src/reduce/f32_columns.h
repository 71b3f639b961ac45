/* Reductions of float32 down the columns of a strided matrix, vectorised across columns.
 *
 * x is (rows, width): element (r, c) at x[r * stride + c]; width is at most WT_COLUMN_TILE. Each
 * call adds to what the caller's per-column totals already hold.
 */
#ifndef WASM_TORCH_F32_COLUMNS_H
#define WASM_TORCH_F32_COLUMNS_H

#include "core/core.h"

#define WT_COLUMN_TILE 128
/* Rows summed in float32 before the sums are added to the float64 totals. */
#define WT_COLUMN_ROWS 64

typedef struct wt_columns {
  const float *x;
  wt_word stride; /* in elements, from row to row */
  wt_word rows;
  wt_word width;
} wt_columns;

/* totals[c] += sum of column c. */
void wt_f32_columns_sum(double *totals, wt_columns columns);
/* The extreme of column c and best[c], NaN where any is NaN. */
void wt_f32_columns_max(float *best, wt_columns columns);
void wt_f32_columns_min(float *best, wt_columns columns);
/* Merges the columns into running moments of `count` rows: mean[c], squares[c] = sum of squared
 * deviations from the mean (Chan, Golub & LeVeque 1983). */
void wt_f32_columns_moments(double *mean, double *squares, int64_t count, wt_columns columns);
/* sums[c] += sum of a; dots[c] += sum of a * (x - center[c]); a is laid out with its own stride. */
void wt_f32_columns_centered_dot(double *sums, double *dots, const float *center, const float *a,
                                 wt_word a_stride, wt_columns columns);

#endif
