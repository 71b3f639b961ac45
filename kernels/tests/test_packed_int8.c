/* The packed convolution in 8 bits against its definition: the same steps, summed in double. */
#include "check.h"

typedef struct problem {
  wt_word batch, channels, filters, in[2], kernel[2], stride, pad, dilation;
} problem;

static wt_word output_size(const problem *p, int d) {
  return (p->in[d] + 2 * p->pad - p->dilation * (p->kernel[d] - 1) - 1) / p->stride + 1;
}

static wt_tensor channels_last(float *data, wt_word n, wt_word c, wt_word h, wt_word w) {
  wt_tensor t = CHECK_TENSOR(data, WT_FLOAT32, n, c, 1, h, w);
  t.stride[0] = h * w * c;
  t.stride[1] = 1;
  t.stride[2] = h * w * c;
  t.stride[3] = w * c;
  t.stride[4] = c;
  return t;
}

static float largest(const float *from, wt_word count) {
  float result = 0;
  for (wt_word i = 0; i < count; i++) result = fmaxf(result, fabsf(from[i]));
  return result;
}

static double quantized(float value, float scale) {
  double q = nearbyintf(value * (1 / scale));
  return q > 127 ? 127 : q < -127 ? -127 : q;
}

/* weight[filter][tap][channel] into the panels of the kernel. */
static int8_t *in_panels(const int8_t *weight, wt_word filters, wt_word taps, wt_word channels) {
  wt_word panels = (filters + 7) / 8;
  int8_t *packed = calloc((size_t)(panels * 8 * taps * channels), 1);
  for (wt_word f = 0; f < filters; f++)
    for (wt_word t = 0; t < taps; t++)
      for (wt_word c = 0; c < channels; c++)
        packed[(((f / 8 * taps + t) * (channels / 4) + c / 4) * 8 + f % 8) * 4 + c % 4] =
            weight[(f * taps + t) * channels + c];
  return packed;
}

static void check_problem(check_random *random, const problem *p) {
  const wt_word h = output_size(p, 0), w = output_size(p, 1), taps = p->kernel[0] * p->kernel[1];
  const wt_word points = p->in[0] * p->in[1], depth = taps * p->channels;
  const wt_word inputs = p->batch * points * p->channels, outputs = p->batch * h * w * p->filters;
  float *x = malloc((size_t)inputs * 4), *y = calloc((size_t)outputs, 4);
  float *residual = malloc((size_t)outputs * 4);
  float *scale = malloc((size_t)p->filters * 4), *bias = malloc((size_t)p->filters * 4);
  int32_t *sums = calloc((size_t)p->filters, 4);
  int8_t *weight = malloc((size_t)(p->filters * depth));
  for (wt_word i = 0; i < inputs; i++) x[i] = (float)check_uniform(random, -3, 3);
  for (wt_word i = 0; i < outputs; i++) residual[i] = (float)check_uniform(random, -3, 3);
  for (wt_word f = 0; f < p->filters; f++) {
    scale[f] = (float)check_uniform(random, 0.001, 0.02);
    bias[f] = (float)check_uniform(random, -1, 1);
    for (wt_word d = 0; d < depth; d++) {
      weight[f * depth + d] = (int8_t)check_integer(random, -127, 127);
      sums[f] += weight[f * depth + d];
    }
  }
  if (check_integer(random, 0, 3) == 0) memset(x, 0, (size_t)inputs * 4);
  int8_t *packed = in_panels(weight, p->filters, taps, p->channels);
  bool has_bias = check_integer(random, 0, 1), has_residual = check_integer(random, 0, 1);
  bool relu = check_integer(random, 0, 1);
  wt_conv_int8_args args = {
      .size_bytes = sizeof args,
      .out = channels_last(y, p->batch, p->filters, h, w),
      .input = channels_last(x, p->batch, p->channels, p->in[0], p->in[1]),
      .weight = CHECK_TENSOR(packed, WT_INT8, (p->filters + 7) / 8, taps, p->channels / 4, 8, 4),
      .scale = CHECK_TENSOR(scale, WT_FLOAT32, p->filters),
      .weight_sums = CHECK_TENSOR(sums, WT_INT32, p->filters),
      .bias = has_bias ? CHECK_TENSOR(bias, WT_FLOAT32, p->filters) : check_absent(),
      .residual =
          has_residual ? channels_last(residual, p->batch, p->filters, h, w) : check_absent(),
      .kernel0 = 1,
      .kernel1 = p->kernel[0],
      .kernel2 = p->kernel[1],
      .groups = 1,
      .stride0 = 1,
      .stride1 = p->stride,
      .stride2 = p->stride,
      .pad1 = p->pad,
      .pad2 = p->pad,
      .dilation0 = 1,
      .dilation1 = p->dilation,
      .dilation2 = p->dilation,
      .activation = relu ? WT_UNARY_relu : -1};
  CHECK(wt_conv_int8(&args) == WT_OK);
  wt_word wrong = 0;
  for (wt_word at = 0; at < outputs; at++) {
    wt_word f = at % p->filters, j = at / p->filters % w, i = at / p->filters / w % h;
    wt_word n = at / p->filters / w / h;
    const float *entry = x + n * points * p->channels;
    float step = largest(entry, points * p->channels) / 127;
    double sum = 0;
    for (wt_word t = 0; t < taps; t++) {
      wt_word a = i * p->stride - p->pad + t / p->kernel[1] * p->dilation;
      wt_word b = j * p->stride - p->pad + t % p->kernel[1] * p->dilation;
      if (a < 0 || a >= p->in[0] || b < 0 || b >= p->in[1]) continue;
      const float *row = entry + (a * p->in[1] + b) * p->channels;
      if (taps == 1) step = largest(row, p->channels) / 127;
      for (wt_word c = 0; step > 0 && c < p->channels; c++)
        sum += quantized(row[c], step) * weight[(f * taps + t) * p->channels + c];
    }
    double value = sum * step * scale[f] + (has_bias ? bias[f] : 0);
    if (has_residual) value += residual[at];
    if (relu && value < 0) value = 0;
    if (!(fabs(y[at] - value) <= 1e-5 * (fabs(sum * step * scale[f]) + 4))) wrong++;
  }
  CHECK(wrong == 0);
  free(x);
  free(y);
  free(residual);
  free(scale);
  free(bias);
  free(sums);
  free(weight);
  free(packed);
}

TEST(packed_int8_convolution) {
  check_random random = {81};
  for (int i = 0; i < 80; i++) {
    problem p = {.batch = check_integer(&random, 1, 3),
                 .channels = 4 * check_integer(&random, 1, 12),
                 .filters = check_integer(&random, 1, 30),
                 .stride = check_integer(&random, 1, 2),
                 .pad = check_integer(&random, 0, 2),
                 .dilation = check_integer(&random, 1, 2)};
    for (int d = 0; d < 2; d++) {
      p.in[d] = check_integer(&random, 5, 11);
      p.kernel[d] = check_integer(&random, 1, 3);
    }
    if (check_integer(&random, 0, 1)) p.kernel[0] = p.kernel[1] = 1;
    check_problem(&random, &p);
  }
}

TEST(packed_int8_convolution_with_threads) {
  check_random random = {82};
  wt_set_num_threads(4);
  problem linear = {1, 768, 300, {1, 7}, {1, 1}, 1, 0, 1};
  problem picture = {2, 32, 40, {20, 21}, {3, 3}, 1, 1, 1};
  check_problem(&random, &linear);
  check_problem(&random, &picture);
  wt_set_num_threads(1);
}

TEST(packed_int8_convolution_of_infinities_gives_no_trap) {
  float x[8] = {INFINITY, NAN, -INFINITY, 1, 1, 2, 3, 4}, y[2], scale[1] = {1};
  int32_t sums[1] = {10};
  int8_t weight[32] = {1, 2, 3, 4};
  wt_conv_int8_args args = {.size_bytes = sizeof args,
                            .out = channels_last(y, 1, 1, 1, 2),
                            .input = channels_last(x, 1, 4, 1, 2),
                            .weight = CHECK_TENSOR(weight, WT_INT8, 1, 1, 1, 8, 4),
                            .scale = CHECK_TENSOR(scale, WT_FLOAT32, 1),
                            .weight_sums = CHECK_TENSOR(sums, WT_INT32, 1),
                            .bias = check_absent(),
                            .residual = check_absent(),
                            .kernel0 = 1,
                            .kernel1 = 1,
                            .kernel2 = 1,
                            .groups = 1,
                            .stride0 = 1,
                            .stride1 = 1,
                            .stride2 = 1,
                            .dilation0 = 1,
                            .dilation1 = 1,
                            .dilation2 = 1,
                            .activation = -1};
  CHECK(wt_conv_int8(&args) == WT_OK);
  CHECK_CLOSE(y[1], 30, 0.02);
  args.input.size[1] = 3;
  CHECK(wt_conv_int8(&args) == WT_BAD_ARGUMENT);
  args.input.size[1] = 4;
  args.weight.dtype = WT_UINT8;
  CHECK(wt_conv_int8(&args) == WT_UNSUPPORTED_DTYPE);
  x[0] = NAN; /* does not become a number, as from a convolution in float32 */
  args.weight.dtype = WT_INT8;
  CHECK(wt_conv_int8(&args) == WT_OK);
  CHECK(isnan(y[0]) && !isnan(y[1]));
}

TEST(packed_int8_convolution_refuses) {
  enum { DEEP = 4 * ((INT32_MAX / (127 * 127)) / 4 + 1) };
  float *x = calloc(DEEP, sizeof *x), y[2], scale[1] = {1};
  int32_t sums[1] = {0};
  int8_t *weight = calloc(8 * (size_t)DEEP, 1);
  wt_conv_int8_args args = {.size_bytes = sizeof args,
                            .out = channels_last(y, 1, 1, 1, 1),
                            .input = channels_last(x, 1, DEEP, 1, 1),
                            .weight = CHECK_TENSOR(weight, WT_INT8, 1, 1, DEEP / 4, 8, 4),
                            .scale = CHECK_TENSOR(scale, WT_FLOAT32, 1),
                            .weight_sums = CHECK_TENSOR(sums, WT_INT32, 1),
                            .bias = check_absent(),
                            .residual = check_absent(),
                            .kernel0 = 1,
                            .kernel1 = 1,
                            .kernel2 = 1,
                            .groups = 1,
                            .stride0 = 1,
                            .stride1 = 1,
                            .stride2 = 1,
                            .dilation0 = 1,
                            .dilation1 = 1,
                            .dilation2 = 1,
                            .activation = -1};
  CHECK(wt_conv_int8(&args) == WT_BAD_ARGUMENT); /* sums might exceed 32 bits */
  args.input = channels_last(x, 1, DEEP - 4, 1, 1);
  args.weight = CHECK_TENSOR(weight, WT_INT8, 1, 1, DEEP / 4 - 1, 8, 4);
  CHECK(wt_conv_int8(&args) == WT_OK);
  args.input = channels_last(x, 1, 4, 0, 1);
  args.weight = CHECK_TENSOR(weight, WT_INT8, 1, 1, 1, 8, 4);
  args.pad1 = 1;
  args.out = channels_last(y, 1, 1, 2, 1);
  CHECK(wt_conv_int8(&args) == WT_BAD_ARGUMENT);    /* nothing but padding */
  args.kernel1 = args.kernel2 = INTPTR_MAX / 2 + 1; /* taps that are no word */
  CHECK(wt_conv_int8(&args) == WT_BAD_ARGUMENT);
  free(x);
  free(weight);
}
