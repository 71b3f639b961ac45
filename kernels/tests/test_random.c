/* The random kernels against published mt19937 output, torch's numbers for seed 0, and the
 * properties of each distribution. */
#include "check.h"
#include "layouts.h"

static wt_generator generator;

static void seed(int64_t value) {
  wt_seed_args args = {
      .size_bytes = sizeof args, .generator = (wt_word)&generator, .seed = {(double)value, value}};
  CHECK(wt_seed(&args) == WT_OK);
}

static wt_random_args random_args(wt_tensor out, wt_random_op op) {
  return (wt_random_args){.size_bytes = sizeof(wt_random_args),
                          .out = out,
                          .a = check_absent(),
                          .b = check_absent(),
                          .generator = (wt_word)&generator,
                          .op = op};
}

static void draw(wt_tensor out, wt_random_op op, double p0, double p1) {
  wt_random_args args = random_args(out, op);
  args.p0 = p0;
  args.p1 = p1;
  CHECK(wt_random(&args) == WT_OK);
}

static void draw_integers(wt_tensor out, int64_t low, int64_t range) {
  wt_random_args args = random_args(out, WT_RANDOM_integers);
  args.low = (wt_scalar){(double)low, low};
  args.range = (wt_scalar){(double)range, range};
  CHECK(wt_random(&args) == WT_OK);
}

/* Words of the stream show through random_full on int32, which keeps 31 bits of each. */
TEST(random_mt19937_matches_published_output) {
  static const uint32_t first[5] = {3499211612u, 581869302u, 3890346734u, 3586334585u, 545404204u};
  int32_t *words = malloc(10000 * sizeof *words);
  seed(5489);
  draw(CHECK_TENSOR(words, WT_INT32, 10000), WT_RANDOM_random_full, 0, 0);
  for (int i = 0; i < 5; i++) CHECK((uint32_t)words[i] == (first[i] & INT32_MAX));
  CHECK((uint32_t)words[9999] == (4123659995u & INT32_MAX));
  free(words);
}

/* Drawing piece by piece gives what one draw gives. */
TEST(random_stream_does_not_depend_on_pieces) {
  enum { COUNT = 3000 };
  static float whole[COUNT], pieces[COUNT];
  check_random random = {1};
  seed(9);
  draw(CHECK_TENSOR(whole, WT_FLOAT32, COUNT), WT_RANDOM_uniform, -1, 3);
  seed(9);
  for (wt_word at = 0; at < COUNT;) {
    wt_word count = check_integer(&random, 1, 700);
    if (count > COUNT - at) count = COUNT - at;
    draw(CHECK_TENSOR(pieces + at, WT_FLOAT32, count), WT_RANDOM_uniform, -1, 3);
    at += count;
  }
  CHECK(memcmp(whole, pieces, sizeof whole) == 0);
}

TEST(random_uniform_gives_torch_numbers) {
  static const double unit[5] = {0x1.fc2abp-2, 0x1.89545ep-1, 0x1.6a675p-4, 0x1.0e66p-3,
                                 0x1.3acd0cp-2};
  static const double scaled[5] = {0x1.f85560p-3, 0x1.09545ep-1, -0x1.4acc58p-3, -0x1.e334p-4,
                                   0x1.d6686p-5};
  static const double wide[3] = {0x1.f0aac97c4aa2fp-1, 0x1.6a675d821ccc0p-1, 0x1.d6687b744a5f6p-2};
  static const double half[5] = {0.496337890625, 0.76806640625, 0.0885009765625, 0.132080078125,
                                 0.307373046875};
  float values[5] = {0};
  double doubles[3] = {0};
  uint16_t halves[5] = {0};
  seed(0);
  draw(CHECK_TENSOR(values, WT_FLOAT32, 5), WT_RANDOM_uniform, 0, 1);
  for (int i = 0; i < 5; i++) CHECK(values[i] == (float)unit[i]);
  seed(0);
  draw(CHECK_TENSOR(values, WT_FLOAT32, 5), WT_RANDOM_uniform, -0.25, 0.75);
  for (int i = 0; i < 5; i++) CHECK(values[i] == (float)scaled[i]);
  seed(0);
  draw(CHECK_TENSOR(doubles, WT_FLOAT64, 3), WT_RANDOM_uniform, 0, 1);
  for (int i = 0; i < 3; i++) CHECK(doubles[i] == wide[i]);
  seed(0);
  draw(CHECK_TENSOR(halves, WT_FLOAT16, 5), WT_RANDOM_uniform, 0, 1);
  for (int i = 0; i < 5; i++) CHECK(wt_half_to_float(halves[i]) == (float)half[i]);
}

/* Every scaling rounds once: the fused product of C99, over ranges of many magnitudes. */
TEST(random_uniform_rounds_once) {
  enum { COUNT = 1000 };
  static float unit[COUNT], scaled[COUNT];
  check_random random = {2};
  for (int round = 0; round < 50; round++) {
    float from = (float)check_uniform(&random, -2, 1);
    float to = from + (float)check_uniform(&random, 0, 3);
    if (round % 5 == 0) from = 0;
    seed(round);
    draw(CHECK_TENSOR(unit, WT_FLOAT32, COUNT), WT_RANDOM_uniform, 0, 1);
    seed(round);
    draw(CHECK_TENSOR(scaled, WT_FLOAT32, COUNT), WT_RANDOM_uniform, from, to);
    for (int i = 0; i < COUNT; i++) {
      float expected = fmaf(unit[i], to - from, from);
      CHECK(scaled[i] == (expected == to ? from : expected));
    }
  }
}

TEST(random_normal_gives_torch_numbers) {
  static const double few[5] = {0x1.8a7eb8p+0, -0x1.2c78a0p-2, -0x1.16e292p+1, 0x1.23096cp-1,
                                -0x1.15a342p+0};
  static const double many[18] = {-1.1258398294448853, -1.152360200881958,  0.5666506290435791,
                                  0.7935083508491516,  0.5988394618034363,  -1.5550950765609741,
                                  -0.3413603901863098, 1.85300612449646,    0.46809640526771545,
                                  -0.1577124446630478, -0.1733967512845993, 0.18347793817520142,
                                  1.3893661499023438,  1.586334228515625,   0.946298360824585,
                                  -0.843676745891571,  0.9318265914916992,  1.2590092420578003};
  float values[18];
  seed(0);
  draw(CHECK_TENSOR(values, WT_FLOAT32, 5), WT_RANDOM_normal, 0, 1);
  for (int i = 0; i < 5; i++) CHECK_CLOSE(values[i], few[i], 1e-7);
  seed(0);
  draw(CHECK_TENSOR(values, WT_FLOAT32, 18), WT_RANDOM_normal, 0, 1);
  for (int i = 0; i < 18; i++) CHECK_CLOSE(values[i], many[i], 4e-7);
}

/* The vector transform against Box-Muller in float64 on the same uniforms. */
TEST(random_normal_blocks_match_double_precision) {
  enum { COUNT = 16 * 1000 };
  static float uniform[COUNT], normal[COUNT];
  seed(3);
  draw(CHECK_TENSOR(uniform, WT_FLOAT32, COUNT), WT_RANDOM_uniform, 0, 1);
  seed(3);
  draw(CHECK_TENSOR(normal, WT_FLOAT32, COUNT), WT_RANDOM_normal, 1, 2);
  const float two_pi = 6.28318530717958647692f;
  for (int i = 0; i < COUNT; i++) {
    const float *block = uniform + i / 16 * 16;
    float angle = two_pi * block[i % 8 + 8];
    double radius = sqrt(-2 * log(1 - (double)block[i % 8]));
    double expected = radius * (i % 16 < 8 ? cos(angle) : sin(angle)) * 2 + 1;
    CHECK_CLOSE(normal[i], expected, 1e-6);
  }
}

/* A second call takes the waiting half of the pair; seeding forgets it. */
TEST(random_normal_keeps_second_of_pair) {
  float two[2], one[1], again[1];
  seed(4);
  draw(CHECK_TENSOR(two, WT_FLOAT32, 2), WT_RANDOM_normal, 0, 1);
  seed(4);
  draw(CHECK_TENSOR(one, WT_FLOAT32, 1), WT_RANDOM_normal, 0, 1);
  draw(CHECK_TENSOR(again, WT_FLOAT32, 1), WT_RANDOM_normal, 0, 1);
  CHECK(one[0] == two[0] && again[0] == two[1]);
  seed(4);
  draw(CHECK_TENSOR(one, WT_FLOAT32, 1), WT_RANDOM_normal, 0, 1);
  seed(4);
  draw(CHECK_TENSOR(again, WT_FLOAT32, 1), WT_RANDOM_normal, 0, 1);
  CHECK(one[0] == again[0]);
}

TEST(random_integers_give_torch_numbers) {
  static const int64_t small[8] = {44, 39, 33, 60, 63, 79, 27, 3};
  static const int64_t large[4] = {2424194234, 7600573504, 5169279101, 7848109870};
  static const int64_t permuted[10] = {6, 1, 4, 5, 0, 9, 3, 2, 8, 7};
  int64_t values[10];
  seed(0);
  draw_integers(CHECK_TENSOR(values, WT_INT64, 8), 0, 100);
  CHECK(memcmp(values, small, sizeof small) == 0);
  draw_integers(CHECK_TENSOR(values, WT_INT64, 4), -5, ((int64_t)1 << 33) + 5);
  CHECK(memcmp(values, large, sizeof large) == 0);
  draw(CHECK_TENSOR(values, WT_INT64, 10), WT_RANDOM_permutation, 0, 0);
  CHECK(memcmp(values, permuted, sizeof permuted) == 0);
}

TEST(random_integers_stay_in_range) {
  check_random random = {3};
  static const int dtypes[] = {WT_UINT8, WT_INT8, WT_INT16, WT_INT32, WT_INT64, WT_FLOAT32};
  for (int i = 0; i < 60; i++) {
    wt_word size[3] = {3, 4, 5};
    wt_tensor out = layout_tensor(&random, dtypes[i % 6], 3, size, layout_any(&random));
    draw_integers(out, 5, 17);
    for (int64_t p = 0; p < out.numel; p++) {
      double value = check_get(&out, p);
      CHECK(value >= 5 && value < 22 && value == floor(value));
    }
    layout_free(&out);
  }
}

TEST(random_permutation_holds_each_number_once) {
  for (wt_word n = 0; n < 200; n = n * 2 + 1) {
    int32_t *values = calloc((size_t)n + 1, sizeof *values);
    bool *seen = calloc((size_t)n + 1, sizeof *seen);
    seed(n);
    draw(CHECK_TENSOR(values, WT_INT32, n), WT_RANDOM_permutation, 0, 0);
    for (wt_word i = 0; i < n; i++) {
      CHECK(values[i] >= 0 && values[i] < n && !seen[values[i]]);
      seen[values[i]] = true;
    }
    free(values);
    free(seen);
  }
}

/* Elements are drawn in the order of addresses, whatever the order of dimensions. */
TEST(random_fills_in_order_of_addresses) {
  static const double expected[8] = {0.49625658988952637, 0.08847743272781372, 0.30742281675338745,
                                     0.4900934100151062,  0.7682217955589294,  0.13203048706054688,
                                     0.6340786814689636,  0.8964447379112244};
  float channels_last[8] = {0}, steps[16] = {0};
  wt_tensor out = CHECK_TENSOR(channels_last, WT_FLOAT32, 1, 2, 2, 2);
  out.stride[0] = 8, out.stride[1] = 1, out.stride[2] = 4, out.stride[3] = 2;
  seed(0);
  draw(out, WT_RANDOM_uniform, 0, 1);
  for (int p = 0; p < 8; p++) CHECK(check_get(&out, p) == (float)expected[p]);
  out.data = (wt_word)steps;
  for (int d = 0; d < 4; d++) out.stride[d] *= 2;
  seed(0);
  draw(out, WT_RANDOM_uniform, 0, 1);
  for (int p = 0; p < 8; p++) CHECK(check_get(&out, p) == (float)expected[p]);
  for (int i = 1; i < 16; i += 2) CHECK(steps[i] == 0);
}

/* ---- distributions: mean and variance over many samples -------------------------------------- */
enum { SAMPLES = 40000 };

static void check_moments(const double *samples, double mean, double variance) {
  double sum = 0, squares = 0;
  for (int i = 0; i < SAMPLES; i++) sum += samples[i];
  double got = sum / SAMPLES;
  for (int i = 0; i < SAMPLES; i++) squares += (samples[i] - got) * (samples[i] - got);
  double error = sqrt(variance / SAMPLES);
  CHECK(fabs(got - mean) <= 5 * error + 1e-12);
  CHECK(fabs(squares / SAMPLES - variance) <= 0.08 * variance + 1e-12);
}

static double samples[SAMPLES];

TEST(random_scalar_distributions_have_their_moments) {
  wt_tensor out = CHECK_TENSOR(samples, WT_FLOAT64, SAMPLES);
  seed(11);
  draw(out, WT_RANDOM_uniform, -1, 3);
  check_moments(samples, 1, 16.0 / 12);
  draw(out, WT_RANDOM_normal, 2, 0.5);
  check_moments(samples, 2, 0.25);
  draw(out, WT_RANDOM_exponential, 2, 0);
  check_moments(samples, 0.5, 0.25);
  draw(out, WT_RANDOM_geometric, 0.3, 0);
  check_moments(samples, 1 / 0.3, 0.7 / 0.09);
  draw(out, WT_RANDOM_log_normal, 0.1, 0.3);
  check_moments(samples, exp(0.1 + 0.045), (exp(0.09) - 1) * exp(0.2 + 0.09));
  static const double probabilities[] = {0, 0.1, 0.5, 1};
  for (int i = 0; i < 4; i++) {
    double p = probabilities[i];
    draw(out, WT_RANDOM_bernoulli, p, 0);
    check_moments(samples, p, p * (1 - p));
  }
  draw(out, WT_RANDOM_cauchy, 1, 2);
  int below = 0;
  for (int i = 0; i < SAMPLES; i++) below += samples[i] < 3; /* the third quartile */
  CHECK(fabs(below / (double)SAMPLES - 0.75) < 0.02);
}

static void draw_tensor(wt_random_op op, double a, double b) {
  wt_random_args args = random_args(CHECK_TENSOR(samples, WT_FLOAT64, SAMPLES), op);
  args.a = args.b = CHECK_TENSOR(&a, WT_FLOAT64, SAMPLES);
  args.b.data = (wt_word)&b;
  args.a.stride[0] = args.b.stride[0] = 0;
  CHECK(wt_random(&args) == WT_OK);
}

TEST(random_tensor_distributions_have_their_moments) {
  static const double rates[] = {0, 0.5, 9, 10, 80}, shapes[] = {0.4, 1, 7};
  static const double binomials[][2] = {{20, 0.2},  {20, 0.9}, {300, 0.3},
                                        {300, 0.8}, {5, 0},    {5, 1}};
  seed(12);
  for (int i = 0; i < 5; i++) {
    draw_tensor(WT_RANDOM_poisson, rates[i], 0);
    check_moments(samples, rates[i], rates[i]);
  }
  for (int i = 0; i < 3; i++) {
    draw_tensor(WT_RANDOM_gamma, shapes[i], 0);
    check_moments(samples, shapes[i], shapes[i]);
  }
  for (int i = 0; i < 6; i++) {
    double n = binomials[i][0], p = binomials[i][1];
    draw_tensor(WT_RANDOM_binomial, n, p);
    check_moments(samples, n * p, n * p * (1 - p));
  }
  draw_tensor(WT_RANDOM_bernoulli_tensor, 0.3, 0);
  check_moments(samples, 0.3, 0.21);
  draw_tensor(WT_RANDOM_normal_tensor, -3, 2);
  check_moments(samples, -3, 4);
}

TEST(random_refuses_what_it_cannot_draw) {
  int32_t values[4] = {0};
  wt_random_args args = random_args(CHECK_TENSOR(values, WT_INT32, 4), WT_RANDOM_normal);
  CHECK(wt_random(&args) == WT_UNSUPPORTED_DTYPE);
  args.op = WT_RANDOM_poisson; /* without its rates */
  CHECK(wt_random(&args) == WT_BAD_ARGUMENT);
  args.op = WT_RANDOM_COUNT;
  CHECK(wt_random(&args) == WT_BAD_ARGUMENT);
}
