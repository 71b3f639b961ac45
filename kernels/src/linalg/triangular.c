/* Solves A X = B for a triangular A by substitution, a row of X at a time. */
#include "linalg/matrix.h"

static void solve_entry(const void *arguments, wt_word batch, double *scratch) {
  const wt_solve_triangular_args *args = arguments;
  wt_word n = args->a.size[args->a.ndim - 1], columns = args->b.size[args->b.ndim - 1];
  double *a = scratch, *x = scratch + n * n;
  wt_load_matrix(a, &args->a, batch, false);
  wt_load_matrix(x, &args->b, batch, false);
  for (wt_word step = 0; step < n; step++) {
    wt_word i = args->upper ? n - 1 - step : step;
    double *row = x + i * columns;
    for (wt_word j = args->upper ? i + 1 : 0, end = args->upper ? n : i; j < end; j++) {
      double factor = a[i * n + j];
      if (factor != 0) wt_axpy(row, x + j * columns, -factor, columns);
    }
    if (args->unitriangular) continue;
    for (wt_word c = 0; c < columns; c++) row[c] /= a[i * n + i];
  }
  wt_store_matrix(&args->out, batch, x, false);
}

WT_KERNEL(solve_triangular, 1) {
  const wt_solve_triangular_args *args = arguments;
  const wt_tensor *b = &args->b;
  if (b->ndim < 2) return wt_fail(WT_BAD_ARGUMENT, 2, b->ndim, 0);
  wt_word n = b->size[b->ndim - 2], columns = b->size[b->ndim - 1];
  int status = wt_check_operand(b, b, 2, WT_ANY_FLOAT, 2, n, columns, 2);
  if (!status) status = wt_check_operand(&args->a, b, 2, WT_ANY_FLOAT, 2, n, n, 1);
  if (!status) status = wt_check_operand(&args->out, b, 2, WT_ANY_FLOAT, 2, n, columns, 0);
  if (status) return status;
  return wt_for_matrices(args, wt_batches(b, 2), (int64_t)n * n + (int64_t)n * columns,
                         (double)n * (double)n * (double)columns, solve_entry);
}
