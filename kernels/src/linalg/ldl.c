/* LDL^T factorisation of symmetric matrices, from the lower triangle, with Bunch and Kaufman's
 * pivots (Some stable methods for calculating inertia and solving symmetric linear systems, 1977).
 * The packed form is that of LAPACK's sytrf: pivots[k] > 0 where row k was exchanged with row
 * pivots[k] (1-based); two negative ones where a 2 x 2 block's second row was with row -pivots[k].
 */
#include "linalg/matrix.h"

#define GROWTH 0.6403882032022076 /* (1 + sqrt(17)) / 8 */

/* Exchanges rows and columns p < q of the symmetric matrix that begins at `from`. */
static void exchange(double *a, wt_word n, wt_word from, wt_word p, wt_word q) {
  for (wt_word c = from; c < p; c++) wt_swap(a + p * n + c, a + q * n + c, 1);
  for (wt_word i = p + 1; i < q; i++) wt_swap(a + i * n + p, a + q * n + i, 1);
  for (wt_word i = q + 1; i < n; i++) wt_swap(a + i * n + p, a + i * n + q, 1);
  wt_swap(a + p * n + p, a + q * n + q, 1);
}

/* The size of the pivot block at k, and in *row the row that comes to its end. */
static int choose_pivot(const double *a, wt_word n, wt_word k, wt_word *row, bool *is_zero) {
  double own = fabs(a[k * n + k]), column_most = 0, row_most = 0;
  wt_word most = k;
  for (wt_word i = k + 1; i < n; i++) {
    if (fabs(a[i * n + k]) > column_most) {
      column_most = fabs(a[i * n + k]);
      most = i;
    }
  }
  *row = k;
  *is_zero = own == 0 && column_most == 0;
  if (own >= GROWTH * column_most || most == k) return 1;
  for (wt_word i = k; i < n; i++) {
    if (i != most) row_most = fmax(row_most, fabs(i < most ? a[most * n + i] : a[i * n + most]));
  }
  if (own >= GROWTH * column_most * (column_most / row_most)) return 1;
  *row = most;
  return fabs(a[most * n + most]) >= GROWTH * row_most ? 1 : 2;
}

/* The solution of the symmetric 2 x 2 block's system for x, y in place. block: the address of its
 * first element. Scaled by the off-diagonal element, which is the largest. */
static void solve_block(const double *block, wt_word n, double *x, double *y) {
  double off = block[n], first = block[0] / off, second = block[n + 1] / off;
  double determinant = (first * second - 1) * off, a = *x, b = *y;
  *x = (second * a - b) / determinant;
  *y = (first * b - a) / determinant;
}

/* w: 2 n numbers of scratch. Returns the 1-based place of the first zero pivot, or 0. */
static wt_word factor(double *a, wt_word n, int32_t *pivots, wt_word step, double *w) {
  wt_word info = 0;
  for (wt_word k = 0; k < n;) {
    wt_word row;
    bool is_zero;
    int size = choose_pivot(a, n, k, &row, &is_zero);
    wt_word last = k + size - 1, next = k + size;
    if (row != last) exchange(a, n, k, last, row);
    for (wt_word i = k; i < next; i++) pivots[i * step] = (int32_t)(size == 1 ? row + 1 : -row - 1);
    if (is_zero && info == 0) info = k + 1;
    for (wt_word i = next; i < n && !is_zero; i++) {
      double *line = a + i * n;
      w[i] = line[k];
      w[n + i] = size == 2 ? line[k + 1] : 0;
      if (size == 1) {
        w[i] /= a[k * n + k];
      } else {
        solve_block(a + k * n + k, n, w + i, w + n + i);
      }
      wt_axpy(line + next, w + next, -line[k], i + 1 - next);
      if (size == 2) wt_axpy(line + next, w + n + next, -line[k + 1], i + 1 - next);
    }
    for (wt_word i = next; i < n && !is_zero; i++) {
      a[i * n + k] = w[i];
      if (size == 2) a[i * n + k + 1] = w[n + i];
    }
    k = next;
  }
  return info;
}

static void factor_entry(const void *arguments, wt_word batch, double *scratch) {
  const wt_ldl_factor_args *args = arguments;
  const wt_tensor *pivots = &args->pivots;
  wt_word n = args->self.size[args->self.ndim - 1];
  wt_load_matrix(scratch, &args->self, batch, false);
  wt_word info = factor(scratch, n, wt_entry(pivots, 1, batch), pivots->stride[pivots->ndim - 1],
                        scratch + n * n);
  for (wt_word i = 0; i < n; i++) {
    memset(scratch + i * n + i + 1, 0, (size_t)(n - i - 1) * sizeof(double));
  }
  wt_store_matrix(&args->out, batch, scratch, false);
  wt_store_info(&args->info, batch, info);
}

WT_KERNEL(ldl_factor, 1) {
  const wt_ldl_factor_args *args = arguments;
  const wt_tensor *self = &args->self;
  if (self->ndim < 2) return wt_fail(WT_BAD_ARGUMENT, 3, self->ndim, 0);
  wt_word n = self->size[self->ndim - 1];
  int status = wt_check_operand(self, self, 2, WT_ANY_FLOAT, 2, n, n, 3);
  if (!status) status = wt_check_operand(&args->out, self, 2, WT_ANY_FLOAT, 2, n, n, 0);
  if (!status) status = wt_check_operand(&args->pivots, self, 2, WT_INT32, 1, n, 0, 1);
  if (!status) status = wt_check_operand(&args->info, self, 2, WT_INT32, 0, 0, 0, 2);
  if (status) return status;
  return wt_for_matrices(args, wt_batches(self, 2), (int64_t)n * n + 2 * (int64_t)n,
                         (double)n * (double)n * (double)n / 3, factor_entry);
}

/* ---- solving --------------------------------------------------------------------------------- */
/* Row of the exchange at k; the block's second row is that of k + 1. */
static wt_word exchanged(const int32_t *pivots, wt_word step, wt_word k) {
  return (pivots[k * step] < 0 ? -pivots[k * step] : pivots[k * step]) - 1;
}

static void swap_rows(double *x, wt_word columns, wt_word p, wt_word q) {
  if (p != q) wt_swap(x + p * columns, x + q * columns, columns);
}

/* x = D^-1 L^-1 P x */
static void solve_down(const double *a, wt_word n, const int32_t *pivots, wt_word step, double *x,
                       wt_word columns) {
  for (wt_word k = 0; k < n;) {
    int size = pivots[k * step] < 0 ? 2 : 1;
    swap_rows(x, columns, k + size - 1, exchanged(pivots, step, k));
    double *first = x + k * columns, *second = first + columns;
    for (wt_word i = k + size; i < n; i++) {
      wt_axpy(x + i * columns, first, -a[i * n + k], columns);
      if (size == 2) wt_axpy(x + i * columns, second, -a[i * n + k + 1], columns);
    }
    for (wt_word c = 0; c < columns; c++) {
      if (size == 2) {
        solve_block(a + k * n + k, n, first + c, second + c);
      } else {
        first[c] /= a[k * n + k];
      }
    }
    k += size;
  }
}

/* x = P^T L^-T x */
static void solve_up(const double *a, wt_word n, const int32_t *pivots, wt_word step, double *x,
                     wt_word columns) {
  for (wt_word k = n - 1; k >= 0;) {
    int size = pivots[k * step] < 0 ? 2 : 1;
    for (wt_word row = k - size + 1; row <= k; row++) {
      for (wt_word i = k + 1; i < n; i++) {
        wt_axpy(x + row * columns, x + i * columns, -a[i * n + row], columns);
      }
    }
    swap_rows(x, columns, k, exchanged(pivots, step, k));
    k -= size;
  }
}

static void solve_entry(const void *arguments, wt_word batch, double *scratch) {
  const wt_ldl_solve_args *args = arguments;
  const wt_tensor *pivots = &args->pivots, *b = &args->b;
  wt_word n = b->size[b->ndim - 2], columns = b->size[b->ndim - 1];
  wt_word step = pivots->stride[pivots->ndim - 1];
  double *a = scratch, *x = a + n * n;
  wt_load_matrix(a, &args->ld, batch, false);
  wt_load_matrix(x, b, batch, false);
  solve_down(a, n, wt_entry(pivots, 1, batch), step, x, columns);
  solve_up(a, n, wt_entry(pivots, 1, batch), step, x, columns);
  wt_store_matrix(&args->out, batch, x, false);
}

/* Whether the exchanges stay inside and negative pivots come in equal pairs. */
static int check_pivots(const wt_tensor *pivots, wt_word n) {
  wt_word step = pivots->stride[pivots->ndim - 1], batches = wt_batches(pivots, 1);
  for (wt_word batch = 0; batch < batches; batch++) {
    const int32_t *entry = wt_entry(pivots, 1, batch);
    for (wt_word k = 0; k < n; k++) {
      wt_word row = exchanged(entry, step, k);
      if (row < 0 || row >= n) return wt_fail(WT_INDEX_OUT_OF_RANGE, row, -1, n);
      if (entry[k * step] > 0) continue;
      if (k + 1 == n || entry[(k + 1) * step] != entry[k * step]) {
        return wt_fail(WT_INDEX_OUT_OF_RANGE, entry[k * step], -1, n);
      }
      k++;
    }
  }
  return WT_OK;
}

WT_KERNEL(ldl_solve, 1) {
  const wt_ldl_solve_args *args = arguments;
  const wt_tensor *b = &args->b;
  if (b->ndim < 2) return wt_fail(WT_BAD_ARGUMENT, 3, b->ndim, 0);
  wt_word n = b->size[b->ndim - 2], columns = b->size[b->ndim - 1];
  int status = wt_check_operand(b, b, 2, WT_ANY_FLOAT, 2, n, columns, 3);
  if (!status) status = wt_check_operand(&args->ld, b, 2, WT_ANY_FLOAT, 2, n, n, 1);
  if (!status) status = wt_check_operand(&args->pivots, b, 2, WT_INT32, 1, n, 0, 2);
  if (!status) status = wt_check_operand(&args->out, b, 2, WT_ANY_FLOAT, 2, n, columns, 0);
  if (!status) status = check_pivots(&args->pivots, n);
  if (status) return status;
  return wt_for_matrices(args, wt_batches(b, 2), (int64_t)n * n + (int64_t)n * columns,
                         2.0 * (double)n * (double)n * (double)columns, solve_entry);
}
