#include "layouts.h"

static const int dtypes[] = {WT_FLOAT32, WT_FLOAT64, WT_FLOAT16, WT_BFLOAT16};

/* Element (n, c, s) of a three-dimensional tensor. */
static double at3(const wt_tensor *tensor, int64_t n, int64_t c, int64_t s) {
  return check_get(tensor, (n * tensor->size[1] + c) * tensor->size[2] + s);
}

/* ---- softmax ------------------------------------------------------------------------------- */
/* Compares over lines of `length` elements, `inner` apart in row-major order. */
static void compare_softmax(const wt_tensor *out, const wt_tensor *self, wt_word length,
                            int64_t inner, bool logarithm, double tolerance) {
  for (int64_t p = 0; p < self->numel; p++) {
    const int64_t base = p - p / inner % length * inner;
    double maximum = -INFINITY, sum = 0;
    for (wt_word i = 0; i < length; i++) maximum = fmax(maximum, check_get(self, base + i * inner));
    for (wt_word i = 0; i < length; i++) sum += exp(check_get(self, base + i * inner) - maximum);
    const double shifted = check_get(self, p) - maximum;
    CHECK_CLOSE(check_get(out, p), logarithm ? shifted - log(sum) : exp(shifted) / sum, tolerance);
  }
}

static void compare_softmax_backward(const wt_tensor *grad_input, const wt_tensor *grad,
                                     const wt_tensor *out, wt_word length, int64_t inner,
                                     bool logarithm, double tolerance) {
  for (int64_t p = 0; p < out->numel; p++) {
    const int64_t base = p - p / inner % length * inner;
    double sum = 0;
    for (wt_word i = 0; i < length; i++) {
      const double g = check_get(grad, base + i * inner), y = check_get(out, base + i * inner);
      sum += logarithm ? g : g * y;
    }
    const double g = check_get(grad, p), y = check_get(out, p);
    CHECK_CLOSE(check_get(grad_input, p), logarithm ? g - exp(y) * sum : y * (g - sum), tolerance);
  }
}

static void softmax_case(check_random *random, int dtype, int ndim, const wt_word *size, int dim,
                         bool logarithm, layout kind) {
  wt_tensor self = layout_tensor(random, dtype, ndim, size, kind);
  wt_tensor out = layout_tensor(random, dtype, ndim, size, kind);
  wt_tensor grad = layout_tensor(random, dtype, ndim, size, layout_any(random));
  wt_tensor grad_input = layout_tensor(random, dtype, ndim, size, layout_any(random));
  check_fill(&self, random, -6, 6);
  check_fill(&grad, random, -1, 1);
  int64_t inner = 1;
  for (int d = dim + 1; d < ndim; d++) inner *= size[d];
  const double tolerance = 2 * layout_tolerance(dtype);
  wt_softmax_args args = {sizeof args, out, self, dim, logarithm};
  CHECK(wt_softmax(&args) == WT_OK);
  compare_softmax(&out, &self, size[dim], inner, logarithm, tolerance);
  wt_softmax_backward_args backward = {sizeof backward, grad_input, grad, out, dim, logarithm};
  CHECK(wt_softmax_backward(&backward) == WT_OK);
  compare_softmax_backward(&grad_input, &grad, &out, size[dim], inner, logarithm, tolerance);
  layout_free(&self);
  layout_free(&out);
  layout_free(&grad);
  layout_free(&grad_input);
}

TEST(softmax_over_shapes_and_layouts) {
  check_random random = {1};
  for (int round = 0; round < 300; round++) {
    wt_word size[4];
    const int ndim = (int)check_integer(&random, 1, 4);
    for (int d = 0; d < ndim; d++) size[d] = check_integer(&random, 1, 9);
    softmax_case(&random, dtypes[round % 4], ndim, size, (int)check_integer(&random, 0, ndim - 1),
                 round / 4 % 2, layout_any(&random));
  }
}

TEST(softmax_long_lines_and_columns) {
  check_random random = {2};
  for (int logarithm = 0; logarithm < 2; logarithm++) {
    softmax_case(&random, WT_FLOAT32, 2, (wt_word[]){3, 2051}, 1, logarithm, LAYOUT_CONTIGUOUS);
    softmax_case(&random, WT_FLOAT32, 2, (wt_word[]){300, 70}, 0, logarithm, LAYOUT_CONTIGUOUS);
    softmax_case(&random, WT_FLOAT32, 3, (wt_word[]){5, 21, 131}, 1, logarithm, LAYOUT_CONTIGUOUS);
    softmax_case(&random, WT_FLOAT64, 3, (wt_word[]){5, 21, 31}, 1, logarithm, LAYOUT_CONTIGUOUS);
  }
}

TEST(softmax_special_values) {
  float x[4][6] = {{-INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY},
                   {0, -INFINITY, 0, -INFINITY, -INFINITY, -INFINITY},
                   {NAN, 0, 0, 0, 0, 0},
                   {3e38f, -3e38f, 0, 0, 0, 0}};
  float rows[4][6] = {{0}}, down[6][4] = {{0}};
  wt_tensor self = CHECK_TENSOR(x, WT_FLOAT32, 4, 6);
  wt_softmax_args args = {sizeof args, CHECK_TENSOR(rows, WT_FLOAT32, 4, 6), self, 1, 0};
  CHECK(wt_softmax(&args) == WT_OK);
  float turned[6][4];
  for (int r = 0; r < 4; r++)
    for (int c = 0; c < 6; c++) turned[c][r] = x[r][c];
  args = (wt_softmax_args){sizeof args, CHECK_TENSOR(down, WT_FLOAT32, 6, 4),
                           CHECK_TENSOR(turned, WT_FLOAT32, 6, 4), 0, 0};
  CHECK(wt_softmax(&args) == WT_OK);
  const double expected[4][6] = {{NAN, NAN, NAN, NAN, NAN, NAN},
                                 {0.5, 0, 0.5, 0, 0, 0},
                                 {NAN, NAN, NAN, NAN, NAN, NAN},
                                 {1, 0, 0, 0, 0, 0}};
  for (int r = 0; r < 4; r++)
    for (int c = 0; c < 6; c++) {
      CHECK_CLOSE((double)rows[r][c], expected[r][c], 1e-7);
      CHECK_CLOSE((double)down[c][r], expected[r][c], 1e-7);
    }
}

TEST(softmax_rejects_bad_arguments) {
  float x[4] = {0};
  int32_t integers[4] = {0};
  wt_tensor self = CHECK_TENSOR(x, WT_FLOAT32, 4);
  wt_softmax_args args = {sizeof args, self, self, 1, 0};
  CHECK(wt_softmax(&args) == WT_BAD_ARGUMENT);
  args = (wt_softmax_args){sizeof args, CHECK_TENSOR(x, WT_FLOAT32, 3), self, 0, 0};
  CHECK(wt_softmax(&args) == WT_BAD_ARGUMENT);
  args = (wt_softmax_args){sizeof args, self, CHECK_TENSOR(integers, WT_INT32, 4), 0, 0};
  CHECK(wt_softmax(&args) == WT_UNSUPPORTED_DTYPE);
}

/* ---- layer norm ------------------------------------------------------------------------------ */
typedef struct moments {
  double mean, variance;
} moments;

static moments row_moments(const wt_tensor *x, int64_t row) {
  const int64_t columns = x->size[1];
  moments m = {0, 0};
  for (int64_t c = 0; c < columns; c++) m.mean += check_get(x, row * columns + c) / (double)columns;
  for (int64_t c = 0; c < columns; c++) {
    const double d = check_get(x, row * columns + c) - m.mean;
    m.variance += d * d / (double)columns;
  }
  return m;
}

typedef struct layer_norm_case {
  wt_tensor out, mean, rstd, input, weight, bias, grad_out, grad_input, grad_weight, grad_bias;
} layer_norm_case;

static void compare_layer_norm(const layer_norm_case *t, double tolerance) {
  const int64_t rows = t->input.size[0], columns = t->input.size[1];
  const bool affine = wt_is_present(&t->weight);
  double *weight_sums = calloc((size_t)columns * 2, sizeof(double));
  double *bias_sums = weight_sums + columns;
  for (int64_t r = 0; r < rows; r++) {
    const moments m = row_moments(&t->input, r);
    const double rstd = 1 / sqrt(m.variance + 1e-5);
    CHECK_CLOSE(check_get(&t->mean, r), m.mean, tolerance);
    CHECK_CLOSE(check_get(&t->rstd, r), rstd, tolerance);
    double g_sum = 0, dot = 0;
    for (int64_t c = 0; c < columns; c++) {
      const double d = check_get(&t->input, r * columns + c) - m.mean;
      const double w = affine ? check_get(&t->weight, c) : 1,
                   b = affine ? check_get(&t->bias, c) : 0;
      const double grad = check_get(&t->grad_out, r * columns + c);
      CHECK_CLOSE(check_get(&t->out, r * columns + c), d * rstd * w + b, tolerance);
      g_sum += grad * w;
      dot += grad * w * d;
      weight_sums[c] += grad * d * rstd;
      bias_sums[c] += grad;
    }
    for (int64_t c = 0; c < columns; c++) {
      const double d = check_get(&t->input, r * columns + c) - m.mean, n = (double)columns;
      const double g =
          check_get(&t->grad_out, r * columns + c) * (affine ? check_get(&t->weight, c) : 1);
      CHECK_CLOSE(check_get(&t->grad_input, r * columns + c),
                  rstd * (g - g_sum / n - d * rstd * rstd * dot / n), 4 * tolerance);
    }
  }
  for (int64_t c = 0; affine && c < columns; c++) {
    CHECK_CLOSE(check_get(&t->grad_weight, c), weight_sums[c], 8 * tolerance);
    CHECK_CLOSE(check_get(&t->grad_bias, c), bias_sums[c], 8 * tolerance);
  }
  free(weight_sums);
}

static void layer_norm_run(check_random *random, int dtype, wt_word rows, wt_word columns,
                           bool affine, layout kind) {
  const wt_word size[2] = {rows, columns};
  const int statistics = dtype == WT_FLOAT64 ? WT_FLOAT64 : WT_FLOAT32;
  layer_norm_case t = {
      .out = layout_tensor(random, dtype, 2, size, kind),
      .mean = layout_tensor(random, statistics, 1, &rows, LAYOUT_STEPPED),
      .rstd = layout_tensor(random, statistics, 1, &rows, LAYOUT_CONTIGUOUS),
      .input = layout_tensor(random, dtype, 2, size, kind),
      .weight = affine ? layout_tensor(random, dtype, 1, &columns, kind) : check_absent(),
      .bias = affine ? layout_tensor(random, dtype, 1, &columns, kind) : check_absent(),
      .grad_out = layout_tensor(random, dtype, 2, size, layout_any(random)),
      .grad_input = layout_tensor(random, dtype, 2, size, kind),
      .grad_weight = affine ? layout_tensor(random, dtype, 1, &columns, kind) : check_absent(),
      .grad_bias = affine ? layout_tensor(random, dtype, 1, &columns, kind) : check_absent()};
  check_fill(&t.input, random, 1, 3);
  check_fill(&t.grad_out, random, -1, 1);
  if (affine) check_fill(&t.weight, random, 0.5, 1.5);
  if (affine) check_fill(&t.bias, random, -1, 1);
  wt_layer_norm_args args = {sizeof args, t.out, t.mean, t.rstd, t.input, t.weight, t.bias, 1e-5};
  CHECK(wt_layer_norm(&args) == WT_OK);
  wt_layer_norm_backward_args backward = {sizeof backward, t.grad_input, t.grad_weight,
                                          t.grad_bias,     t.grad_out,   t.input,
                                          t.mean,          t.rstd,       t.weight};
  CHECK(wt_layer_norm_backward(&backward) == WT_OK);
  compare_layer_norm(&t, (dtype == WT_FLOAT64 ? 10 : 3) * layout_tolerance(dtype));
  wt_tensor *tensors[] = {&t.out,  &t.mean,     &t.rstd,       &t.input,       &t.weight,
                          &t.bias, &t.grad_out, &t.grad_input, &t.grad_weight, &t.grad_bias};
  for (int k = 0; k < 10; k++)
    if (wt_is_present(tensors[k])) layout_free(tensors[k]);
}

TEST(layer_norm_forward_and_backward) {
  check_random random = {3};
  for (int d = 0; d < 4; d++)
    for (int kind = 0; kind < LAYOUT_COUNT; kind++)
      for (int affine = 0; affine < 2; affine++) {
        layer_norm_run(&random, dtypes[d], 3, 17, affine, (layout)kind);
        layer_norm_run(&random, dtypes[d], 40, 64, affine, (layout)kind);
      }
  layer_norm_run(&random, WT_FLOAT32, 1, 1500, true, LAYOUT_CONTIGUOUS);
  layer_norm_run(&random, WT_FLOAT32, 700, 8, true, LAYOUT_CONTIGUOUS);
}

TEST(layer_norm_keeps_small_deviations_from_large_means) {
  float x[256], out[256];
  for (int i = 0; i < 256; i++) x[i] = 8192.0f + (i & 1 ? 0.5f : -0.5f);
  wt_tensor self = CHECK_TENSOR(x, WT_FLOAT32, 1, 256);
  wt_layer_norm_args args = {sizeof args,    CHECK_TENSOR(out, WT_FLOAT32, 1, 256),
                             check_absent(), check_absent(),
                             self,           check_absent(),
                             check_absent(), 0};
  CHECK(wt_layer_norm(&args) == WT_OK);
  for (int i = 0; i < 256; i++) CHECK_CLOSE((double)out[i], i & 1 ? 1 : -1, 1e-6);
}

/* ---- batch norm ------------------------------------------------------------------------------ */
typedef struct batch_norm_case {
  wt_tensor out, save_mean, save_invstd, input, weight, bias, running_mean, running_var;
  wt_tensor grad_input, grad_weight, grad_bias, grad_out;
  bool training;
} batch_norm_case;

static moments channel_moments(const wt_tensor *x, int64_t c) {
  const double count = (double)(x->size[0] * x->size[2]);
  moments m = {0, 0};
  for (int64_t n = 0; n < x->size[0]; n++)
    for (int64_t s = 0; s < x->size[2]; s++) m.mean += at3(x, n, c, s) / count;
  for (int64_t n = 0; n < x->size[0]; n++)
    for (int64_t s = 0; s < x->size[2]; s++)
      m.variance += (at3(x, n, c, s) - m.mean) * (at3(x, n, c, s) - m.mean) / count;
  return m;
}

static void compare_channel(const batch_norm_case *t, int64_t c, moments m, double tolerance) {
  const double count = (double)(t->input.size[0] * t->input.size[2]);
  const double invstd = 1 / sqrt(m.variance + 1e-5);
  const double w = wt_is_present(&t->weight) ? check_get(&t->weight, c) : 1;
  const double b = wt_is_present(&t->bias) ? check_get(&t->bias, c) : 0;
  double sum = 0, dot = 0;
  for (int64_t n = 0; n < t->input.size[0]; n++)
    for (int64_t s = 0; s < t->input.size[2]; s++) {
      const double d = at3(&t->input, n, c, s) - m.mean;
      CHECK_CLOSE(at3(&t->out, n, c, s), d * invstd * w + b, tolerance);
      sum += at3(&t->grad_out, n, c, s);
      dot += at3(&t->grad_out, n, c, s) * d;
    }
  for (int64_t n = 0; n < t->input.size[0]; n++)
    for (int64_t s = 0; s < t->input.size[2]; s++) {
      const double d = at3(&t->input, n, c, s) - m.mean, g = at3(&t->grad_out, n, c, s);
      const double centered = t->training ? g - sum / count - d * invstd * invstd * dot / count : g;
      CHECK_CLOSE(at3(&t->grad_input, n, c, s), centered * invstd * w, 2 * tolerance);
    }
  CHECK_CLOSE(check_get(&t->save_mean, c), m.mean, tolerance);
  CHECK_CLOSE(check_get(&t->save_invstd, c), invstd, tolerance);
  CHECK_CLOSE(check_get(&t->grad_weight, c), dot * invstd, 8 * tolerance);
  CHECK_CLOSE(check_get(&t->grad_bias, c), sum, 8 * tolerance);
}

static void batch_norm_run(check_random *random, int dtype, const wt_word size[3], bool affine,
                           bool training, const wt_tensor *input) {
  const int statistics = dtype == WT_FLOAT64 ? WT_FLOAT64 : WT_FLOAT32;
  const wt_word channels = size[1];
  batch_norm_case t = {.input = *input, .training = training};
  t.out = layout_tensor(random, dtype, 3, size, LAYOUT_CONTIGUOUS);
  for (int d = 0; d < 3 && (random->state & 3); d++) t.out.stride[d] = input->stride[d];
  wt_word extent = 1;
  for (int d = 0; d < 3; d++) extent += (size[d] - 1) * t.out.stride[d];
  layout_free(&t.out);
  t.out.data = (wt_word)calloc((size_t)extent, wt_dtype_size(dtype));
  t.grad_input = t.grad_out = t.out;
  t.grad_input.data = (wt_word)calloc((size_t)extent, wt_dtype_size(dtype));
  t.grad_out.data = (wt_word)calloc((size_t)extent, wt_dtype_size(dtype));
  check_fill(&t.grad_out, random, -1, 1);
  wt_tensor *vectors[] = {&t.save_mean,    &t.save_invstd, &t.weight,      &t.bias,
                          &t.running_mean, &t.running_var, &t.grad_weight, &t.grad_bias};
  for (int k = 0; k < 8; k++) {
    *vectors[k] = layout_tensor(random, statistics, 1, &channels, layout_any(random));
    check_fill(vectors[k], random, 0.5, 1.5);
  }
  wt_tensor weight = affine ? t.weight : check_absent(), bias = affine ? t.bias : check_absent();
  double *before = calloc((size_t)channels * 2, sizeof(double));
  for (int64_t c = 0; c < channels; c++) {
    before[c] = check_get(&t.running_mean, c);
    before[channels + c] = check_get(&t.running_var, c);
  }
  wt_batch_norm_args args = {sizeof args,   t.out,    t.save_mean, t.save_invstd,
                             t.input,       weight,   bias,        t.running_mean,
                             t.running_var, training, 0.1,         1e-5};
  CHECK(wt_batch_norm(&args) == WT_OK);
  wt_batch_norm_backward_args backward = {sizeof backward, t.grad_input, t.grad_weight, t.grad_bias,
                                          t.grad_out,      t.input,      weight,        t.save_mean,
                                          t.save_invstd,   training};
  CHECK(wt_batch_norm_backward(&backward) == WT_OK);
  const double tolerance = (dtype == WT_FLOAT64 ? 100 : 4) * layout_tolerance(dtype);
  const double count = (double)(size[0] * size[2]);
  batch_norm_case seen = t;
  seen.weight = weight;
  seen.bias = bias;
  for (int64_t c = 0; c < channels; c++) {
    const moments batch = channel_moments(&t.input, c);
    const double momentum = training ? 0.1 : 0;
    compare_channel(&seen, c, training ? batch : (moments){before[c], before[channels + c]},
                    tolerance);
    CHECK_CLOSE(check_get(&t.running_mean, c), (1 - momentum) * before[c] + momentum * batch.mean,
                tolerance);
    CHECK_CLOSE(
        check_get(&t.running_var, c),
        (1 - momentum) * before[channels + c] + momentum * batch.variance * count / (count - 1),
        tolerance);
  }
  free(before);
  for (int k = 0; k < 8; k++) layout_free(vectors[k]);
  layout_free(&t.out);
  layout_free(&t.grad_input);
  layout_free(&t.grad_out);
}

/* input of the given size: contiguous, channels-last, or of random layout. */
static void batch_norm_layouts(check_random *random, int dtype, wt_word n, wt_word c, wt_word s) {
  const wt_word size[3] = {n, c, s}, last[3] = {n, s, c};
  for (int kind = 0; kind < 4; kind++) {
    wt_tensor input =
        kind == 1 ? check_transposed(layout_tensor(random, dtype, 3, last, LAYOUT_CONTIGUOUS), 1, 2)
                  : layout_tensor(random, dtype, 3, size,
                                  kind == 0   ? LAYOUT_CONTIGUOUS
                                  : kind == 2 ? LAYOUT_PERMUTED
                                              : LAYOUT_STEPPED);
    check_fill(&input, random, -1, 3);
    for (int flags = 0; flags < 4; flags++)
      batch_norm_run(random, dtype, size, flags & 1, flags & 2, &input);
    layout_free(&input);
  }
}

TEST(batch_norm_forward_and_backward) {
  check_random random = {4};
  for (int d = 0; d < 4; d++) {
    batch_norm_layouts(&random, dtypes[d], 4, 5, 9);
    batch_norm_layouts(&random, dtypes[d], 16, 3, 1);
    batch_norm_layouts(&random, dtypes[d], 2, 1, 37);
  }
  batch_norm_layouts(&random, WT_FLOAT32, 3, 150, 20);
  batch_norm_layouts(&random, WT_FLOAT32, 8, 4, 1100);
  batch_norm_layouts(&random, WT_FLOAT32, 1, 21, 70);
}

TEST(batch_norm_variance_does_not_cancel) {
  enum { N = 4, C = 8, S = 64 };
  static float x[N * C * S], out[N * C * S], invstd[C];
  for (int i = 0; i < N * C * S; i++) x[i] = 4096.0f + (i / C & 1 ? 0.25f : -0.25f);
  for (int last = 0; last < 2; last++) {
    wt_tensor input = last ? check_transposed(CHECK_TENSOR(x, WT_FLOAT32, N, S, C), 1, 2)
                           : CHECK_TENSOR(x, WT_FLOAT32, N, C, S);
    wt_tensor result = input;
    result.data = (wt_word)out;
    wt_batch_norm_args args = {sizeof args,
                               result,
                               check_absent(),
                               CHECK_TENSOR(invstd, WT_FLOAT32, C),
                               input,
                               check_absent(),
                               check_absent(),
                               check_absent(),
                               check_absent(),
                               1,
                               0.1,
                               0};
    CHECK(wt_batch_norm(&args) == WT_OK);
    for (int c = 0; c < C; c++) CHECK_CLOSE((double)invstd[c], 4, 1e-6);
    for (int i = 0; i < N * C * S; i++) CHECK_CLOSE(fabs((double)out[i]), 1, 1e-6);
  }
}

TEST(batch_norm_writes_only_the_gradients_asked_for) {
  float x[6] = {1, 2, 3, 4, 5, 7}, g[6] = {1, 0, 2, 1, 1, 3}, mean = 0, invstd = 1, bias = 0;
  wt_batch_norm_backward_args args = {sizeof args,
                                      check_absent(),
                                      check_absent(),
                                      CHECK_TENSOR(&bias, WT_FLOAT32, 1),
                                      CHECK_TENSOR(g, WT_FLOAT32, 2, 1, 3),
                                      CHECK_TENSOR(x, WT_FLOAT32, 2, 1, 3),
                                      check_absent(),
                                      CHECK_TENSOR(&mean, WT_FLOAT32, 1),
                                      CHECK_TENSOR(&invstd, WT_FLOAT32, 1),
                                      0};
  CHECK(wt_batch_norm_backward(&args) == WT_OK);
  CHECK_CLOSE((double)bias, 8, 1e-7);
  args.mean = check_absent();
  CHECK(wt_batch_norm_backward(&args) == WT_BAD_ARGUMENT);
}

TEST(batch_norm_needs_statistics_outside_training) {
  float x[6] = {0};
  wt_tensor input = CHECK_TENSOR(x, WT_FLOAT32, 2, 3, 1);
  wt_batch_norm_args args = {sizeof args,
                             input,
                             check_absent(),
                             check_absent(),
                             input,
                             check_absent(),
                             check_absent(),
                             check_absent(),
                             check_absent(),
                             0,
                             0.1,
                             1e-5};
  CHECK(wt_batch_norm(&args) == WT_BAD_ARGUMENT);
}
