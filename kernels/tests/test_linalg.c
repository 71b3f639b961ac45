/* Factorisations: that their factors have the promised form and multiply to the matrix, over
 * shapes, dtypes and layouts, and that systems are solved. */
#include "layouts.h"

enum { BATCH = 3 };

/* One batch of matrices, of random layout and values. */
static wt_tensor matrices(check_random *random, int dtype, wt_word rows, wt_word columns) {
  wt_word size[3] = {BATCH, rows, columns};
  wt_tensor tensor = layout_tensor(random, dtype, 3, size, layout_any(random));
  check_fill(&tensor, random, -1, 1);
  return tensor;
}

static wt_tensor vectors(check_random *random, int dtype, wt_word length) {
  wt_word size[2] = {BATCH, length};
  wt_tensor tensor = layout_tensor(random, dtype, 2, size, layout_any(random));
  check_fill(&tensor, random, -1, 1);
  return tensor;
}

static wt_tensor infos(check_random *random) {
  wt_word size[1] = {BATCH};
  wt_tensor tensor = layout_tensor(random, WT_INT32, 1, size, layout_any(random));
  check_fill(&tensor, random, 1, 9);
  return tensor;
}

static double at(const wt_tensor *m, wt_word batch, wt_word row, wt_word column) {
  return check_get(m, (batch * m->size[1] + row) * m->size[2] + column);
}
static void put(const wt_tensor *m, wt_word batch, wt_word row, wt_word column, double value) {
  check_set(m, (batch * m->size[1] + row) * m->size[2] + column, value);
}
static double element(const wt_tensor *v, wt_word batch, wt_word i) {
  return check_get(v, batch * v->size[1] + i);
}

/* The relative precision of elements of products of factors of size n. */
static double precision(int dtype, wt_word n) {
  return (dtype == WT_FLOAT32 ? 2e-6 : 1e-14) * (double)(n + 4);
}

/* Sum over k < count of a[i, k] b[k, j], either read transposed. */
static double product(const wt_tensor *a, bool ta, const wt_tensor *b, bool tb, wt_word batch,
                      wt_word i, wt_word j, wt_word count) {
  double sum = 0;
  for (wt_word k = 0; k < count; k++) {
    sum += (ta ? at(a, batch, k, i) : at(a, batch, i, k)) *
           (tb ? at(b, batch, j, k) : at(b, batch, k, j));
  }
  return sum;
}

static void check_orthonormal_columns(const wt_tensor *q, wt_word count) {
  for (wt_word b = 0; b < BATCH; b++)
    for (wt_word i = 0; i < count; i++)
      for (wt_word j = 0; j < count; j++)
        CHECK_CLOSE(product(q, true, q, false, b, i, j, q->size[1]), i == j,
                    precision((int)q->dtype, q->size[1]));
}

static void check_orthonormal_rows(const wt_tensor *q) {
  for (wt_word b = 0; b < BATCH; b++)
    for (wt_word i = 0; i < q->size[1]; i++)
      for (wt_word j = 0; j < q->size[1]; j++)
        CHECK_CLOSE(product(q, false, q, true, b, i, j, q->size[2]), i == j,
                    precision((int)q->dtype, q->size[2]));
}

static void check_zero_infos(const wt_tensor *info) {
  for (wt_word b = 0; b < BATCH; b++) CHECK(check_get(info, b) == 0);
}

/* m becomes m + m^T. */
static void symmetrise(const wt_tensor *m, double diagonal) {
  for (wt_word b = 0; b < BATCH; b++)
    for (wt_word i = 0; i < m->size[1]; i++) {
      put(m, b, i, i, 2 * at(m, b, i, i) + diagonal);
      for (wt_word j = 0; j < i; j++) {
        double sum = at(m, b, i, j) + at(m, b, j, i);
        put(m, b, i, j, sum);
        put(m, b, j, i, sum);
      }
    }
}

typedef void (*shape_test)(check_random *random, int dtype, wt_word rows, wt_word columns);

static void over_shapes(uint64_t seed, bool square, shape_test test) {
  static const wt_word sizes[] = {0, 1, 2, 3, 5, 8, 17, 33};
  check_random random = {seed};
  for (int r = 0; r < 8; r++)
    for (int c = 0; c < 8; c++) {
      if (square && r != c) continue;
      for (int repeat = 0; repeat < (square ? 4 : 1); repeat++) {
        test(&random, WT_FLOAT32, sizes[r], sizes[c]);
        test(&random, WT_FLOAT64, sizes[r], sizes[c]);
      }
    }
}

/* ---- LU and triangular systems --------------------------------------------------------------- */
static void lu(check_random *random, int dtype, wt_word rows, wt_word columns) {
  wt_word count = rows < columns ? rows : columns;
  wt_tensor self = matrices(random, dtype, rows, columns);
  wt_tensor out = matrices(random, dtype, rows, columns);
  wt_tensor pivots = vectors(random, WT_INT32, count);
  wt_tensor order = vectors(random, WT_INT64, rows), info = infos(random);
  wt_lu_factor_args args = {sizeof args, out, pivots, info, self};
  CHECK(wt_lu_factor(&args) == WT_OK);
  wt_lu_permutation_args permute = {sizeof permute, order, pivots};
  CHECK(wt_lu_permutation(&permute) == WT_OK);
  check_zero_infos(&info);
  for (wt_word b = 0; b < BATCH; b++)
    for (wt_word i = 0; i < rows; i++) {
      for (wt_word j = 0; j < i && j < count; j++) CHECK(fabs(at(&out, b, i, j)) <= 1 + 1e-6);
      for (wt_word j = 0; j < columns; j++) {
        double sum = 0;
        for (wt_word k = 0; k <= i && k <= j && k < count; k++)
          sum += (k == i ? 1 : at(&out, b, i, k)) * at(&out, b, k, j);
        CHECK_CLOSE(sum, at(&self, b, (wt_word)element(&order, b, i), j), precision(dtype, count));
      }
    }
  layout_free(&self), layout_free(&out), layout_free(&pivots), layout_free(&order);
  layout_free(&info);
}
TEST(lu_factors_multiply_to_the_permuted_matrix) { over_shapes(1, false, lu); }

TEST(lu_reports_the_first_zero_pivot) {
  double values[3][9] = {{0}, {1, 2, 3, 2, 4, 6, 1, 1, 1}, {1, 0, 0, 0, 1, 0, 0, 0, 1}}, out[27];
  int32_t pivots[9], info[3];
  wt_lu_factor_args args = {sizeof args, CHECK_TENSOR(out, WT_FLOAT64, 3, 3, 3),
                            CHECK_TENSOR(pivots, WT_INT32, 3, 3), CHECK_TENSOR(info, WT_INT32, 3),
                            CHECK_TENSOR(values, WT_FLOAT64, 3, 3, 3)};
  CHECK(wt_lu_factor(&args) == WT_OK);
  CHECK(info[0] == 1 && info[1] == 3 && info[2] == 0);
}

static void triangular(check_random *random, int dtype, wt_word n, wt_word columns) {
  for (int mode = 0; mode < 4; mode++) {
    bool upper = mode & 1, unit = mode & 2;
    wt_tensor a = matrices(random, dtype, n, n), b = matrices(random, dtype, n, columns);
    wt_tensor out = matrices(random, dtype, n, columns);
    for (wt_word batch = 0; batch < BATCH; batch++)
      for (wt_word i = 0; i < n; i++)
        for (wt_word j = 0; j < n; j++)
          put(&a, batch, i, j, at(&a, batch, i, j) / (double)n + (i == j ? 2 : 0));
    wt_solve_triangular_args args = {sizeof args, out, a, b, upper, unit};
    CHECK(wt_solve_triangular(&args) == WT_OK);
    for (wt_word batch = 0; batch < BATCH; batch++)
      for (wt_word i = 0; i < n; i++)
        for (wt_word c = 0; c < columns; c++) {
          double sum = unit ? at(&out, batch, i, c) : 0;
          for (wt_word k = 0; k < n; k++) {
            if (upper ? k < i : k > i) continue;
            if (k == i && unit) continue;
            sum += at(&a, batch, i, k) * at(&out, batch, k, c);
          }
          CHECK_CLOSE(sum, at(&b, batch, i, c), precision(dtype, n));
        }
    layout_free(&a), layout_free(&b), layout_free(&out);
  }
}
TEST(triangular_systems_are_solved) { over_shapes(2, false, triangular); }

/* ---- Cholesky -------------------------------------------------------------------------------- */
static void cholesky(check_random *random, int dtype, wt_word n, wt_word unused) {
  (void)unused;
  wt_tensor self = matrices(random, dtype, n, n), out = matrices(random, dtype, n, n);
  wt_tensor info = infos(random);
  symmetrise(&self, 4 * (double)n);
  wt_cholesky_args args = {sizeof args, out, info, self};
  CHECK(wt_cholesky(&args) == WT_OK);
  check_zero_infos(&info);
  for (wt_word b = 0; b < BATCH; b++)
    for (wt_word i = 0; i < n; i++)
      for (wt_word j = 0; j < n; j++) {
        if (j > i) CHECK(at(&out, b, i, j) == 0);
        CHECK_CLOSE(product(&out, false, &out, true, b, i, j, n), at(&self, b, i, j),
                    precision(dtype, n));
      }
  layout_free(&self), layout_free(&out), layout_free(&info);
}
TEST(cholesky_factor_squares_to_the_matrix) { over_shapes(3, true, cholesky); }

TEST(cholesky_reports_the_minor_that_is_not_positive) {
  float values[3][4] = {{-1, 0, 0, 1}, {1, 2, 2, 1}, {1, 0, NAN, 1}}, out[12];
  int32_t info[3];
  wt_cholesky_args args = {sizeof args, CHECK_TENSOR(out, WT_FLOAT32, 3, 2, 2),
                           CHECK_TENSOR(info, WT_INT32, 3),
                           CHECK_TENSOR(values, WT_FLOAT32, 3, 2, 2)};
  CHECK(wt_cholesky(&args) == WT_OK);
  CHECK(info[0] == 1 && info[1] == 2 && info[2] == 2);
}

/* ---- QR -------------------------------------------------------------------------------------- */
static void qr(check_random *random, int dtype, wt_word rows, wt_word columns) {
  wt_word count = rows < columns ? rows : columns;
  wt_tensor self = matrices(random, dtype, rows, columns);
  wt_tensor packed = matrices(random, dtype, rows, columns), tau = vectors(random, dtype, count);
  wt_tensor identity = matrices(random, dtype, rows, rows), q = matrices(random, dtype, rows, rows);
  wt_tensor back = matrices(random, dtype, rows, rows);
  for (wt_word b = 0; b < BATCH; b++)
    for (wt_word i = 0; i < rows; i++)
      for (wt_word j = 0; j < rows; j++) put(&identity, b, i, j, i == j);
  wt_geqrf_args args = {sizeof args, packed, tau, self};
  CHECK(wt_geqrf(&args) == WT_OK);
  wt_apply_reflectors_args apply = {sizeof apply, q, packed, tau, identity, 0};
  CHECK(wt_apply_reflectors(&apply) == WT_OK);
  wt_apply_reflectors_args undo = {sizeof undo, back, packed, tau, q, 1};
  CHECK(wt_apply_reflectors(&undo) == WT_OK);
  check_orthonormal_columns(&q, rows);
  for (wt_word b = 0; b < BATCH; b++)
    for (wt_word i = 0; i < rows; i++) {
      for (wt_word j = 0; j < rows; j++)
        CHECK_CLOSE(at(&back, b, i, j), i == j, precision(dtype, rows));
      for (wt_word j = 0; j < columns; j++)
        CHECK_CLOSE(product(&q, false, &packed, false, b, i, j, j < rows ? j + 1 : rows),
                    at(&self, b, i, j), precision(dtype, rows));
    }
  layout_free(&self), layout_free(&packed), layout_free(&tau), layout_free(&identity);
  layout_free(&q), layout_free(&back);
}
TEST(qr_reflectors_and_r_multiply_to_the_matrix) { over_shapes(4, false, qr); }

/* ---- eigenvalues ----------------------------------------------------------------------------- */
static void check_eigenvectors(const wt_tensor *self, const wt_tensor *values,
                               const wt_tensor *vectors) {
  wt_word n = self->size[1];
  check_orthonormal_columns(vectors, n);
  for (wt_word b = 0; b < BATCH; b++)
    for (wt_word j = 0; j < n; j++) {
      if (j > 0) CHECK(element(values, b, j) >= element(values, b, j - 1));
      for (wt_word i = 0; i < n; i++) {
        CHECK_CLOSE(product(self, false, vectors, false, b, i, j, n),
                    at(vectors, b, i, j) * element(values, b, j),
                    precision((int)self->dtype, 2 * n));
      }
    }
}

static void eigh(check_random *random, int dtype, wt_word n, wt_word unused) {
  (void)unused;
  wt_tensor self = matrices(random, dtype, n, n), out = matrices(random, dtype, n, n);
  wt_tensor values = vectors(random, dtype, n), alone = vectors(random, dtype, n);
  wt_tensor info = infos(random);
  symmetrise(&self, 0);
  wt_eigh_args args = {sizeof args, values, out, info, self};
  CHECK(wt_eigh(&args) == WT_OK);
  check_zero_infos(&info);
  check_eigenvectors(&self, &values, &out);
  wt_eigh_args values_only = {sizeof args, alone, check_absent(), info, self};
  CHECK(wt_eigh(&values_only) == WT_OK);
  for (wt_word p = 0; p < BATCH * n; p++)
    CHECK_CLOSE(check_get(&alone, p), check_get(&values, p), precision(dtype, n));
  layout_free(&self), layout_free(&out), layout_free(&values), layout_free(&alone);
  layout_free(&info);
}
TEST(eigenvectors_belong_to_their_values) { over_shapes(5, true, eigh); }

TEST(eigenvalues_that_repeat) {
  enum { N = 12 };
  static double values[BATCH][N][N], out[BATCH * N * N], found[BATCH * N];
  int32_t info[BATCH];
  for (int i = 0; i < N; i++) {
    values[0][i][i] = i % 3;
    for (int j = 0; j < N; j++) values[1][i][j] = 1;
    if (i > 0) values[2][i][i - 1] = values[2][i - 1][i] = 1e-170;
  }
  wt_tensor self = CHECK_TENSOR(values, WT_FLOAT64, BATCH, N, N);
  wt_tensor vectors = CHECK_TENSOR(out, WT_FLOAT64, BATCH, N, N);
  wt_eigh_args args = {sizeof args, CHECK_TENSOR(found, WT_FLOAT64, BATCH, N), vectors,
                       CHECK_TENSOR(info, WT_INT32, BATCH), self};
  CHECK(wt_eigh(&args) == WT_OK);
  CHECK(info[0] == 0 && info[1] == 0 && info[2] == 0);
  check_eigenvectors(&self, &args.values, &vectors);
  CHECK_CLOSE(found[2 * N - 1], N, 1e-13);
}

/* ---- singular values ------------------------------------------------------------------------- */
static void check_singular_vectors(const wt_tensor *self, const wt_tensor *u, const wt_tensor *s,
                                   const wt_tensor *vh) {
  wt_word rows = self->size[1], columns = self->size[2], least = s->size[1];
  check_orthonormal_columns(u, u->size[2]);
  check_orthonormal_rows(vh);
  for (wt_word b = 0; b < BATCH; b++) {
    for (wt_word k = 0; k < least; k++) {
      CHECK(element(s, b, k) >= 0);
      if (k > 0) CHECK(element(s, b, k) <= element(s, b, k - 1));
    }
    double largest = least > 0 ? element(s, b, 0) : 1;
    for (wt_word i = 0; i < rows; i++)
      for (wt_word j = 0; j < columns; j++) {
        double sum = 0;
        for (wt_word k = 0; k < least; k++)
          sum += at(u, b, i, k) * element(s, b, k) * at(vh, b, k, j);
        CHECK(fabs(sum - at(self, b, i, j)) <=
              precision((int)self->dtype, rows + columns) * largest);
      }
  }
}

static void svd(check_random *random, int dtype, wt_word rows, wt_word columns) {
  wt_word least = rows < columns ? rows : columns;
  wt_tensor self = matrices(random, dtype, rows, columns);
  wt_tensor s = vectors(random, dtype, least), alone = vectors(random, dtype, least);
  wt_tensor info = infos(random);
  for (wt_word b = 0; b < BATCH && check_integer(random, 0, 1); b++) {
    /* Every second matrix of rank 1, or zero. */
    double scale = check_integer(random, 0, 2) ? 1 : 0;
    for (wt_word i = 0; i < rows; i++)
      for (wt_word j = 0; j < columns; j++)
        put(&self, b, i, j, scale * (double)((i + 1) * (j + 2)));
  }
  for (int full = 0; full < 2; full++) {
    wt_tensor u = matrices(random, dtype, rows, full ? rows : least);
    wt_tensor vh = matrices(random, dtype, full ? columns : least, columns);
    wt_svd_args args = {sizeof args, u, s, vh, info, self};
    CHECK(wt_svd(&args) == WT_OK);
    check_zero_infos(&info);
    check_singular_vectors(&self, &u, &s, &vh);
    layout_free(&u), layout_free(&vh);
  }
  wt_svd_args values_only = {sizeof values_only, check_absent(), alone, check_absent(), info, self};
  CHECK(wt_svd(&values_only) == WT_OK);
  for (wt_word b = 0; b < BATCH; b++)
    for (wt_word k = 0; k < least; k++)
      CHECK(fabs(element(&alone, b, k) - element(&s, b, k)) <=
            precision(dtype, least) * element(&s, b, 0));
  layout_free(&self), layout_free(&s), layout_free(&alone), layout_free(&info);
}
TEST(singular_vectors_multiply_to_the_matrix) { over_shapes(6, false, svd); }

TEST(matrices_that_are_not_finite_are_reported) {
  double values[3][4] = {{1, NAN, 0, 1}, {INFINITY, 0, 0, 1}, {1, 0, 0, 1}}, s[6], all[12];
  int32_t info[3];
  wt_tensor self = CHECK_TENSOR(values, WT_FLOAT64, 3, 2, 2);
  wt_svd_args args = {sizeof args,
                      check_absent(),
                      CHECK_TENSOR(s, WT_FLOAT64, 3, 2),
                      check_absent(),
                      CHECK_TENSOR(info, WT_INT32, 3),
                      self};
  CHECK(wt_svd(&args) == WT_OK);
  CHECK(info[0] != 0 && info[1] != 0 && info[2] == 0);
  values[0][2] = NAN;
  wt_eigh_args eigh_args = {sizeof eigh_args, args.s, CHECK_TENSOR(all, WT_FLOAT64, 3, 2, 2),
                            args.info, self};
  CHECK(wt_eigh(&eigh_args) == WT_OK);
  CHECK(info[0] != 0 && info[1] != 0 && info[2] == 0);
}

/* ---- LDL ------------------------------------------------------------------------------------- */
static void ldl(check_random *random, int dtype, wt_word n, wt_word unused) {
  (void)unused;
  wt_tensor self = matrices(random, dtype, n, n), packed = matrices(random, WT_FLOAT64, n, n);
  wt_tensor pivots = vectors(random, WT_INT32, n), info = infos(random);
  wt_tensor b = matrices(random, WT_FLOAT64, n, 2), x = matrices(random, WT_FLOAT64, n, 2);
  symmetrise(&self, 0);
  for (wt_word batch = 0; batch < BATCH; batch++)
    for (wt_word i = 0; i < n && n > 1 && batch == 1; i++) put(&self, batch, i, i, 0);
  wt_ldl_factor_args args = {sizeof args, packed, pivots, info, self};
  CHECK(wt_ldl_factor(&args) == WT_OK);
  check_zero_infos(&info);
  wt_ldl_solve_args solve = {sizeof solve, x, packed, pivots, b};
  CHECK(wt_ldl_solve(&solve) == WT_OK);
  for (wt_word batch = 0; batch < BATCH; batch++)
    for (wt_word i = 0; i < n; i++)
      for (wt_word c = 0; c < 2; c++)
        CHECK_CLOSE(product(&self, false, &x, false, batch, i, c, n), at(&b, batch, i, c), 1e-8);
  layout_free(&self), layout_free(&packed), layout_free(&pivots), layout_free(&info);
  layout_free(&b), layout_free(&x);
}
TEST(symmetric_systems_are_solved) { over_shapes(7, true, ldl); }

/* ---- bad input ------------------------------------------------------------------------------- */
TEST(linalg_refuses_what_does_not_fit) {
  double a[8] = {0}, b[8] = {0};
  int32_t pivots[4] = {1, 3, 1, 2}, info[2];
  int64_t order[4];
  wt_tensor square = CHECK_TENSOR(a, WT_FLOAT64, 2, 2, 2), flat = CHECK_TENSOR(b, WT_FLOAT64, 8);
  wt_tensor wide = CHECK_TENSOR(b, WT_FLOAT64, 2, 1, 4), whole = CHECK_TENSOR(a, WT_INT64, 2, 2, 2);
  wt_tensor places = CHECK_TENSOR(pivots, WT_INT32, 2, 2), infos = CHECK_TENSOR(info, WT_INT32, 2);
  wt_lu_factor_args lu_args = {sizeof lu_args, wide, places, infos, square};
  CHECK(wt_lu_factor(&lu_args) == WT_BAD_ARGUMENT);
  lu_args.out = whole;
  CHECK(wt_lu_factor(&lu_args) == WT_UNSUPPORTED_DTYPE);
  lu_args.self = flat;
  CHECK(wt_lu_factor(&lu_args) == WT_BAD_ARGUMENT);
  wt_lu_permutation_args permute = {sizeof permute, CHECK_TENSOR(order, WT_INT64, 2, 2), places};
  CHECK(wt_lu_permutation(&permute) == WT_INDEX_OUT_OF_RANGE);
  wt_ldl_solve_args solve = {sizeof solve, square, square, places, square};
  CHECK(wt_ldl_solve(&solve) == WT_INDEX_OUT_OF_RANGE);
  pivots[1] = -2;
  CHECK(wt_ldl_solve(&solve) == WT_INDEX_OUT_OF_RANGE);
  wt_cholesky_args cholesky_args = {sizeof cholesky_args, wide, infos, wide};
  CHECK(wt_cholesky(&cholesky_args) == WT_BAD_ARGUMENT);
  wt_svd_args svd_args = {sizeof svd_args, square, flat, square, infos, square};
  CHECK(wt_svd(&svd_args) == WT_BAD_ARGUMENT);
}
