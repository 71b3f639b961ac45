/* Eigenvalues and vectors of symmetric matrices, from the lower triangle: Householder reduction to
 * tridiagonal form, then implicit QR steps with Wilkinson's shift (Golub & Van Loan, 8.3). */
#include "linalg/matrix.h"

#define STEPS_PER_VALUE 60

/* a (n x n, symmetric) to the diagonal d and off-diagonal e; row k of a keeps the reflector of step
 * k from column k + 1 on. p: n numbers of scratch. */
static void tridiagonalise(double *a, wt_word n, double *d, double *e, double *tau, double *p) {
  for (wt_word k = 0; k < n; k++) {
    d[k] = a[k * n + k];
    wt_word left = n - k - 1;
    if (left == 0) break;
    double *v = a + k * n + k + 1, *rest = a + (k + 1) * n + k + 1;
    tau[k] = wt_make_reflector(v, left);
    e[k] = v[0];
    v[0] = 1;
    if (tau[k] == 0) continue;
    for (wt_word i = 0; i < left; i++) p[i] = tau[k] * wt_dot(rest + i * n, v, left);
    wt_axpy(p, v, -0.5 * tau[k] * wt_dot(p, v, left), left);
    for (wt_word i = 0; i < left; i++) {
      wt_axpy(rest + i * n, p, -v[i], left);
      wt_axpy(rest + i * n, v, -p[i], left);
    }
  }
}

/* z (n x n): its rows become those of the transposed product of the reflectors. */
static void accumulate(double *z, const double *a, const double *tau, wt_word n) {
  memset(z, 0, (size_t)(n * n) * sizeof(double));
  for (wt_word i = 0; i < n; i++) z[i * n + i] = 1;
  for (wt_word k = n - 2; k >= 0; k--) {
    const double *v = a + k * n + k + 1;
    if (tau[k] == 0) continue;
    for (wt_word i = k + 1; i < n; i++) {
      wt_reflect(z + i * n + k + 1, v, tau[k], n - k - 1);
    }
  }
}

/* One step on the unreduced block start..end; the rotations go to the rows of z as well. */
static void qr_step(double *d, double *e, wt_word start, wt_word end, double *z, wt_word n) {
  double half = (d[end - 1] - d[end]) / 2, off = e[end - 1];
  double shift = d[end] - off / (half + copysign(hypot(half, off), half)) * off;
  double x = d[start] - shift, bulge = e[start];
  for (wt_word k = start; k < end; k++) {
    double r = hypot(x, bulge), c = r == 0 ? 1 : x / r, s = r == 0 ? 0 : bulge / r;
    if (k > start) e[k - 1] = r;
    double a = d[k], b = e[k], f = d[k + 1], mixed = 2 * c * s * b;
    d[k] = c * c * a + mixed + s * s * f;
    d[k + 1] = s * s * a - mixed + c * c * f;
    e[k] = c * s * (f - a) + (c * c - s * s) * b;
    if (k + 1 < end) {
      x = e[k];
      bulge = s * e[k + 1];
      e[k + 1] *= c;
    }
    if (z != NULL) wt_rotate(z + k * n, z + (k + 1) * n, c, s, n);
  }
}

static bool is_negligible(const double *d, const double *e, wt_word k) {
  return !(fabs(e[k]) > DBL_EPSILON * (fabs(d[k]) + fabs(d[k + 1])));
}

/* Returns 0, or the number of off-diagonal elements that did not vanish. */
static wt_word diagonalise(double *d, double *e, wt_word n, double *z) {
  wt_word end = n - 1;
  for (wt_word steps = 0; end > 0;) {
    if (is_negligible(d, e, end - 1)) {
      end--;
      continue;
    }
    wt_word start = end - 1;
    while (start > 0 && !is_negligible(d, e, start - 1)) start--;
    if (++steps > STEPS_PER_VALUE * n) return end;
    qr_step(d, e, start, end, z, n);
  }
  return 0;
}

/* Ascending, the rows of z with them. */
static void sort(double *d, wt_word n, double *z) {
  for (wt_word i = 0; i < n; i++) {
    wt_word least = i;
    for (wt_word j = i + 1; j < n; j++) {
      if (d[j] < d[least]) least = j;
    }
    if (least == i) continue;
    wt_swap(d + i, d + least, 1);
    if (z != NULL) wt_swap(z + i * n, z + least * n, n);
  }
}

static void eigh_entry(const void *arguments, wt_word batch, double *scratch) {
  const wt_eigh_args *args = arguments;
  wt_word n = args->self.size[args->self.ndim - 1];
  bool wants_vectors = wt_is_present(&args->vectors);
  double *a = scratch, *d = a + n * n, *e = d + n, *tau = e + n, *p = tau + n;
  double *z = wants_vectors ? p + n : NULL;
  wt_load_matrix(a, &args->self, batch, false);
  bool finite = true;
  for (wt_word i = 0; i < n; i++) {
    for (wt_word j = 0; j <= i; j++) {
      a[j * n + i] = a[i * n + j];
      finite = finite && isfinite(a[i * n + j]);
    }
  }
  if (!finite) {
    wt_store_info(&args->info, batch, n);
    return;
  }
  tridiagonalise(a, n, d, e, tau, p);
  if (wants_vectors) accumulate(z, a, tau, n);
  wt_store_info(&args->info, batch, diagonalise(d, e, n, z));
  sort(d, n, z);
  wt_store_vector(&args->values, batch, d);
  if (wants_vectors) wt_store_matrix(&args->vectors, batch, z, true);
}

WT_KERNEL(eigh, 1) {
  const wt_eigh_args *args = arguments;
  const wt_tensor *self = &args->self, *vectors = &args->vectors;
  if (self->ndim < 2) return wt_fail(WT_BAD_ARGUMENT, 3, self->ndim, 0);
  wt_word n = self->size[self->ndim - 1];
  int status = wt_check_operand(self, self, 2, WT_ANY_FLOAT, 2, n, n, 3);
  if (!status) status = wt_check_operand(&args->values, self, 2, WT_ANY_FLOAT, 1, n, 0, 0);
  if (!status && wt_is_present(vectors)) {
    status = wt_check_operand(vectors, self, 2, WT_ANY_FLOAT, 2, n, n, 1);
  }
  if (!status) status = wt_check_operand(&args->info, self, 2, WT_INT32, 0, 0, 0, 2);
  if (status) return status;
  return wt_for_matrices(args, wt_batches(self, 2), 2 * (int64_t)n * n + 4 * (int64_t)n,
                         10.0 * (double)n * (double)n * (double)n, eigh_entry);
}
