/* Cholesky factorisation A = L L^T from the lower triangle, by inner products of rows (Golub & Van
 * Loan, 4.2). */
#include "linalg/matrix.h"

/* Returns the order of the first leading minor that is not positive-definite, or 0. */
static wt_word factor(double *a, wt_word n) {
  for (wt_word j = 0; j < n; j++) {
    double *pivot_row = a + j * n;
    double pivot = pivot_row[j] - wt_dot(pivot_row, pivot_row, j);
    pivot_row[j] = pivot;
    if (!(pivot > 0)) return j + 1;
    pivot_row[j] = sqrt(pivot);
    for (wt_word i = j + 1; i < n; i++) {
      double *row = a + i * n;
      row[j] = (row[j] - wt_dot(row, pivot_row, j)) / pivot_row[j];
    }
  }
  return 0;
}

static void factor_entry(const void *arguments, wt_word batch, double *scratch) {
  const wt_cholesky_args *args = arguments;
  wt_word n = args->self.size[args->self.ndim - 1];
  wt_load_matrix(scratch, &args->self, batch, false);
  wt_word info = factor(scratch, n);
  for (wt_word i = 0; i < n; i++) {
    memset(scratch + i * n + i + 1, 0, (size_t)(n - i - 1) * sizeof(double));
  }
  wt_store_matrix(&args->out, batch, scratch, false);
  wt_store_info(&args->info, batch, info);
}

WT_KERNEL(cholesky, 1) {
  const wt_cholesky_args *args = arguments;
  const wt_tensor *self = &args->self;
  if (self->ndim < 2) return wt_fail(WT_BAD_ARGUMENT, 2, self->ndim, 0);
  wt_word n = self->size[self->ndim - 1];
  int status = wt_check_operand(self, self, 2, WT_ANY_FLOAT, 2, n, n, 2);
  if (!status) status = wt_check_operand(&args->out, self, 2, WT_ANY_FLOAT, 2, n, n, 0);
  if (!status) status = wt_check_operand(&args->info, self, 2, WT_INT32, 0, 0, 0, 1);
  if (status) return status;
  return wt_for_matrices(args, wt_batches(self, 2), (int64_t)n * n,
                         (double)n * (double)n * (double)n / 3, factor_entry);
}
