/* LU factorisation with partial pivoting (Golub & Van Loan, Matrix Computations, 3.4), and the
 * permutation that its row exchanges make. */
#include "linalg/matrix.h"

/* a (rows x columns) becomes L below the diagonal and U on and above it. Returns the 1-based place
 * of the first zero pivot, or 0. pivots: 1-based row that was exchanged with row k. */
static wt_word factor(double *a, wt_word rows, wt_word columns, int32_t *pivots, wt_word step) {
  wt_word info = 0, count = rows < columns ? rows : columns;
  for (wt_word k = 0; k < count; k++) {
    wt_word pivot = k;
    for (wt_word r = k + 1; r < rows; r++) {
      if (fabs(a[r * columns + k]) > fabs(a[pivot * columns + k])) pivot = r;
    }
    pivots[k * step] = (int32_t)(pivot + 1);
    double *top = a + k * columns;
    if (a[pivot * columns + k] == 0) {
      if (info == 0) info = k + 1;
      continue;
    }
    if (pivot != k) wt_swap(top, a + pivot * columns, columns);
    for (wt_word r = k + 1; r < rows; r++) {
      double *row = a + r * columns;
      row[k] /= top[k];
      if (row[k] != 0) wt_axpy(row + k + 1, top + k + 1, -row[k], columns - k - 1);
    }
  }
  return info;
}

static void factor_entry(const void *arguments, wt_word batch, double *scratch) {
  const wt_lu_factor_args *args = arguments;
  const wt_tensor *self = &args->self, *pivots = &args->pivots;
  wt_load_matrix(scratch, self, batch, false);
  wt_word info = factor(scratch, self->size[self->ndim - 2], self->size[self->ndim - 1],
                        wt_entry(pivots, 1, batch), pivots->stride[pivots->ndim - 1]);
  wt_store_matrix(&args->out, batch, scratch, false);
  wt_store_info(&args->info, batch, info);
}

WT_KERNEL(lu_factor, 1) {
  const wt_lu_factor_args *args = arguments;
  const wt_tensor *self = &args->self;
  if (self->ndim < 2) return wt_fail(WT_BAD_ARGUMENT, 3, self->ndim, 0);
  wt_word rows = self->size[self->ndim - 2], columns = self->size[self->ndim - 1];
  wt_word count = rows < columns ? rows : columns;
  int status = wt_check_operand(self, self, 2, WT_ANY_FLOAT, 2, rows, columns, 3);
  if (!status) status = wt_check_operand(&args->out, self, 2, WT_ANY_FLOAT, 2, rows, columns, 0);
  if (!status) status = wt_check_operand(&args->pivots, self, 2, WT_INT32, 1, count, 0, 1);
  if (!status) status = wt_check_operand(&args->info, self, 2, WT_INT32, 0, 0, 0, 2);
  if (status) return status;
  return wt_for_matrices(args, wt_batches(self, 2), (int64_t)rows * columns,
                         (double)rows * (double)columns * (double)count, factor_entry);
}

/* permutation[i]: the row of the matrix that the exchanges bring to row i. */
WT_KERNEL(lu_permutation, 1) {
  const wt_lu_permutation_args *args = arguments;
  const wt_tensor *out = &args->permutation, *pivots = &args->pivots;
  if (pivots->ndim < 1 || out->ndim < 1) return wt_fail(WT_BAD_ARGUMENT, 1, pivots->ndim, 0);
  wt_word rows = out->size[out->ndim - 1], count = pivots->size[pivots->ndim - 1];
  int status = wt_check_operand(out, pivots, 1, WT_INT64, 1, rows, 0, 0);
  if (!status) status = wt_check_operand(pivots, pivots, 1, WT_INT32, 1, count, 0, 1);
  if (status) return status;
  if (count > rows) return wt_fail(WT_BAD_ARGUMENT, 1, count, 0);
  wt_word batches = wt_batches(pivots, 1);
  wt_word step = out->stride[out->ndim - 1], pivot_step = pivots->stride[pivots->ndim - 1];
  for (wt_word batch = 0; batch < batches; batch++) {
    int64_t *permutation = wt_entry(out, 1, batch);
    const int32_t *exchanged = wt_entry(pivots, 1, batch);
    for (wt_word i = 0; i < rows; i++) permutation[i * step] = i;
    for (wt_word i = 0; i < count; i++) {
      wt_word other = exchanged[i * pivot_step] - 1;
      if (other < 0 || other >= rows) return wt_fail(WT_INDEX_OUT_OF_RANGE, other, -1, rows);
      int64_t moved = permutation[i * step];
      permutation[i * step] = permutation[other * step];
      permutation[other * step] = moved;
    }
  }
  return WT_OK;
}
