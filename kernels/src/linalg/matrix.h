/* What the factorisations share: operands as batches of matrices, their checks, copies to and from
 * double precision, and inner loops.
 *
 * Every tensor has the batch dimensions in front and the matrix (two dimensions), the vector (one)
 * or the number (none) behind. Each may be float32 or float64 and have any strides; the arithmetic
 * is in double precision on dense scratch memory.
 */
#ifndef WASM_TORCH_MATRIX_H
#define WASM_TORCH_MATRIX_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/core.h"
#include "simd.h"

#define WT_ANY_FLOAT (-1)

/* WT_OK where `tensor` is of the dtype (or WT_ANY_FLOAT), has the batch dimensions of `like` and
 * `inner` more, of these sizes. `field` is its place in the arguments, for the report. */
int wt_check_operand(const wt_tensor *tensor, const wt_tensor *like, int like_inner, wt_word dtype,
                     int inner, wt_word rows, wt_word columns, int field);

/* The number of matrices. */
wt_word wt_batches(const wt_tensor *tensor, int inner);
/* The address of the first element of one batch entry. */
void *wt_entry(const wt_tensor *tensor, int inner, wt_word batch);

/* One batch entry as rows: to[r * columns + c]; transposed: to[c * rows + r]. */
void wt_load_matrix(double *to, const wt_tensor *from, wt_word batch, bool transposed);
void wt_store_matrix(const wt_tensor *to, wt_word batch, const double *from, bool transposed);
void wt_load_vector(double *to, const wt_tensor *from, wt_word batch);
void wt_store_vector(const wt_tensor *to, wt_word batch, const double *from);
/* Writes the number of a batch entry of an int32 tensor without inner dimensions. */
void wt_store_info(const wt_tensor *info, wt_word batch, wt_word value);

/* Calls one(args, batch, scratch) for each batch entry, over the threads; scratch has room for
 * `doubles` numbers. `work` estimates the operations of one entry. */
typedef void (*wt_matrix_fn)(const void *args, wt_word batch, double *scratch);
int wt_for_matrices(const void *args, wt_word batches, int64_t doubles, double work,
                    wt_matrix_fn one);

/* Sum of a[i] * b[i]. */
WT_INLINE double wt_dot(const double *a, const double *b, wt_word count) {
  double sums[4] = {0, 0, 0, 0};
  wt_word i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int lane = 0; lane < 4; lane++) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (; i < count; i++) sums[0] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* y += factor * x. */
WT_INLINE void wt_axpy(double *restrict y, const double *restrict x, double factor, wt_word count) {
  for (wt_word i = 0; i < count; i++) y[i] += factor * x[i];
}

/* x, y = c x + s y, c y - s x. */
WT_INLINE void wt_rotate(double *restrict x, double *restrict y, double c, double s,
                         wt_word count) {
  for (wt_word i = 0; i < count; i++) {
    double a = x[i], b = y[i];
    x[i] = c * a + s * b;
    y[i] = c * b - s * a;
  }
}

WT_INLINE void wt_swap(double *restrict x, double *restrict y, wt_word count) {
  for (wt_word i = 0; i < count; i++) {
    double a = x[i];
    x[i] = y[i];
    y[i] = a;
  }
}

#endif
