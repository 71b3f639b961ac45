/* The vector mathematics against libm in double precision: largest error in units in the last
 * place over floats of every exponent, and the special values. */
#include "check.h"

#define SAMPLES 60000

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

typedef struct function {
  const char *name;
  wt_unary_op op;
  double (*exact)(double);
  double low, high; /* magnitudes are drawn over every exponent in between */
  bool both_signs;
  double bound; /* units in the last place */
} function;

static const function functions[] = {
    {"exp", WT_UNARY_exp, exp, 1e-30, 104, true, 1.0},
    {"expm1", WT_UNARY_expm1, expm1, 1e-30, 100, true, 1.6},
    {"log", WT_UNARY_log, log, 1e-45, 3.4e38, false, 0.85},
    {"log1p", WT_UNARY_log1p, log1p, 1e-30, 0.999, true, 1.6},
    {"log1p", WT_UNARY_log1p, log1p, 0.5, 3.4e38, false, 1.2},
    {"tanh", WT_UNARY_tanh, tanh, 1e-30, 12, true, 1.4},
    {"sigmoid", WT_UNARY_sigmoid, sigmoid, 1e-30, 100, true, 2.3},
    {"erf", WT_UNARY_erf, erf, 1e-30, 6, true, 1.4},
    {"sin", WT_UNARY_sin, sin, 1e-30, 3.4e38, true, 1.5},
    {"cos", WT_UNARY_cos, cos, 1e-30, 3.4e38, true, 1.5},
    {"sqrt", WT_UNARY_sqrt, sqrt, 1e-45, 3.4e38, false, 0.51},
};

/* The distance between neighbouring floats at x. */
static double spacing(double x) {
  int exponent;
  frexp(x, &exponent);
  return ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

static double error_in_ulp(float got, double exact) {
  if (fabs(exact) > 0x1.ffffffp127) return isinf(got) && (got > 0) == (exact > 0) ? 0 : INFINITY;
  return fabs((double)got - exact) / spacing(exact);
}

/* Uniform in the logarithm between low and high. */
static float draw(check_random *random, double low, double high, bool both_signs) {
  double magnitude = exp(check_uniform(random, log(low), log(high)));
  return (float)(both_signs && check_next(random) % 2 ? -magnitude : magnitude);
}

static void run_unary(wt_unary_op op, float *out, const float *in, wt_word count) {
  wt_unary_contiguous_args args = {sizeof args, op,    WT_FLOAT32, WT_FLOAT32, (wt_word)out,
                                   (wt_word)in, count, 0,          0};
  CHECK(wt_unary_contiguous(&args) == WT_OK);
}

static double largest_error(const function *f, check_random *random) {
  static float in[SAMPLES], out[SAMPLES];
  for (int i = 0; i < SAMPLES; i++) in[i] = draw(random, f->low, f->high, f->both_signs);
  run_unary(f->op, out, in, SAMPLES);
  double worst = 0;
  for (int i = 0; i < SAMPLES; i++) {
    worst = fmax(worst, error_in_ulp(out[i], f->exact((double)in[i])));
  }
  return worst;
}

TEST(pointwise_float32_functions_are_within_their_bounds) {
  check_random random = {1};
  for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
    double worst = largest_error(&functions[k], &random);
    if (!(worst <= functions[k].bound)) printf("%s: %.2f ulp\n", functions[k].name, worst);
    CHECK(worst <= functions[k].bound);
  }
}

TEST(pointwise_float32_pow_is_within_its_bound) {
  static float base[SAMPLES], exponent[SAMPLES], out[SAMPLES];
  check_random random = {2};
  for (int i = 0; i < SAMPLES; i++) {
    base[i] = draw(&random, 1e-38, 1e38, i % 97 == 0);
    exponent[i] = i % 5 == 0 ? (float)check_integer(&random, -8, 8) : draw(&random, 1e-3, 80, true);
  }
  wt_binary_contiguous_args args = {.op = WT_BINARY_pow,
                                    .dtype = WT_FLOAT32,
                                    .out = (wt_word)out,
                                    .self = (wt_word)base,
                                    .other = (wt_word)exponent,
                                    .count = SAMPLES};
  CHECK(wt_binary_contiguous(&args) == WT_OK);
  double worst = 0;
  for (int i = 0; i < SAMPLES; i++) {
    double exact = pow((double)base[i], (double)exponent[i]);
    if (isnan(exact)) {
      CHECK(isnan(out[i]));
    } else {
      worst = fmax(worst, error_in_ulp(out[i], exact));
    }
  }
  if (!(worst <= 0.75)) printf("pow: %.2f ulp\n", worst);
  CHECK(worst <= 0.75);
}

static bool same(float got, double exact) {
  if (isnan(exact)) return isnan(got);
  return got == (float)exact && signbit(got) == signbit((float)exact);
}

/* NaN, infinities and zeros give libm's values, signs included, in any lane. */
TEST(pointwise_float32_functions_keep_special_values) {
  const float special[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, NAN, -0.0f};
  enum { COUNT = sizeof special / sizeof *special };
  for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
    float out[COUNT];
    run_unary(functions[k].op, out, special, COUNT);
    for (int i = 0; i < COUNT; i++) CHECK(same(out[i], functions[k].exact((double)special[i])));
  }
}

TEST(pointwise_float32_exp_reaches_overflow_and_underflow) {
  const float in[] = {88.72283f, 88.72284f, 1e30f, -87.4f, -103.9f, -104.1f, -1e30f};
  float out[7];
  run_unary(WT_UNARY_exp, out, in, 7);
  CHECK(isfinite(out[0]) && out[0] > 3.4e38f);
  CHECK(isinf(out[1]) && isinf(out[2]));
  CHECK_CLOSE(out[3] / exp((double)in[3]), 1, 1e-6);
  CHECK(out[4] == 0x1p-149f);
  CHECK(out[5] == 0 && out[6] == 0);
}

/* pow against libm over every pair of special values. */
TEST(pointwise_float32_pow_keeps_special_values) {
  const float special[] = {NAN,   INFINITY, -INFINITY, 0.0f,  -0.0f,     1.0f,  -1.0f, 2.0f,
                           -2.0f, 0.5f,     3.0f,      -3.0f, 0x1p-140f, 1e30f, 1.5f,  -0.5f};
  enum { COUNT = sizeof special / sizeof *special };
  for (int i = 0; i < COUNT; i++) {
    for (int j = 0; j < COUNT; j++) {
      float out;
      wt_binary_contiguous_args args = {.op = WT_BINARY_pow,
                                        .dtype = WT_FLOAT32,
                                        .out = (wt_word)&out,
                                        .self = (wt_word)&special[i],
                                        .other = (wt_word)&special[j],
                                        .count = 1};
      CHECK(wt_binary_contiguous(&args) == WT_OK);
      CHECK(same(out, pow((double)special[i], (double)special[j])));
    }
  }
}
