/* Singular values and vectors: a QR factorisation with column pivoting, A P = Q R, then one-sided
 * Jacobi rotations of the rows of R (Drmac & Veselic, New fast and accurate Jacobi SVD algorithm,
 * 2008). Where J^T R has orthogonal rows, R = J S V^T, and A = (Q J) S (P V)^T. A wide matrix is
 * decomposed as its transpose. */
#include "linalg/matrix.h"

#define MAXIMAL_SWEEPS 60
/* Rows this small (their squares underflow) count as zero; the matrix is scaled to 1 before. */
#define TINY 1e-150

/* a: `columns` lines of `rows` numbers, rows >= columns. Column r of the pivoted matrix is column
 * order[r] of the original one. */
static void pivoted_qr(double *a, wt_word rows, wt_word columns, double *tau, double *order) {
  for (wt_word k = 0; k < columns; k++) order[k] = (double)k;
  for (wt_word k = 0; k < columns; k++) {
    wt_word pivot = k;
    double largest = -1;
    for (wt_word c = k; c < columns; c++) {
      double square = wt_dot(a + c * rows + k, a + c * rows + k, rows - k);
      if (square > largest) {
        largest = square;
        pivot = c;
      }
    }
    if (pivot != k) {
      wt_swap(a + k * rows, a + pivot * rows, rows);
      wt_swap(order + k, order + pivot, 1);
    }
    double *v = a + k * rows + k;
    tau[k] = wt_make_reflector(v, rows - k);
    for (wt_word c = k + 1; c < columns; c++) {
      wt_reflect(a + c * rows + k, v, tau[k], rows - k);
    }
  }
}

/* Makes the rows of w (n x n) orthogonal by rotations, which go to the rows of j as well. squares:
 * n numbers of scratch. Returns whether it came to an end. */
static bool orthogonalise(double *w, double *j, wt_word n, double *squares) {
  double tolerance = DBL_EPSILON * sqrt((double)n);
  for (int sweep = 0; sweep < MAXIMAL_SWEEPS; sweep++) {
    bool rotated = false;
    for (wt_word p = 0; p < n; p++) squares[p] = wt_dot(w + p * n, w + p * n, n);
    for (wt_word p = 0; p + 1 < n; p++) {
      for (wt_word q = p + 1; q < n; q++) {
        double alpha = squares[p], beta = squares[q];
        if (!(alpha > TINY * TINY && beta > TINY * TINY)) continue;
        double product = wt_dot(w + p * n, w + q * n, n);
        if (!(fabs(product) > tolerance * sqrt(alpha) * sqrt(beta))) continue;
        rotated = true;
        double zeta = (beta - alpha) / (2 * product);
        double tangent = copysign(1, zeta) / (fabs(zeta) + hypot(1, zeta));
        double c = 1 / sqrt(1 + tangent * tangent), s = -c * tangent;
        wt_rotate(w + p * n, w + q * n, c, s, n);
        if (j != NULL) wt_rotate(j + p * n, j + q * n, c, s, n);
        squares[p] = wt_dot(w + p * n, w + p * n, n);
        squares[q] = wt_dot(w + q * n, w + q * n, n);
      }
    }
    if (!rotated) return true;
  }
  return false;
}

/* Fills rows `known`..n-1 of w (n x n) with unit vectors orthogonal to all rows before: unit
 * vectors of the axes, from which their components along the rows are taken twice. */
static void complete(double *w, wt_word known, wt_word n) {
  wt_word axis = 0;
  for (wt_word r = known; r < n; r++) {
    double *row = w + r * n, square = 0;
    /* The squares of all axes' remainders sum to n - r, so one has at least 1 / n. */
    for (; axis < n && square < 0.5 / (double)n; axis++) {
      memset(row, 0, (size_t)n * sizeof(double));
      row[axis] = 1;
      for (wt_word i = 0; i < 2 * r; i++) {
        const double *other = w + i % r * n;
        wt_axpy(row, other, -wt_dot(row, other, n), n);
      }
      square = wt_dot(row, row, n);
    }
    for (wt_word c = 0; c < n; c++) row[c] /= sqrt(square);
  }
}

/* Descending singular values s, the rows of w normalised and sorted with them, as those of j. */
static void normalise(double *w, double *j, double *s, wt_word n) {
  for (wt_word r = 0; r < n; r++) s[r] = sqrt(wt_dot(w + r * n, w + r * n, n));
  wt_word known = 0;
  for (wt_word r = 0; r < n; r++) {
    wt_word largest = r;
    for (wt_word i = r + 1; i < n; i++) {
      if (s[i] > s[largest]) largest = i;
    }
    if (largest != r) {
      wt_swap(s + r, s + largest, 1);
      wt_swap(w + r * n, w + largest * n, n);
      if (j != NULL) wt_swap(j + r * n, j + largest * n, n);
    }
    if (s[r] <= TINY) {
      s[r] = 0;
      continue;
    }
    known = r + 1;
    for (wt_word c = 0; c < n; c++) w[r * n + c] /= s[r];
  }
  if (j != NULL) complete(w, known, n);
}

/* The scale that brings the largest element to 1; 0 where an element is not finite. */
static double scale_down(double *a, wt_word count) {
  double largest = 0;
  for (wt_word i = 0; i < count; i++) {
    if (!isfinite(a[i])) return 0;
    largest = fabs(a[i]) > largest ? fabs(a[i]) : largest;
  }
  if (largest == 0) return 1;
  for (wt_word i = 0; i < count; i++) a[i] /= largest;
  return largest;
}

static bool is_wide(const wt_tensor *self) {
  return self->size[self->ndim - 2] < self->size[self->ndim - 1];
}

/* out = Q [J 0; 0 I]: `count` columns, one line each. */
static void left_vectors(double *out, wt_word count, const double *a, const double *tau,
                         const double *j, wt_word rows, wt_word columns) {
  memset(out, 0, (size_t)(count * rows) * sizeof(double));
  for (wt_word c = 0; c < count; c++) {
    if (c < columns) {
      memcpy(out + c * rows, j + c * columns, (size_t)columns * sizeof(double));
    } else {
      out[c * rows + c] = 1;
    }
    for (wt_word k = columns - 1; k >= 0; k--) {
      wt_reflect(out + c * rows + k, a + k * rows + k, tau[k], rows - k);
    }
  }
}

static void svd_entry(const void *arguments, wt_word batch, double *scratch) {
  const wt_svd_args *args = arguments;
  const wt_tensor *self = &args->self;
  bool wide = is_wide(self), wants_vectors = wt_is_present(&args->u);
  wt_word rows = self->size[self->ndim - (wide ? 1 : 2)];
  wt_word n = self->size[self->ndim - (wide ? 2 : 1)];
  double *a = scratch, *w = a + rows * n, *tau = w + n * n, *order = tau + n, *s = order + n;
  double *j = wants_vectors ? s + n : NULL;
  wt_load_matrix(a, self, batch, !wide);
  double scale = scale_down(a, rows * n);
  if (scale == 0) {
    wt_store_info(&args->info, batch, -1);
    return;
  }
  pivoted_qr(a, rows, n, tau, order);
  for (wt_word r = 0; r < n; r++) {
    for (wt_word c = 0; c < n; c++) w[r * n + (wt_word)order[c]] = c < r ? 0 : a[c * rows + r];
    for (wt_word c = 0; j != NULL && c < n; c++) j[r * n + c] = r == c;
  }
  bool converged = orthogonalise(w, j, n, s);
  normalise(w, j, s, n);
  wt_store_info(&args->info, batch, converged ? 0 : 1);
  for (wt_word r = 0; r < n; r++) s[r] *= scale;
  wt_store_vector(&args->s, batch, s);
  if (!wants_vectors) return;
  const wt_tensor *left = wide ? &args->vh : &args->u, *right = wide ? &args->u : &args->vh;
  double *q = j + n * n;
  left_vectors(q, left->size[left->ndim - (wide ? 2 : 1)], a, tau, j, rows, n);
  wt_store_matrix(left, batch, q, !wide);
  wt_store_matrix(right, batch, w, wide);
}

WT_KERNEL(svd, 1) {
  const wt_svd_args *args = arguments;
  const wt_tensor *self = &args->self, *u = &args->u, *vh = &args->vh;
  if (self->ndim < 2) return wt_fail(WT_BAD_ARGUMENT, 4, self->ndim, 0);
  wt_word rows = self->size[self->ndim - 2], columns = self->size[self->ndim - 1];
  wt_word least = rows < columns ? rows : columns, most = rows < columns ? columns : rows;
  int status = wt_check_operand(self, self, 2, WT_ANY_FLOAT, 2, rows, columns, 4);
  if (!status) status = wt_check_operand(&args->s, self, 2, WT_ANY_FLOAT, 1, least, 0, 1);
  if (!status) status = wt_check_operand(&args->info, self, 2, WT_INT32, 0, 0, 0, 3);
  wt_word kept = least; /* vectors of the longer side: all of them or as many as of the other */
  if (!status && wt_is_present(u)) {
    if (u->ndim < 2 || vh->ndim < 2) return wt_fail(WT_BAD_ARGUMENT, 0, u->ndim, 0);
    wt_word asked = rows < columns ? vh->size[vh->ndim - 2] : u->size[u->ndim - 1];
    kept = asked == least ? least : most;
    wt_word left = rows < columns ? least : kept, right = rows < columns ? kept : least;
    status = wt_check_operand(u, self, 2, WT_ANY_FLOAT, 2, rows, left, 0);
    if (!status) status = wt_check_operand(vh, self, 2, WT_ANY_FLOAT, 2, right, columns, 2);
  }
  if (status) return status;
  int64_t square = (int64_t)least * least;
  return wt_for_matrices(args, wt_batches(self, 2),
                         (int64_t)most * (least + kept) + 2 * square + 3 * (int64_t)least,
                         30.0 * (double)most * (double)square, svd_entry);
}
