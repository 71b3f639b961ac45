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

/* ---- inner loops ------------------------------------------------------------------------------
 */
/* Sum of a[i] * b[i]. */
double wt_dot(const double *a, const double *b, wt_word count);
/* y += factor * x; the two do not overlap, nor do those below. */
void wt_axpy(double *restrict y, const double *restrict x, double factor, wt_word count);
/* x, y = c x + s y, c y - s x. */
void wt_rotate(double *restrict x, double *restrict y, double c, double s, wt_word count);
void wt_swap(double *restrict x, double *restrict y, wt_word count);

/* ---- reflectors ------------------------------------------------------------------------------ */
/* H = I - tau v v^T with v[0] = 1, in LAPACK's convention: H maps a vector to (beta, 0, ..., 0)
 * with beta of the sign opposite to the vector's first element. */
/* x (count numbers) becomes beta and the tail of v; returns tau, 0 where x is reduced already. */
double wt_make_reflector(double *x, wt_word count);
/* y = H y; v[0] is not read. */
void wt_reflect(double *y, const double *v, double tau, wt_word count);

#endif
