/* The packed convolution against sums in double precision, over random geometries: optimised and
 * scalar reference alike. */
#include "check.h"

typedef struct problem {
  wt_word batch, groups, channels, filters; /* channels and filters of one group */
  wt_word in[3], kernel[3], stride[3], pad[3], dilation[3], out[3];
} problem;

static problem random_problem(check_random *random, wt_word largest) {
  problem p = {.batch = check_integer(random, 1, 3), .groups = 1};
  p.channels = check_integer(random, 1, 20);
  p.filters = check_integer(random, 1, 40);
  int kind = (int)check_integer(random, 0, 3);
  if (kind == 0) p.groups = check_integer(random, 2, 4);
  if (kind == 1) { /* depthwise */
    p.groups = check_integer(random, 2, 90);
    p.channels = p.filters = 1;
  }
  if (check_integer(random, 0, 5) == 0 && kind > 1) p.channels = check_integer(random, 500, 600);
  for (int d = 0; d < 3; d++) {
    bool used = d > 0 || check_integer(random, 0, 5) == 0;
    p.in[d] = used ? check_integer(random, 1, largest) : 1;
    p.stride[d] = used ? check_integer(random, 1, check_integer(random, 1, 3)) : 1;
    p.dilation[d] = used ? check_integer(random, 1, check_integer(random, 1, 3)) : 1;
    p.pad[d] = used ? check_integer(random, 0, 2) : 0;
    do p.kernel[d] = used ? check_integer(random, 1, 4) : 1;
    while (p.in[d] + 2 * p.pad[d] < p.dilation[d] * (p.kernel[d] - 1) + 1);
    p.out[d] = (p.in[d] + 2 * p.pad[d] - p.dilation[d] * (p.kernel[d] - 1) - 1) / p.stride[d] + 1;
  }
  return p;
}

/* A channels-last tensor (N, C, D, H, W), with `gap` floats between its points. */
static wt_tensor channels_last(check_random *random, wt_word n, wt_word c, const wt_word at[3],
                               wt_word gap) {
  wt_tensor t = {.dtype = WT_FLOAT32, .ndim = 5, .size = {n, c, at[0], at[1], at[2]}};
  t.stride[1] = 1;
  t.stride[4] = c + gap;
  t.stride[3] = t.stride[4] * at[2];
  t.stride[2] = t.stride[3] * at[1];
  t.stride[0] = t.stride[2] * at[0];
  t.numel = n * c * at[0] * at[1] * at[2];
  t.data = (wt_word)calloc((size_t)(n * t.stride[0]), sizeof(float));
  check_fill(&t, random, -2, 2);
  return t;
}

static double element(const wt_tensor *t, wt_word n, wt_word c, const wt_word at[3]) {
  const float *data = (const float *)t->data;
  return data[n * t->stride[0] + c * t->stride[1] + at[0] * t->stride[2] + at[1] * t->stride[3] +
              at[2] * t->stride[4]];
}

static double activated(double x, wt_word op, double p0, double p1) {
  switch (op) {
    case WT_UNARY_relu:
      return x < 0 ? 0 : x;
    case WT_UNARY_relu6:
      return x < 0 ? 0 : x > 6 ? 6 : x;
    case WT_UNARY_hardtanh:
      return x < p0 ? p0 : x > p1 ? p1 : x;
    case WT_UNARY_silu:
      return x / (1 + exp(-x));
    case WT_UNARY_leaky_relu:
      return x < 0 ? p0 * x : x;
    default:
      return x;
  }
}

/* One result in double precision; `magnitude`: the sum of the terms' magnitudes. */
static double expected(const problem *p, const wt_tensor *input, const float *weight,
                       const float *bias, double residual, wt_word n, wt_word f,
                       const wt_word out[3], double *magnitude) {
  double sum = (bias ? bias[f] : 0) + residual;
  *magnitude = fabs(sum);
  wt_word k[3], i[3], taps = p->kernel[0] * p->kernel[1] * p->kernel[2];
  for (wt_word t = 0; t < taps; t++) {
    k[2] = t % p->kernel[2];
    k[1] = t / p->kernel[2] % p->kernel[1];
    k[0] = t / p->kernel[2] / p->kernel[1];
    bool inside = true;
    for (int d = 0; d < 3; d++) {
      i[d] = out[d] * p->stride[d] - p->pad[d] + k[d] * p->dilation[d];
      inside = inside && i[d] >= 0 && i[d] < p->in[d];
    }
    if (!inside) continue;
    for (wt_word c = 0; c < p->channels; c++) {
      double term = element(input, n, f / p->filters * p->channels + c, i) *
                    weight[(f * p->channels + c) * taps + t];
      sum += term;
      *magnitude += fabs(term);
    }
  }
  return sum;
}

static void check_results(const problem *p, const wt_conv_packed_args *args, const float *weight,
                          const wt_tensor *residual) {
  wt_word wrong = 0, at[3];
  const float *bias = wt_is_present(&args->bias) ? (const float *)args->bias.data : NULL;
  for (wt_word n = 0; n < p->batch; n++)
    for (wt_word f = 0; f < p->groups * p->filters; f++)
      for (at[0] = 0; at[0] < p->out[0]; at[0]++)
        for (at[1] = 0; at[1] < p->out[1]; at[1]++)
          for (at[2] = 0; at[2] < p->out[2]; at[2]++) {
            double added = wt_is_present(residual) ? element(residual, n, f, at) : 0, magnitude;
            double sum = expected(p, &args->input, weight, bias, added, n, f, at, &magnitude);
            double value = activated(sum, args->activation, args->p0, args->p1);
            if (!(fabs(element(&args->out, n, f, at) - value) <= 2e-6 * magnitude + 1e-6)) wrong++;
          }
  CHECK(wrong == 0);
}

static void check_problem(check_random *random, const problem *p) {
  const wt_word channels = p->groups * p->channels, filters = p->groups * p->filters;
  const wt_word gap = check_integer(random, 0, 1) ? check_integer(random, 1, 5) : 0;
  wt_word size[5] = {filters, p->channels, p->kernel[0], p->kernel[1], p->kernel[2]};
  wt_word depth = p->channels * size[2] * size[3] * size[4];
  size_t bytes = (size_t)(filters * depth) * sizeof(float);
  float *dense = malloc(bytes), *packed = malloc(bytes), *bias = malloc((size_t)filters * 4);
  wt_tensor weight = check_tensor(dense, WT_FLOAT32, 5, size);
  wt_tensor line = CHECK_TENSOR(bias, WT_FLOAT32, filters);
  check_fill(&weight, random, -1, 1);
  check_fill(&line, random, -1, 1);
  memcpy(packed, dense, bytes);
  weight.data = (wt_word)packed;
  wt_pack_weight_args pack = {sizeof pack, weight, p->groups};
  CHECK(wt_pack_weight(&pack) == WT_OK);
  static const wt_word activations[] = {
      -1, WT_UNARY_relu, WT_UNARY_relu6, WT_UNARY_hardtanh, WT_UNARY_silu, WT_UNARY_leaky_relu};
  wt_conv_packed_args args = {.size_bytes = sizeof args,
                              .out = channels_last(random, p->batch, filters, p->out, gap),
                              .input = channels_last(random, p->batch, channels, p->in, gap),
                              .weight = weight,
                              .bias = check_integer(random, 0, 1) ? line : check_absent(),
                              .residual = check_absent(),
                              .groups = p->groups,
                              .activation = activations[check_integer(random, 0, 5)],
                              .p0 = -0.25,
                              .p1 = 0.75};
  args.stride0 = p->stride[0], args.stride1 = p->stride[1], args.stride2 = p->stride[2];
  args.pad0 = p->pad[0], args.pad1 = p->pad[1], args.pad2 = p->pad[2];
  args.dilation0 = p->dilation[0], args.dilation1 = p->dilation[1];
  args.dilation2 = p->dilation[2];
  wt_tensor residual = check_absent();
  bool in_place = check_integer(random, 0, 1);
  if (check_integer(random, 0, 1)) {
    residual = channels_last(random, p->batch, filters, p->out, gap);
    args.residual = residual;
    size_t all = (size_t)(p->batch * residual.stride[0]) * sizeof(float);
    if (in_place) { /* the residual is out itself */
      memcpy((void *)args.out.data, (void *)residual.data, all);
      args.residual = args.out;
    }
  }
  CHECK(wt_conv_packed(&args) == WT_OK);
  check_results(p, &args, dense, &residual);
  free((void *)args.out.data);
  free((void *)args.input.data);
  if (wt_is_present(&residual)) free((void *)residual.data);
  free(dense);
  free(packed);
  free(bias);
}

TEST(packed_convolution_on_random_geometries) {
  check_random random = {71};
  for (int i = 0; i < 120; i++) {
    problem p = random_problem(&random, 9);
    check_problem(&random, &p);
  }
}

TEST(packed_convolution_with_threads) {
  check_random random = {72};
  wt_set_num_threads(4);
  problem few = {1, 1, 96, 130, {1, 7, 7}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {1, 7, 7}};
  problem many = {2,         1,         24,        40,        {1, 25, 25},
                  {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {1, 25, 25}};
  problem wide = {2,         150,       1,         1,         {1, 25, 25},
                  {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {1, 25, 25}};
  check_problem(&random, &few);
  check_problem(&random, &many);
  check_problem(&random, &wide);
  wt_set_num_threads(1);
}

/* Of a kernel one plane deep, padding puts whole planes of results outside of the input. */
TEST(packed_depthwise_planes_of_padding) {
  check_random random = {74};
  problem flat = {2, 8, 1, 1, {2, 7, 11}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {4, 7, 11}};
  for (int repeat = 0; repeat < 4; repeat++) check_problem(&random, &flat);
}

/* Windows of a line: its points lie as far apart as a group has channels. */
TEST(packed_convolution_over_overlapping_points) {
  enum { WIDTH = 6, GROUPS = 2, CHANNELS = 3, TAPS = 3 };
  float line[(WIDTH + 1) * CHANNELS], dense[GROUPS * CHANNELS * TAPS], packed[sizeof dense / 4];
  float out[(WIDTH - TAPS + 1) * GROUPS];
  check_random random = {75};
  for (size_t i = 0; i < sizeof line / 4; i++) line[i] = (float)check_uniform(&random, -2, 2);
  for (size_t i = 0; i < sizeof dense / 4; i++) {
    dense[i] = packed[i] = (float)check_uniform(&random, -1, 1);
  }
  wt_tensor input = CHECK_TENSOR(line, WT_FLOAT32, 1, GROUPS * CHANNELS, 1, 1, WIDTH);
  input.stride[1] = 1;
  input.stride[4] = CHANNELS;
  wt_tensor result = CHECK_TENSOR(out, WT_FLOAT32, 1, GROUPS, 1, 1, WIDTH - TAPS + 1);
  result.stride[1] = 1;
  result.stride[4] = GROUPS;
  wt_tensor weight = CHECK_TENSOR(packed, WT_FLOAT32, GROUPS, CHANNELS, 1, 1, TAPS);
  wt_pack_weight_args pack = {sizeof pack, weight, GROUPS};
  CHECK(wt_pack_weight(&pack) == WT_OK);
  wt_conv_packed_args args = {sizeof args,
                              result,
                              input,
                              weight,
                              check_absent(),
                              check_absent(),
                              GROUPS,
                              1,
                              1,
                              1,
                              0,
                              0,
                              0,
                              1,
                              1,
                              1,
                              -1,
                              0,
                              0};
  CHECK(wt_conv_packed(&args) == WT_OK);
  for (int x = 0; x < WIDTH - TAPS + 1; x++)
    for (int g = 0; g < GROUPS; g++) {
      double sum = 0;
      for (int c = 0; c < CHANNELS; c++)
        for (int t = 0; t < TAPS; t++)
          sum += line[(x + t + g) * CHANNELS + c] * dense[(g * CHANNELS + c) * TAPS + t];
      CHECK_CLOSE(out[x * GROUPS + g], sum, 1e-5);
    }
}

TEST(packed_linear_layer) {
  check_random random = {73};
  for (wt_word rows = 1; rows < 7; rows++) {
    problem p = {.batch = 1, .groups = 1, .channels = 777, .filters = 53 - rows};
    for (int d = 0; d < 3; d++) {
      p.in[d] = p.out[d] = d == 2 ? rows : 1;
      p.kernel[d] = p.stride[d] = p.dilation[d] = 1;
    }
    check_problem(&random, &p);
  }
}

TEST(packed_convolution_refuses) {
  float data[64] = {0};
  wt_tensor out = CHECK_TENSOR(data, WT_FLOAT32, 1, 2, 1, 1, 2);
  wt_tensor last = check_transposed(out, 1, 4); /* strides of channels last */
  last.size[1] = last.size[4] = 2;
  wt_tensor weight = CHECK_TENSOR(data, WT_FLOAT32, 2, 2, 1, 1, 1);
  wt_conv_packed_args args = {
      sizeof args, last, last, weight, check_absent(), check_absent(), 1, 1, 1, 1, 0, 0, 0, 1, 1,
      1,           -1,   0,    0};
  CHECK(wt_conv_packed(&args) == WT_OK);
  args.input = out;
  CHECK(wt_conv_packed(&args) == WT_BAD_ARGUMENT); /* channels do not lie side by side */
  args.input = last;
  args.stride2 = 0;
  CHECK(wt_conv_packed(&args) == WT_BAD_ARGUMENT);
  args.stride2 = 2;
  CHECK(wt_conv_packed(&args) == WT_BAD_ARGUMENT); /* would read past the input */
  args.stride2 = 1;
  args.activation = WT_UNARY_isnan;
  CHECK(wt_conv_packed(&args) == WT_BAD_ARGUMENT);
  args.activation = -1;
  args.pad2 = INTPTR_MAX; /* twice that is no word */
  CHECK(wt_conv_packed(&args) == WT_BAD_ARGUMENT);
  args.pad2 = INT32_MAX / 2;
  args.dilation2 = INTPTR_MAX;
  CHECK(wt_conv_packed(&args) == WT_BAD_ARGUMENT);
  args.pad2 = 0;
  args.dilation2 = 1;
  args.weight.size[1] = args.weight.numel = args.input.size[1] = args.input.numel = 0;
  CHECK(wt_conv_packed(&args) == WT_BAD_ARGUMENT); /* a depth of 0 */
  args.weight.size[1] = args.input.size[1] = 2;
  args.weight.numel = args.input.numel = 4;
  args.weight.dtype = WT_FLOAT64;
  CHECK(wt_conv_packed(&args) == WT_UNSUPPORTED_DTYPE);
  args.weight.dtype = WT_FLOAT32;
  args.groups = 3;
  CHECK(wt_conv_packed(&args) == WT_BAD_ARGUMENT);
  wt_pack_weight_args pack = {sizeof pack, weight, 3};
  CHECK(wt_pack_weight(&pack) == WT_BAD_ARGUMENT);
}
