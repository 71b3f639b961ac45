/* Every pointwise operator and dtype over contiguous, permuted, stepped, broadcast and scalar
 * operands, against formulas in double or int64. Special functions are checked for their values in
 * test_pointwise_special.c and here for their layouts, against the float64 kernel. */
#include "pointwise_reference.h"

static const int dtypes[] = {WT_UINT8, WT_INT8,    WT_INT16,   WT_INT32,   WT_INT64,
                             WT_BOOL,  WT_FLOAT16, WT_FLOAT32, WT_FLOAT64, WT_BFLOAT16};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

/* ---- comparison ------------------------------------------------------------------------------ */
/* Absolute near 0 and relative above 1; half types are rounded several times in double roundings.
 */
static double tolerance_of(int dtype) {
  switch (dtype) {
    case WT_FLOAT16:
      return 2e-3;
    case WT_BFLOAT16:
      return 1.6e-2;
    case WT_FLOAT32:
      return 4e-6;
    case WT_FLOAT64:
      return 1e-9;
    default:
      return 0;
  }
}

static void check_element(const wt_tensor *out, int64_t p, double expected, const char *name) {
  const double got = check_get(out, p), range = out->dtype == WT_FLOAT16 ? 65000 : 3e38;
  const double tolerance = tolerance_of((int)out->dtype);
  if (isnan(expected) || fabs(expected) > range) {
    CHECK(isnan(expected) ? isnan(got) : !isfinite(got) || fabs(got) > 0.99 * range);
    return;
  }
  static const char *reported = "";
  if (!check_close(got, expected, tolerance) && name != reported) {
    printf("  %s of dtype %d:\n", reported = name, (int)out->dtype);
  }
  CHECK_CLOSE(got, expected, tolerance);
}

static wt_word random_shape(check_random *random, wt_word size[4]) {
  const wt_word ndim = check_integer(random, 0, 4);
  for (wt_word d = 0; d < ndim; d++) {
    size[d] = check_integer(random, 0, 9) == 0 ? 37 : check_integer(random, 1, 6);
  }
  return ndim;
}

/* The tensor with some dimensions expanded: their stride is 0. */
static wt_tensor broadcast(check_random *random, wt_tensor tensor) {
  for (wt_word d = 0; d < tensor.ndim; d++) {
    if (check_next(random) % 3 == 0) tensor.stride[d] = 0;
  }
  return tensor;
}

/* ---- unary ----------------------------------------------------------------------------------- */
#define NAME(name) #name,
static const char *const unary_names[] = {WT_UNARY_OPS(NAME)};
static const char *const binary_names[] = {WT_BINARY_OPS(NAME)};

/* Parameters that every operator accepts. */
static void unary_parameters(int op, int dtype, double *p0, double *p1) {
  *p0 = is_float(dtype) ? 0.5 : 1;
  *p1 = 2;
  if (op == WT_UNARY_softplus) *p1 = 20;
  if (op == WT_UNARY_logit) *p0 = 0.25;
}

/* The float64 kernel's value where there is no formula here; NaN where it does not exist. */
static double unary_by_kernel(int op, double x, double p0, double p1) {
  double out = NAN;
  wt_unary_contiguous_args args = {sizeof args, op, WT_FLOAT64, WT_FLOAT64, (wt_word)&out,
                                   (wt_word)&x, 1,  p0,         p1};
  CHECK(wt_unary_contiguous(&args) == WT_OK);
  return out;
}

static void compare_unary(int op, const wt_tensor *out, const wt_tensor *self, double p0,
                          double p1) {
  for (int64_t p = 0; p < out->numel; p++) {
    bool known = true;
    const double x = check_get(self, p);
    double expected = unary_reference((wt_unary_op)op, x, p0, p1, &known);
    if (!known) expected = unary_by_kernel(op, x, p0, p1);
    if (self->dtype == WT_BOOL && op == WT_UNARY_bitwise_not) expected = x == 0;
    check_element(out, p, wrapped((int)out->dtype, expected), unary_names[op]);
  }
}

static void unary_case(check_random *random, int op, int dtype) {
  wt_word size[4];
  const int ndim = (int)random_shape(random, size);
  const int out_dtype = is_unary_predicate(op) ? WT_BOOL : dtype;
  wt_tensor self = layout_tensor(random, dtype, ndim, size, layout_any(random));
  wt_tensor out = layout_tensor(random, out_dtype, ndim, size, layout_any(random));
  check_fill(&self, random, is_float(dtype) || dtype == WT_UINT8 ? 0 : -9, 9);
  double p0, p1;
  unary_parameters(op, dtype, &p0, &p1);
  const wt_tensor expanded = broadcast(random, self);
  wt_unary_args args = {sizeof args, out, expanded, op, p0, p1};
  const int status = wt_unary(&args);
  if (status == WT_OK) {
    compare_unary(op, &out, &expanded, p0, p1);
  } else {
    CHECK(status == WT_UNSUPPORTED_DTYPE && !is_float(dtype));
  }
  wt_tensor dense_self = layout_tensor(random, dtype, ndim, size, LAYOUT_CONTIGUOUS);
  wt_tensor dense_out = layout_tensor(random, out_dtype, ndim, size, LAYOUT_CONTIGUOUS);
  check_fill(&dense_self, random, is_float(dtype) ? -4 : 0, 9);
  wt_unary_contiguous_args dense = {sizeof dense,    op,        dtype, out_dtype, dense_out.data,
                                    dense_self.data, out.numel, p0,    p1};
  CHECK(wt_unary_contiguous(&dense) == status);
  if (status == WT_OK) compare_unary(op, &dense_out, &dense_self, p0, p1);
  layout_free(&self);
  layout_free(&out);
  layout_free(&dense_self);
  layout_free(&dense_out);
}

TEST(pointwise_unary_matches_reference) {
  check_random random = {11};
  for (int op = 0; op < WT_UNARY_COUNT; op++) {
    for (int k = 0; k < DTYPES; k++) {
      /* Floats have no bits to negate. */
      if (is_float(dtypes[k]) && op == WT_UNARY_bitwise_not) continue;
      for (int repeat = 0; repeat < 4; repeat++) unary_case(&random, op, dtypes[k]);
    }
  }
}

/* ---- binary ---------------------------------------------------------------------------------- */
static bool is_division(int op) { return op >= WT_BINARY_div_floor && op <= WT_BINARY_fmod; }
static bool needs_integer(int op) { return op >= WT_BINARY_bitwise_and && op <= WT_BINARY_lcm; }

static double binary_by_kernel(int op, double a, double b, int dtype) {
  double out = NAN;
  if (is_float(dtype)) {
    wt_binary_contiguous_args args = {.op = op,
                                      .dtype = WT_FLOAT64,
                                      .out = (wt_word)&out,
                                      .self = (wt_word)&a,
                                      .other = (wt_word)&b,
                                      .count = 1,
                                      .alpha = 1};
    CHECK(wt_binary_contiguous(&args) == WT_OK);
    return out;
  }
  int64_t integer_a = (int64_t)a, integer_b = (int64_t)b, integer_out = 0;
  wt_binary_contiguous_args args = {.op = op,
                                    .dtype = WT_INT64,
                                    .out = (wt_word)&integer_out,
                                    .self = (wt_word)&integer_a,
                                    .other = (wt_word)&integer_b,
                                    .count = 1,
                                    .alpha = 1};
  CHECK(wt_binary_contiguous(&args) == WT_OK);
  return (double)integer_out;
}

/* Quotients next to an integer may be rounded to either side in a narrow dtype. */
static bool is_unstable(int op, int dtype, double a, double b) {
  if (!is_float(dtype) || !is_division(op)) return false;
  const double quotient = a / b;
  return fabs(quotient - nearbyint(quotient)) < 0.02;
}

static void check_binary(int op, const wt_tensor *out, int64_t p, int dtype, double a, double b,
                         double alpha) {
  bool known = true;
  double expected = binary_reference((wt_binary_op)op, a, b, alpha, &known);
  if (op == WT_BINARY_nextafter && dtype == WT_FLOAT32)
    expected = nextafterf((float)a, (float)b);
  else if (!known)
    expected = binary_by_kernel(op, a, b, dtype);
  if (is_unstable(op, dtype, a, b)) return;
  check_element(out, p, wrapped((int)out->dtype, expected), binary_names[op]);
}

static void fill_binary(check_random *random, wt_tensor *a, wt_tensor *b, int op, int dtype) {
  check_fill(a, random, is_float(dtype) || dtype == WT_UINT8 ? 0 : -9, 9);
  check_fill(b, random, is_float(dtype) || dtype == WT_UINT8 ? 0.25 : -5, 6);
  if (is_float(dtype) || !is_division(op)) return;
  for (int64_t p = 0; p < b->numel; p++) {
    if (check_get(b, p) == 0) check_set(b, p, 2);
  }
}

/* `mode` as in the kernel: 1 puts a number in place of other, 2 in place of self. */
static void binary_case(check_random *random, int op, int dtype, int mode) {
  wt_word size[4];
  const int ndim = (int)random_shape(random, size);
  const int out_dtype = is_binary_predicate(op) ? WT_BOOL : dtype;
  wt_tensor a = layout_tensor(random, dtype, ndim, size, layout_any(random));
  wt_tensor b = layout_tensor(random, dtype, ndim, size, layout_any(random));
  wt_tensor out = layout_tensor(random, out_dtype, ndim, size, layout_any(random));
  fill_binary(random, &a, &b, op, dtype);
  const double alpha = op == WT_BINARY_rsub || op >= WT_BINARY_relu_backward ? 2 : 1;
  const wt_scalar scalar = {dtype == WT_BOOL ? 1 : 3, dtype == WT_BOOL ? 1 : 3};
  const wt_tensor wide_a = broadcast(random, a), wide_b = broadcast(random, b);
  wt_binary_args args = {sizeof args, out, wide_a, wide_b, op, mode, scalar, alpha};
  if (mode == 1) args.other = check_absent();
  if (mode == 2) args.self = check_absent();
  const int status = wt_binary(&args);
  if (status != WT_OK) {
    CHECK(status == WT_UNSUPPORTED_DTYPE);
    CHECK(!is_float(dtype) || op == WT_BINARY_nextafter);
  }
  for (int64_t p = 0; p < out.numel && status == WT_OK; p++) {
    const double left = mode == 2 ? scalar.f : check_get(&wide_a, p);
    const double right = mode == 1 ? scalar.f : check_get(&wide_b, p);
    check_binary(op, &out, p, dtype, left, right, alpha);
  }
  layout_free(&a);
  layout_free(&b);
  layout_free(&out);
}

static void binary_contiguous_case(check_random *random, int op, int dtype, int mode) {
  const wt_word count = check_integer(random, 1, 60);
  wt_tensor a = layout_tensor(random, dtype, 1, &count, LAYOUT_CONTIGUOUS);
  wt_tensor b = layout_tensor(random, dtype, 1, &count, LAYOUT_CONTIGUOUS);
  const int out_dtype = is_binary_predicate(op) ? WT_BOOL : dtype;
  wt_tensor out = layout_tensor(random, out_dtype, 1, &count, LAYOUT_CONTIGUOUS);
  fill_binary(random, &a, &b, op, dtype);
  const wt_scalar scalar = {dtype == WT_BOOL ? 1 : 3, dtype == WT_BOOL ? 1 : 3};
  wt_binary_contiguous_args args = {sizeof args, op,     dtype, mode,   out.data,
                                    a.data,      b.data, count, scalar, 1};
  if (wt_binary_contiguous(&args) == WT_OK) {
    for (int64_t p = 0; p < count; p++) {
      check_binary(op, &out, p, dtype, mode == 2 ? scalar.f : check_get(&a, p),
                   mode == 1 ? scalar.f : check_get(&b, p), 1);
    }
  }
  layout_free(&a);
  layout_free(&b);
  layout_free(&out);
}

TEST(pointwise_binary_matches_reference) {
  check_random random = {12};
  for (int op = 0; op < WT_BINARY_COUNT; op++) {
    for (int k = 0; k < DTYPES; k++) {
      if (is_float(dtypes[k]) && needs_integer(op)) continue;
      /* Arithmetic that torch does not define on bool. */
      if (dtypes[k] == WT_BOOL && (op == WT_BINARY_rsub || op == WT_BINARY_sub || is_division(op)))
        continue;
      for (int repeat = 0; repeat < 6; repeat++) {
        binary_case(&random, op, dtypes[k], repeat % 3);
        binary_contiguous_case(&random, op, dtypes[k], repeat % 3);
      }
    }
  }
}

/* ---- ternary --------------------------------------------------------------------------------- */
static double ternary_reference(int op, double a, double b, double c, double value) {
  switch (op) {
    case WT_TERNARY_where:
      return a != 0 ? b : c;
    case WT_TERNARY_addcmul:
      return a + value * b * c;
    case WT_TERNARY_addcdiv:
      return a + value * b / c;
    case WT_TERNARY_lerp:
      return a + c * (b - a);
    default:
      return fmin(fmax(a, b), c);
  }
}

static void ternary_case(check_random *random, int op, int dtype) {
  wt_word size[4];
  const int ndim = (int)random_shape(random, size);
  const int first = op == WT_TERNARY_where ? WT_BOOL : dtype;
  wt_tensor a = layout_tensor(random, first, ndim, size, layout_any(random));
  wt_tensor b = layout_tensor(random, dtype, ndim, size, layout_any(random));
  wt_tensor c = layout_tensor(random, dtype, ndim, size, layout_any(random));
  wt_tensor out = layout_tensor(random, dtype, ndim, size, layout_any(random));
  check_fill(&a, random, 0, 5);
  check_fill(&b, random, 0, 5);
  check_fill(&c, random, 0.25, 5);
  const wt_tensor wide_a = broadcast(random, a), wide_b = broadcast(random, b);
  const wt_tensor wide_c = broadcast(random, c);
  wt_ternary_args args = {sizeof args, out, wide_a, wide_b, wide_c, op, 2};
  const int status = wt_ternary(&args);
  if (status != WT_OK) CHECK(status == WT_UNSUPPORTED_DTYPE && !is_float(dtype));
  for (int64_t p = 0; p < out.numel && status == WT_OK; p++) {
    const double expected = ternary_reference(op, check_get(&wide_a, p), check_get(&wide_b, p),
                                              check_get(&wide_c, p), 2);
    check_element(&out, p, wrapped(dtype, expected), "ternary");
  }
  layout_free(&a);
  layout_free(&b);
  layout_free(&c);
  layout_free(&out);
}

TEST(pointwise_ternary_matches_reference) {
  check_random random = {13};
  for (int op = 0; op < WT_TERNARY_COUNT; op++) {
    for (int k = 0; k < DTYPES; k++) {
      for (int repeat = 0; repeat < 12; repeat++) ternary_case(&random, op, dtypes[k]);
    }
  }
}

/* ---- size, threads --------------------------------------------------------------------------- */
/* Long enough for several threads, odd, in place, and transposed. */
TEST(pointwise_large_tensors_match_reference) {
  const wt_word size[2] = {389, 517};
  check_random random = {14};
  wt_tensor a = layout_tensor(&random, WT_FLOAT32, 2, size, LAYOUT_CONTIGUOUS);
  const wt_word turned[2] = {517, 389};
  wt_tensor b = layout_tensor(&random, WT_FLOAT32, 2, turned, LAYOUT_CONTIGUOUS);
  check_fill(&a, &random, -3, 3);
  check_fill(&b, &random, -3, 3);
  float *before = malloc(sizeof(float) * (size_t)a.numel);
  memcpy(before, (void *)a.data, sizeof(float) * (size_t)a.numel);
  const wt_tensor b_transposed = check_transposed(b, 0, 1);
  wt_binary_args args = {sizeof args, a, a, b_transposed, WT_BINARY_add, 0, {0, 0}, 1};
  CHECK(wt_binary(&args) == WT_OK);
  int64_t wrong = 0;
  for (int64_t p = 0; p < a.numel; p++) {
    wrong += (float)check_get(&a, p) != before[p] + (float)check_get(&b_transposed, p);
  }
  CHECK(wrong == 0);
  memcpy(before, (void *)a.data, sizeof(float) * (size_t)a.numel);
  wt_unary_contiguous_args relu = {sizeof relu, WT_UNARY_relu, WT_FLOAT32, WT_FLOAT32, a.data,
                                   a.data,      a.numel,       0,          0};
  CHECK(wt_unary_contiguous(&relu) == WT_OK);
  for (int64_t p = 0; p < a.numel; p++) {
    wrong += (float)check_get(&a, p) != (before[p] < 0 ? 0 : before[p]);
  }
  CHECK(wrong == 0);
  free(before);
  layout_free(&a);
  layout_free(&b);
}

/* ---- errors ---------------------------------------------------------------------------------- */
TEST(pointwise_integer_division_by_zero_fails) {
  const int32_t a[3] = {1, 2, 3}, b[3] = {1, 0, 2};
  int32_t out[3];
  for (int op = WT_BINARY_div_floor; op <= WT_BINARY_fmod; op++) {
    wt_binary_contiguous_args args = {.op = op,
                                      .dtype = WT_INT32,
                                      .out = (wt_word)out,
                                      .self = (wt_word)a,
                                      .other = (wt_word)b,
                                      .count = 3};
    CHECK(wt_binary_contiguous(&args) == WT_DIVISION_BY_ZERO);
  }
}

TEST(pointwise_integer_division_of_the_smallest_integer_wraps) {
  const int64_t a[1] = {INT64_MIN}, b[1] = {-1};
  int64_t out[1];
  const int64_t expected[] = {INT64_MIN, INT64_MIN, 0, 0};
  for (int op = WT_BINARY_div_floor; op <= WT_BINARY_fmod; op++) {
    wt_binary_contiguous_args args = {.op = op,
                                      .dtype = WT_INT64,
                                      .out = (wt_word)out,
                                      .self = (wt_word)a,
                                      .other = (wt_word)b,
                                      .count = 1};
    CHECK(wt_binary_contiguous(&args) == WT_OK);
    CHECK(out[0] == expected[op - WT_BINARY_div_floor]);
  }
}

TEST(pointwise_rejects_foreign_shapes_and_operators) {
  float data[6] = {0};
  wt_tensor two = CHECK_TENSOR(data, WT_FLOAT32, 2, 3), one = CHECK_TENSOR(data, WT_FLOAT32, 6);
  wt_unary_args args = {sizeof args, two, one, WT_UNARY_exp, 0, 0};
  CHECK(wt_unary(&args) == WT_BAD_ARGUMENT);
  args.self = CHECK_TENSOR(data, WT_FLOAT32, 3, 2);
  CHECK(wt_unary(&args) == WT_BAD_ARGUMENT);
  args.self = two;
  args.op = WT_UNARY_COUNT;
  CHECK(wt_unary(&args) == WT_UNSUPPORTED_DTYPE);
}

/* NaN passes through maximum and minimum, and is ignored by fmax and fmin. */
TEST(pointwise_extrema_treat_nan_as_torch) {
  const float a[5] = {NAN, 1, NAN, 2, 0}, b[5] = {1, NAN, NAN, 3, -1};
  float out[5];
  wt_binary_contiguous_args args = {.dtype = WT_FLOAT32,
                                    .out = (wt_word)out,
                                    .self = (wt_word)a,
                                    .other = (wt_word)b,
                                    .count = 5};
  for (int k = 0; k < 2; k++) {
    args.op = k == 0 ? WT_BINARY_maximum : WT_BINARY_minimum;
    CHECK(wt_binary_contiguous(&args) == WT_OK);
    CHECK(isnan(out[0]) && isnan(out[1]) && isnan(out[2]) && out[3] == (k == 0 ? 3 : 2));
    args.op = k == 0 ? WT_BINARY_fmax : WT_BINARY_fmin;
    CHECK(wt_binary_contiguous(&args) == WT_OK);
    CHECK(out[0] == 1 && out[1] == 1 && isnan(out[2]) && out[4] == (k == 0 ? 0 : -1));
  }
}
