/* QR factorisation by Householder reflectors (Golub & Van Loan, 5.2) in the packed form of LAPACK's
 * geqrf: R on and above the diagonal, the reflectors' tails below it, their factors in tau. */
#include "linalg/matrix.h"

static void factor_entry(const void *arguments, wt_word batch, double *scratch) {
  const wt_geqrf_args *args = arguments;
  const wt_tensor *self = &args->self;
  wt_word rows = self->size[self->ndim - 2], columns = self->size[self->ndim - 1];
  wt_word count = rows < columns ? rows : columns;
  double *a = scratch, *tau = scratch + rows * columns; /* a: one line a column */
  wt_load_matrix(a, self, batch, true);
  for (wt_word k = 0; k < count; k++) {
    double *v = a + k * rows + k;
    tau[k] = wt_make_reflector(v, rows - k);
    if (tau[k] == 0) continue;
    for (wt_word c = k + 1; c < columns; c++) {
      wt_reflect(a + c * rows + k, v, tau[k], rows - k);
    }
  }
  wt_store_matrix(&args->out, batch, a, true);
  wt_store_vector(&args->tau, batch, tau);
}

WT_KERNEL(geqrf, 1) {
  const wt_geqrf_args *args = arguments;
  const wt_tensor *self = &args->self;
  if (self->ndim < 2) return wt_fail(WT_BAD_ARGUMENT, 2, self->ndim, 0);
  wt_word rows = self->size[self->ndim - 2], columns = self->size[self->ndim - 1];
  wt_word count = rows < columns ? rows : columns;
  int status = wt_check_operand(self, self, 2, WT_ANY_FLOAT, 2, rows, columns, 2);
  if (!status) status = wt_check_operand(&args->out, self, 2, WT_ANY_FLOAT, 2, rows, columns, 0);
  if (!status) status = wt_check_operand(&args->tau, self, 2, WT_ANY_FLOAT, 1, count, 0, 1);
  if (status) return status;
  return wt_for_matrices(args, wt_batches(self, 2), (int64_t)rows * columns + count,
                         2.0 * (double)rows * (double)columns * (double)count, factor_entry);
}

/* out = H_1 H_2 ... H_k other, or its transpose's product H_k ... H_1 other. */
static void apply_entry(const void *arguments, wt_word batch, double *scratch) {
  const wt_apply_reflectors_args *args = arguments;
  const wt_tensor *a = &args->a, *other = &args->other;
  wt_word rows = other->size[other->ndim - 2], columns = other->size[other->ndim - 1];
  wt_word lines = a->size[a->ndim - 1], count = args->tau.size[args->tau.ndim - 1];
  double *v = scratch, *tau = v + lines * rows, *c = tau + count;
  wt_load_matrix(v, a, batch, true);
  wt_load_vector(tau, &args->tau, batch);
  wt_load_matrix(c, other, batch, true);
  for (wt_word step = 0; step < count; step++) {
    wt_word k = args->transpose ? step : count - 1 - step;
    if (tau[k] == 0) continue;
    for (wt_word j = 0; j < columns; j++) {
      wt_reflect(c + j * rows + k, v + k * rows + k, tau[k], rows - k);
    }
  }
  wt_store_matrix(&args->out, batch, c, true);
}

WT_KERNEL(apply_reflectors, 1) {
  const wt_apply_reflectors_args *args = arguments;
  const wt_tensor *a = &args->a, *other = &args->other, *tau = &args->tau;
  if (other->ndim < 2 || a->ndim < 2) return wt_fail(WT_BAD_ARGUMENT, 3, other->ndim, 0);
  if (tau->ndim < 1) return wt_fail(WT_BAD_ARGUMENT, 2, tau->ndim, 0);
  wt_word rows = other->size[other->ndim - 2], columns = other->size[other->ndim - 1];
  wt_word lines = a->size[a->ndim - 1], count = tau->size[tau->ndim - 1];
  int status = wt_check_operand(other, other, 2, WT_ANY_FLOAT, 2, rows, columns, 3);
  if (!status) status = wt_check_operand(a, other, 2, WT_ANY_FLOAT, 2, rows, lines, 1);
  if (!status) status = wt_check_operand(tau, other, 2, WT_ANY_FLOAT, 1, count, 0, 2);
  if (!status) status = wt_check_operand(&args->out, other, 2, WT_ANY_FLOAT, 2, rows, columns, 0);
  if (status) return status;
  if (count > lines || count > rows) return wt_fail(WT_BAD_ARGUMENT, 2, count, 0);
  return wt_for_matrices(args, wt_batches(other, 2),
                         (int64_t)lines * rows + count + (int64_t)rows * columns,
                         2.0 * (double)rows * (double)columns * (double)count, apply_entry);
}
