#include "layouts.h"
#include "reduce/f32_runs.h"

static const int float_dtypes[] = {WT_FLOAT32, WT_FLOAT64, WT_FLOAT16, WT_BFLOAT16};
static const int all_dtypes[] = {WT_FLOAT32, WT_FLOAT64, WT_FLOAT16, WT_BFLOAT16, WT_UINT8,
                                 WT_INT8,    WT_INT16,   WT_INT32,   WT_INT64,    WT_BOOL};

static bool is_float(int dtype) {
  return dtype == WT_FLOAT32 || dtype == WT_FLOAT64 || dtype == WT_FLOAT16 || dtype == WT_BFLOAT16;
}

/* ---- references ----------------------------------------------------------------------------- */
static double reference_extreme(const double *x, int64_t count, bool maximum) {
  double best = maximum ? -INFINITY : INFINITY;
  for (int64_t i = 0; i < count; i++) {
    if (isnan(x[i])) return NAN;
    if (maximum ? x[i] > best : x[i] < best) best = x[i];
  }
  return best;
}

static double reference_norm(const double *x, int64_t count, double order) {
  double total = order == -INFINITY ? INFINITY : 0;
  for (int64_t i = 0; i < count; i++) {
    double a = fabs(x[i]);
    if (order == 0)
      total += a != 0;
    else if (isinf(order) && (isnan(a) || isnan(total)))
      total = NAN;
    else if (isinf(order))
      total = order > 0 ? fmax(total, a) : fmin(total, a);
    else
      total += pow(a, order);
  }
  return order == 0 || isinf(order) ? total : pow(total, 1 / order);
}

static double reference_variance(const double *x, int64_t count, double correction) {
  double mean = 0, total = 0;
  for (int64_t i = 0; i < count; i++) mean += x[i] / (double)count;
  for (int64_t i = 0; i < count; i++) total += (x[i] - mean) * (x[i] - mean);
  return total / fmax((double)count - correction, 0);
}

static double reference_log_sum_exp(const double *x, int64_t count) {
  double maximum = reference_extreme(x, count, true), total = 0;
  if (!isfinite(maximum)) return maximum;
  for (int64_t i = 0; i < count; i++) total += exp(x[i] - maximum);
  return maximum + log(total);
}

static double reference(int op, double parameter, const double *x, int64_t count) {
  double total = op == WT_REDUCE_prod || op == WT_REDUCE_all;
  switch (op) {
    case WT_REDUCE_amax:
      return reference_extreme(x, count, true);
    case WT_REDUCE_amin:
      return reference_extreme(x, count, false);
    case WT_REDUCE_var:
      return reference_variance(x, count, parameter);
    case WT_REDUCE_std:
      return sqrt(reference_variance(x, count, parameter));
    case WT_REDUCE_norm:
      return reference_norm(x, count, parameter);
    case WT_REDUCE_logsumexp:
      return reference_log_sum_exp(x, count);
  }
  for (int64_t i = 0; i < count; i++) {
    if (op == WT_REDUCE_sum || op == WT_REDUCE_mean) total += x[i];
    if (op == WT_REDUCE_nansum && !isnan(x[i])) total += x[i];
    if (op == WT_REDUCE_prod) total *= x[i];
    if (op == WT_REDUCE_any && x[i] != 0) total = 1;
    if (op == WT_REDUCE_all && x[i] == 0) total = 0;
    if (op == WT_REDUCE_count_nonzero && x[i] != 0) total++;
  }
  return op == WT_REDUCE_mean ? total / (double)count : total;
}

/* ---- one reduction against its reference --------------------------------------------------- */
static int out_dtype_of(int op, int dtype) {
  if (op == WT_REDUCE_any || op == WT_REDUCE_all) return WT_BOOL;
  return op == WT_REDUCE_count_nonzero ? WT_INT64 : dtype;
}

/* Sorts the elements of self by the output they belong to: values is (outputs, count). */
static void collect(const wt_tensor *self, const wt_tensor *out, int64_t count, double *values) {
  int64_t *filled = calloc((size_t)out->numel + 1, sizeof *filled);
  for (int64_t p = 0; p < self->numel; p++) {
    int64_t rest = p, output = 0, weight = 1;
    for (wt_word d = self->ndim - 1; d >= 0; d--) {
      if (out->size[d] != 1) output += rest % self->size[d] * weight;
      weight *= out->size[d];
      rest /= self->size[d];
    }
    values[output * count + filled[output]++] = check_get(self, p);
  }
  free(filled);
}

static void compare(int op, double parameter, const wt_tensor *self, const wt_tensor *out,
                    double tolerance) {
  wt_reduce_args args = {sizeof args, *out, *self, op, parameter};
  CHECK(wt_reduce(&args) == WT_OK);
  const int64_t count = self->numel / out->numel;
  double *values = malloc(((size_t)self->numel + 1) * sizeof *values);
  collect(self, out, count, values);
  for (int64_t p = 0; p < out->numel; p++)
    CHECK_CLOSE(check_get(out, p), reference(op, parameter, values + p * count, count), tolerance);
  free(values);
}

static void compare_random(check_random *random, int op, double parameter, int dtype) {
  const int ndim = (int)check_integer(random, 0, 4);
  wt_word size[4], out_size[4];
  for (int d = 0; d < ndim; d++) {
    size[d] = check_integer(random, 1, 9);
    out_size[d] = check_next(random) & 1 ? size[d] : 1;
  }
  wt_tensor self = layout_tensor(random, dtype, ndim, size, layout_any(random));
  wt_tensor out =
      layout_tensor(random, out_dtype_of(op, dtype), ndim, out_size, layout_any(random));
  const bool small = op == WT_REDUCE_prod;
  check_fill(&self, random, is_float(dtype) ? (small ? 0.9 : -2) : 0, is_float(dtype) ? 1.1 : 1);
  compare(op, parameter, &self, &out, 2 * layout_tolerance(dtype));
  layout_free(&self);
  layout_free(&out);
}

TEST(reduce_every_op_on_floats) {
  check_random random = {1};
  for (int op = 0; op < WT_REDUCE_COUNT; op++)
    for (int d = 0; d < 4; d++)
      for (int round = 0; round < 40; round++)
        compare_random(&random, op, op == WT_REDUCE_norm ? 2 : 1, float_dtypes[d]);
}

TEST(reduce_norm_orders) {
  check_random random = {2};
  const double orders[] = {0, 1, 2, 3, 0.5, -1, INFINITY, -INFINITY};
  for (int k = 0; k < 8; k++)
    for (int round = 0; round < 20; round++)
      compare_random(&random, WT_REDUCE_norm, orders[k], float_dtypes[round % 4]);
}

TEST(reduce_corrections) {
  check_random random = {3};
  for (int correction = 0; correction < 4; correction++)
    for (int round = 0; round < 20; round++) {
      compare_random(&random, WT_REDUCE_var, correction, float_dtypes[round % 2]);
      compare_random(&random, WT_REDUCE_std, correction, float_dtypes[round % 2]);
    }
}

TEST(reduce_integers_and_bool) {
  check_random random = {4};
  const int ops[] = {WT_REDUCE_sum, WT_REDUCE_prod, WT_REDUCE_amax,          WT_REDUCE_amin,
                     WT_REDUCE_any, WT_REDUCE_all,  WT_REDUCE_count_nonzero, WT_REDUCE_nansum};
  for (int k = 0; k < 8; k++)
    for (int round = 0; round < 60; round++) {
      const int dtype = all_dtypes[4 + round % 6];
      const bool sums = ops[k] == WT_REDUCE_sum || ops[k] == WT_REDUCE_nansum;
      compare_random(&random, ops[k], 0, sums && dtype != WT_INT64 ? WT_INT32 : dtype);
    }
}

TEST(reduce_integer_sums_are_exact_and_wrap) {
  int64_t values[3] = {INT64_MAX, 1, (int64_t)1 << 53}, total = 0;
  wt_tensor self = CHECK_TENSOR(values, WT_INT64, 3), out = CHECK_TENSOR(&total, WT_INT64, 1);
  wt_reduce_args args = {sizeof args, out, self, WT_REDUCE_sum, 0};
  CHECK(wt_reduce(&args) == WT_OK);
  CHECK(total == INT64_MIN + ((int64_t)1 << 53));
}

/* ---- shapes of the fast paths --------------------------------------------------------------- */
static void compare_sized(check_random *random, int dtype, wt_word n, wt_word c, wt_word s,
                          int kept, layout kind) {
  const wt_word size[3] = {n, c, s};
  wt_word out_size[3];
  for (int d = 0; d < 3; d++) out_size[d] = kept >> d & 1 ? size[d] : 1;
  wt_tensor self = layout_tensor(random, dtype, 3, size, kind);
  check_fill(&self, random, -1, 1);
  const int ops[] = {WT_REDUCE_sum, WT_REDUCE_mean,  WT_REDUCE_amax,      WT_REDUCE_amin,
                     WT_REDUCE_var, WT_REDUCE_norm,  WT_REDUCE_logsumexp, WT_REDUCE_any,
                     WT_REDUCE_all, WT_REDUCE_nansum};
  for (int k = 0; k < 10; k++) {
    wt_tensor out =
        layout_tensor(random, out_dtype_of(ops[k], dtype), 3, out_size, LAYOUT_CONTIGUOUS);
    compare(ops[k], 2, &self, &out, 4 * layout_tolerance(dtype));
    layout_free(&out);
  }
  layout_free(&self);
}

TEST(reduce_channel_patterns) {
  check_random random = {5};
  const int dtypes[] = {WT_FLOAT32, WT_FLOAT64, WT_BFLOAT16};
  for (int d = 0; d < 3; d++)
    for (int kept = 0; kept < 8; kept++)
      for (int kind = 0; kind < LAYOUT_COUNT; kind++)
        compare_sized(&random, dtypes[d], 5, 7, 37, kept, (layout)kind);
}

TEST(reduce_split_over_blocks) {
  check_random random = {6};
  compare_sized(&random, WT_FLOAT32, 1, 3, 40000, 2, LAYOUT_CONTIGUOUS); /* rows in blocks */
  compare_sized(&random, WT_FLOAT32, 1, 40000, 4, 4, LAYOUT_CONTIGUOUS); /* columns in blocks */
  compare_sized(&random, WT_FLOAT32, 70, 1, 300, 4, LAYOUT_CONTIGUOUS);  /* several tiles */
  compare_sized(&random, WT_FLOAT64, 90, 2, 700, 0, LAYOUT_STEPPED);
  compare_sized(&random, WT_FLOAT16, 90, 2, 700, 2, LAYOUT_PERMUTED);
}

TEST(reduce_same_bits_on_any_number_of_threads) {
  check_random random = {7};
  enum { ROWS = 3000, COLUMNS = 40 };
  float *x = calloc(ROWS * COLUMNS, sizeof *x), results[2][1 + COLUMNS];
  wt_tensor self = CHECK_TENSOR(x, WT_FLOAT32, ROWS, COLUMNS);
  check_fill(&self, &random, -1, 1);
  const wt_word threads = wt_get_num_threads();
  for (int run = 0; run < 2; run++) {
    wt_set_num_threads(run ? 4 : 1);
    wt_tensor all = CHECK_TENSOR(results[run], WT_FLOAT32, 1, 1);
    wt_tensor down = CHECK_TENSOR(results[run] + 1, WT_FLOAT32, 1, COLUMNS);
    wt_reduce_args args = {sizeof args, all, self, WT_REDUCE_sum, 0};
    CHECK(wt_reduce(&args) == WT_OK);
    args = (wt_reduce_args){sizeof args, down, self, WT_REDUCE_var, 1};
    CHECK(wt_reduce(&args) == WT_OK);
  }
  wt_set_num_threads(threads);
  CHECK(memcmp(results[0], results[1], sizeof results[0]) == 0);
  free(x);
}

TEST(reduce_sum_of_a_million_tenths) {
  enum { COUNT = 1 << 20 };
  float *x = malloc(COUNT * sizeof *x), sum = 0, variance = 0;
  for (int i = 0; i < COUNT; i++) x[i] = 0.1f;
  wt_tensor self = CHECK_TENSOR(x, WT_FLOAT32, COUNT);
  wt_tensor out = CHECK_TENSOR(&sum, WT_FLOAT32, 1);
  wt_reduce_args args = {sizeof args, out, self, WT_REDUCE_sum, 0};
  CHECK(wt_reduce(&args) == WT_OK);
  CHECK_CLOSE((double)sum, (double)0.1f * COUNT, 1e-6);
  /* A mean far above the deviation: sums of squares alone would cancel. */
  for (int i = 0; i < COUNT; i++) x[i] = 4096.0f + (i & 1 ? 0.25f : -0.25f);
  args =
      (wt_reduce_args){sizeof args, CHECK_TENSOR(&variance, WT_FLOAT32, 1), self, WT_REDUCE_var, 0};
  CHECK(wt_reduce(&args) == WT_OK);
  CHECK_CLOSE((double)variance, 0.0625, 1e-6);
  free(x);
}

/* ---- special values -------------------------------------------------------------------------- */
static double reduce_floats(int op, double parameter, const float *values, wt_word count) {
  float result = 0;
  wt_tensor self = CHECK_TENSOR(values, WT_FLOAT32, count),
            out = CHECK_TENSOR(&result, WT_FLOAT32, 1);
  wt_reduce_args args = {sizeof args, out, self, op, parameter};
  CHECK(wt_reduce(&args) == WT_OK);
  return (double)result;
}

TEST(reduce_nothing_gives_identities) {
  const float none[1] = {0};
  wt_word size[1] = {0};
  const int ops[] = {WT_REDUCE_sum,  WT_REDUCE_mean,      WT_REDUCE_prod,  WT_REDUCE_var,
                     WT_REDUCE_norm, WT_REDUCE_logsumexp, WT_REDUCE_nansum};
  const double expected[] = {0, NAN, 1, NAN, 0, -INFINITY, 0};
  for (int k = 0; k < 7; k++) {
    float result = 7;
    wt_tensor self = check_tensor(none, WT_FLOAT32, 1, size);
    wt_reduce_args args = {sizeof args, CHECK_TENSOR(&result, WT_FLOAT32, 1), self, ops[k], 2};
    CHECK(wt_reduce(&args) == WT_OK);
    CHECK_CLOSE((double)result, expected[k], 0);
  }
}

TEST(reduce_nan_and_infinity) {
  float values[100];
  for (int place = 0; place < 100; place += 9) {
    for (int i = 0; i < 100; i++) values[i] = (float)i;
    values[place] = NAN;
    CHECK(isnan(reduce_floats(WT_REDUCE_amax, 0, values, 100)));
    CHECK(isnan(reduce_floats(WT_REDUCE_amin, 0, values, 100)));
    CHECK(isnan(reduce_floats(WT_REDUCE_sum, 0, values, 100)));
    CHECK(isnan(reduce_floats(WT_REDUCE_logsumexp, 0, values, 100)));
    CHECK(isnan(reduce_floats(WT_REDUCE_norm, INFINITY, values, 100)));
    CHECK_CLOSE(reduce_floats(WT_REDUCE_nansum, 0, values, 100), 4950 - place, 0);
  }
  const float infinite[3] = {INFINITY, 1, -INFINITY}, low[2] = {-INFINITY, -INFINITY};
  CHECK_CLOSE(reduce_floats(WT_REDUCE_logsumexp, 0, infinite, 3), INFINITY, 0);
  CHECK_CLOSE(reduce_floats(WT_REDUCE_logsumexp, 0, low, 2), -INFINITY, 0);
  CHECK(isnan(reduce_floats(WT_REDUCE_sum, 0, infinite, 3)));
  CHECK(isnan(reduce_floats(WT_REDUCE_var, 0, infinite, 2)));
  const float large[2] = {1000, 1000}, one[1] = {3}, pair[2] = {1, 2};
  CHECK_CLOSE(reduce_floats(WT_REDUCE_logsumexp, 0, large, 2), 1000 + log(2), 1e-6);
  CHECK(isnan(reduce_floats(WT_REDUCE_var, 1, one, 1)));
  CHECK_CLOSE(reduce_floats(WT_REDUCE_var, 3, pair, 2), INFINITY, 0);
}

TEST(reduce_rejects_what_it_cannot_do) {
  int32_t values[4] = {0};
  float result;
  wt_tensor self = CHECK_TENSOR(values, WT_INT32, 4);
  wt_reduce_args args = {sizeof args, CHECK_TENSOR(&result, WT_FLOAT32, 1), self, WT_REDUCE_mean,
                         0};
  CHECK(wt_reduce(&args) == WT_UNSUPPORTED_DTYPE);
  args.op = WT_REDUCE_COUNT;
  CHECK(wt_reduce(&args) == WT_BAD_ARGUMENT);
  args.op = WT_REDUCE_sum;
  args.out.size[0] = 3;
  CHECK(wt_reduce(&args) == WT_BAD_ARGUMENT);
}

/* ---- runs: SIMD against scalar ----------------------------------------------------------------
 */
TEST(runs_match_their_references) {
  check_random random = {8};
  float x[2100], y[2100], out[2][2100];
  for (int i = 0; i < 2100; i++) {
    x[i] = (float)check_uniform(&random, -3, 3);
    y[i] = (float)check_uniform(&random, -3, 3);
  }
  for (wt_word count = 0; count <= 2100; count += count < 70 ? 1 : 203) {
    CHECK_CLOSE(wt_f32_sum_simd(x, count), wt_f32_sum_reference(x, count), 1e-5);
    CHECK_CLOSE(wt_f32_sum_abs_simd(x, count), wt_f32_sum_abs_reference(x, count), 1e-5);
    CHECK_CLOSE(wt_f32_sum_squares_simd(x, count), wt_f32_sum_squares_reference(x, count), 1e-12);
    CHECK(wt_f32_max_simd(x, count) == wt_f32_max_reference(x, count));
    CHECK(wt_f32_min_simd(x, count) == wt_f32_min_reference(x, count));
    double a[2], b[2];
    wt_f32_deviations_simd(x, count, 0.3f, &a[0], &a[1]);
    wt_f32_deviations_reference(x, count, 0.3f, &b[0], &b[1]);
    CHECK_CLOSE(a[0], b[0], 1e-4);
    CHECK_CLOSE(a[1], b[1], 1e-5);
    wt_f32_centered_dot_simd(y, x, count, 0.3f, &a[0], &a[1]);
    wt_f32_centered_dot_reference(y, x, count, 0.3f, &b[0], &b[1]);
    CHECK_CLOSE(a[0], b[0], 1e-4);
    CHECK_CLOSE(a[1], b[1], 1e-4);
    CHECK_CLOSE(wt_f32_exp_sum_simd(out[0], x, count, 3),
                wt_f32_exp_sum_reference(out[1], x, count, 3), 1e-6);
    for (wt_word i = 0; i < count; i++) CHECK_CLOSE((double)out[0][i], (double)out[1][i], 3e-7);
    CHECK_CLOSE(wt_f32_exp_sum_simd(NULL, x, count, 3), wt_f32_exp_sum_reference(NULL, x, count, 3),
                1e-6);
  }
}

/* ---- arg_reduce -------------------------------------------------------------------------------
 */
static void compare_arg(check_random *random, int dtype, int ndim, const wt_word *size, int dim,
                        bool maximum, double spread) {
  wt_word out_size[4];
  for (int d = 0; d < ndim; d++) out_size[d] = d == dim ? 1 : size[d];
  wt_tensor self = layout_tensor(random, dtype, ndim, size, layout_any(random));
  wt_tensor values = layout_tensor(random, dtype, ndim, out_size, layout_any(random));
  wt_tensor indices = layout_tensor(random, WT_INT64, ndim, out_size, layout_any(random));
  check_fill(&self, random, is_float(dtype) ? -spread : 0, spread);
  for (int64_t p = 0; p < self.numel && spread < 10; p++) /* equal elements */
    check_set(&self, p, round(check_get(&self, p)));
  if (is_float(dtype))
    for (int64_t p = 0; p < self.numel; p += 97) check_set(&self, p, NAN);
  wt_arg_reduce_args args = {sizeof args, values, indices, self, dim, maximum};
  CHECK(wt_arg_reduce(&args) == WT_OK);
  int64_t inner = 1;
  for (int d = dim + 1; d < ndim; d++) inner *= size[d];
  for (int64_t p = 0; p < values.numel; p++) {
    const int64_t base = p / inner * inner * size[dim] + p % inner;
    int64_t at = 0;
    for (int64_t i = 1; i < size[dim]; i++) {
      double best = check_get(&self, base + at * inner), v = check_get(&self, base + i * inner);
      if (!isnan(best) && (isnan(v) || (maximum ? v > best : v < best))) at = i;
    }
    CHECK(check_get(&indices, p) == (double)at);
    CHECK_CLOSE(check_get(&values, p), check_get(&self, base + at * inner), 0);
  }
  layout_free(&self);
  layout_free(&values);
  layout_free(&indices);
}

TEST(arg_reduce_first_of_equals_and_nan) {
  check_random random = {9};
  for (int d = 0; d < 10; d++)
    for (int round = 0; round < 24; round++) {
      wt_word size[4];
      const int ndim = (int)check_integer(&random, 1, 4);
      for (int k = 0; k < ndim; k++) size[k] = check_integer(&random, 1, 8);
      compare_arg(&random, all_dtypes[d], ndim, size, (int)check_integer(&random, 0, ndim - 1),
                  round & 1, 3);
    }
  for (wt_word length = 1; length < 1200; length = length * 2 + 3) {
    const wt_word size[2] = {3, length};
    for (int round = 0; round < 8; round++)
      compare_arg(&random, WT_FLOAT32, 2, size, 1, round & 1, round < 4 ? 1e3 : 1);
  }
}

TEST(arg_reduce_down_columns) {
  check_random random = {11};
  for (int round = 0; round < 24; round++)
    for (int dim = 0; dim < 2; dim++) {
      const wt_word size[3] = {5, 23, 1 + 37 * (round % 4)};
      compare_arg(&random, round % 3 ? WT_FLOAT32 : WT_FLOAT64, 3, size, dim, round & 1,
                  round & 2 ? 1 : 100);
    }
}

TEST(arg_reduce_without_values) {
  float x[6] = {3, 1, 2, 1, 5, 5};
  int64_t at[2];
  wt_arg_reduce_args args = {sizeof args,
                             check_absent(),
                             CHECK_TENSOR(at, WT_INT64, 2, 1),
                             CHECK_TENSOR(x, WT_FLOAT32, 2, 3),
                             1,
                             1};
  CHECK(wt_arg_reduce(&args) == WT_OK);
  CHECK(at[0] == 0 && at[1] == 1);
  args.self.size[1] = 0;
  CHECK(wt_arg_reduce(&args) == WT_BAD_ARGUMENT);
}

/* ---- scan --------------------------------------------------------------------------------------
 */
static double scan_step(int op, double before, double v) {
  switch (op) {
    case WT_SCAN_cumsum:
      return before + v;
    case WT_SCAN_cumprod:
      return before * v;
    case WT_SCAN_cummax:
      return isnan(v) || v >= before ? v : before;
    case WT_SCAN_cummin:
      return isnan(v) || v <= before ? v : before;
    default:
      return isinf(before) && before == v ? v : fmax(before, v) + log1p(exp(-fabs(before - v)));
  }
}

static void compare_scan(check_random *random, int op, int dtype, int ndim, const wt_word *size,
                         int dim) {
  const bool extreme = op == WT_SCAN_cummax || op == WT_SCAN_cummin;
  wt_tensor self = layout_tensor(random, dtype, ndim, size, layout_any(random));
  wt_tensor out = layout_tensor(random, dtype, ndim, size, layout_any(random));
  wt_tensor indices = layout_tensor(random, WT_INT64, ndim, size, layout_any(random));
  check_fill(&self, random, is_float(dtype) ? -1.1 : 0, is_float(dtype) ? 1.1 : 2);
  if (is_float(dtype) && extreme && self.numel > 20) check_set(&self, 17, NAN);
  wt_scan_args args = {sizeof args, out, extreme ? indices : check_absent(), self, dim, op};
  CHECK(wt_scan(&args) == WT_OK);
  int64_t inner = 1;
  for (int d = dim + 1; d < ndim; d++) inner *= size[d];
  for (int64_t p = 0; p < self.numel; p++) {
    const int64_t at = p / inner % size[dim], base = p - at * inner;
    double value = check_get(&self, base);
    int64_t index = 0;
    for (int64_t i = 1; i <= at; i++) {
      const double v = check_get(&self, base + i * inner), next = scan_step(op, value, v);
      if (isnan(v) || (!isnan(value) && next == v)) index = i;
      value = isnan(value) && extreme && !isnan(v) ? value : next;
    }
    const bool wraps = dtype == WT_UINT8 && !extreme;
    CHECK_CLOSE(check_get(&out, p), wraps ? fmod(value, 256) : value, layout_tolerance(dtype));
    if (extreme) CHECK(check_get(&indices, p) == (double)index);
  }
  layout_free(&self);
  layout_free(&out);
  layout_free(&indices);
}

TEST(scan_every_op) {
  check_random random = {10};
  const int dtypes[] = {WT_FLOAT32, WT_FLOAT64, WT_FLOAT16, WT_BFLOAT16, WT_INT64, WT_UINT8};
  for (int op = 0; op < WT_SCAN_COUNT; op++)
    for (int d = 0; d < (op == WT_SCAN_logcumsumexp ? 4 : 6); d++)
      for (int round = 0; round < 12; round++) {
        wt_word size[3];
        const int ndim = (int)check_integer(&random, 1, 3);
        for (int k = 0; k < ndim; k++) size[k] = check_integer(&random, 1, 7);
        compare_scan(&random, op, dtypes[d], ndim, size, (int)check_integer(&random, 0, ndim - 1));
      }
  const wt_word long_line[2] = {700, 2};
  for (int op = 0; op < WT_SCAN_COUNT; op++) compare_scan(&random, op, WT_FLOAT32, 2, long_line, 0);
}

TEST(scan_infinities) {
  float x[3] = {-INFINITY, -INFINITY, 1}, y[3] = {INFINITY, 1, -INFINITY}, out[3] = {0};
  wt_scan_args args = {sizeof args,
                       CHECK_TENSOR(out, WT_FLOAT32, 3),
                       check_absent(),
                       CHECK_TENSOR(x, WT_FLOAT32, 3),
                       0,
                       WT_SCAN_logcumsumexp};
  CHECK(wt_scan(&args) == WT_OK);
  CHECK(out[0] == -INFINITY && out[1] == -INFINITY && out[2] == 1);
  args.self = CHECK_TENSOR(y, WT_FLOAT32, 3);
  CHECK(wt_scan(&args) == WT_OK);
  CHECK(out[0] == INFINITY && out[1] == INFINITY && out[2] == INFINITY);
}
