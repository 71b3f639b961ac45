/* Convolution and its gradients against sums in double precision: random geometries, layouts and
 * dtypes, the optimised path and the scalar reference. */
#include "check.h"
#include "conv/conv.h"

typedef struct geometry {
  wt_word batch, groups, channels, filters; /* channels and filters of one group */
  wt_word in[3], kernel[3], stride[3], pad[3], dilation[3], out[3];
} geometry;

static wt_word output_size(const geometry *g, int d) {
  return (g->in[d] + 2 * g->pad[d] - g->dilation[d] * (g->kernel[d] - 1) - 1) / g->stride[d] + 1;
}

/* A random geometry with at least one output; `spatial` axes are longer than 1. */
static geometry random_geometry(check_random *random, int spatial, wt_word largest) {
  geometry g = {.batch = check_integer(random, 1, 3), .groups = 1};
  g.channels = check_integer(random, 1, 9);
  g.filters = check_integer(random, 1, 13);
  if (check_integer(random, 0, 2) == 0) g.groups = check_integer(random, 2, 4);
  if (check_integer(random, 0, 3) == 0) g.channels = 1;
  for (int d = 0; d < 3; d++) {
    bool used = d >= 3 - spatial;
    g.in[d] = used ? check_integer(random, 1, largest) : 1;
    g.stride[d] = used ? check_integer(random, 1, check_integer(random, 1, 3)) : 1;
    g.dilation[d] = used ? check_integer(random, 1, check_integer(random, 1, 3)) : 1;
    g.pad[d] = used ? check_integer(random, 0, 2) : 0;
    do g.kernel[d] = used ? check_integer(random, 1, 4) : 1;
    while (g.in[d] + 2 * g.pad[d] < g.dilation[d] * (g.kernel[d] - 1) + 1);
    g.out[d] = output_size(&g, d);
  }
  return g;
}

typedef enum memory_order_5d { CONTIGUOUS, CHANNELS_LAST, GAPS, ORDERS } memory_order_5d;

/* A 5-dimensional tensor over fresh memory, filled, in one of the memory orders. */
static wt_tensor make(check_random *random, int dtype, const wt_word size[5],
                      memory_order_5d order) {
  wt_word gap = order == GAPS ? 2 : 1, elements = 1;
  wt_tensor tensor = {.dtype = dtype, .ndim = 5, .numel = 1};
  for (int d = 0; d < 5; d++) {
    tensor.size[d] = size[d];
    tensor.numel *= size[d];
    elements *= size[d] + gap;
  }
  static const int orders[ORDERS][5] = {{4, 3, 2, 1, 0}, {1, 4, 3, 2, 0}, {3, 4, 1, 2, 0}};
  wt_word stride = gap;
  for (int i = 0; i < 5; i++) {
    int d = orders[order][i];
    tensor.stride[d] = stride;
    stride *= order == GAPS ? size[d] + 1 : size[d];
  }
  tensor.data = (wt_word)calloc((size_t)(elements * gap + 1), wt_dtype_size(dtype));
  double high = dtype == WT_INT64 || dtype == WT_INT32 ? 1000 : 4;
  check_fill(&tensor, random, dtype == WT_UINT8 ? 0 : -high, high);
  return tensor;
}

static void release(wt_tensor tensor) {
  if (wt_is_present(&tensor)) free((void *)tensor.data);
}

static wt_word at5(const wt_tensor *t, wt_word n, wt_word c, const wt_word p[3]) {
  return (((n * t->size[1] + c) * t->size[2] + p[0]) * t->size[3] + p[1]) * t->size[4] + p[2];
}

typedef struct totals {
  double *value, *magnitude; /* one of each element of the tensor */
} totals;

static totals make_totals(wt_word elements) {
  totals t = {calloc((size_t)elements, sizeof(double)), calloc((size_t)elements, sizeof(double))};
  return t;
}

static void add_to(totals t, wt_word at, double value) {
  t.value[at] += value;
  t.magnitude[at] += fabs(value);
}

static double wrap(double value, int dtype) {
  switch (dtype) {
    case WT_UINT8:
      return (double)(uint8_t)(int64_t)value;
    case WT_INT8:
      return (double)(int8_t)(int64_t)value;
    case WT_INT16:
      return (double)(int16_t)(int64_t)value;
    case WT_INT32:
      return (double)(int32_t)(int64_t)value;
    default:
      return value;
  }
}

static double precision_of(int dtype) {
  switch (dtype) {
    case WT_FLOAT16:
      return 1e-3;
    case WT_BFLOAT16:
      return 8e-3;
    case WT_FLOAT32:
      return 2e-6;
    case WT_FLOAT64:
      return 1e-14;
    default:
      return 0;
  }
}

static void compare(const wt_tensor *got, totals expected, const char *what, int line) {
  wt_word wrong = 0;
  for (wt_word p = 0; p < got->numel; p++) {
    double value = wrap(expected.value[p], (int)got->dtype);
    double tolerance = precision_of((int)got->dtype) * (expected.magnitude[p] + 1e-30);
    if (!(fabs(check_get(got, p) - value) <= tolerance)) wrong++;
  }
  check_count(wrong == 0, what, line, "differs from the definition");
  free(expected.value);
  free(expected.magnitude);
}

/* Calls visit for each product of the convolution: offsets are in row-major elements. */
static void for_each_product(const geometry *g, const wt_tensor *input, const wt_tensor *weight,
                             const wt_tensor *out, void (*visit)(void *, wt_word, wt_word, wt_word),
                             void *context) {
  wt_word o[3], k[3], i[3];
  for (wt_word n = 0; n < g->batch; n++)
    for (wt_word f = 0; f < g->groups * g->filters; f++)
      for (wt_word c = 0; c < g->channels; c++)
        for (o[0] = 0; o[0] < g->out[0]; o[0]++)
          for (o[1] = 0; o[1] < g->out[1]; o[1]++)
            for (o[2] = 0; o[2] < g->out[2]; o[2]++)
              for (k[0] = 0; k[0] < g->kernel[0]; k[0]++)
                for (k[1] = 0; k[1] < g->kernel[1]; k[1]++)
                  for (k[2] = 0; k[2] < g->kernel[2]; k[2]++) {
                    bool inside = true;
                    for (int d = 0; d < 3; d++) {
                      i[d] = o[d] * g->stride[d] - g->pad[d] + k[d] * g->dilation[d];
                      inside = inside && i[d] >= 0 && i[d] < g->in[d];
                    }
                    if (!inside) continue;
                    wt_word channel = f / g->filters * g->channels + c;
                    visit(context, at5(input, n, channel, i), at5(weight, f, c, k),
                          at5(out, n, f, o));
                  }
}

typedef struct sums {
  const wt_tensor *input, *weight, *out;
  totals to;
} sums;

static void visit_out(void *context, wt_word input, wt_word weight, wt_word out) {
  sums *s = context;
  add_to(s->to, out, check_get(s->input, input) * check_get(s->weight, weight));
}
static void visit_input(void *context, wt_word input, wt_word weight, wt_word out) {
  sums *s = context;
  add_to(s->to, input, check_get(s->out, out) * check_get(s->weight, weight));
}
static void visit_weight(void *context, wt_word input, wt_word weight, wt_word out) {
  sums *s = context;
  add_to(s->to, weight, check_get(s->out, out) * check_get(s->input, input));
}

#define GEOMETRY(g)                                                                         \
  .groups = (g)->groups, .stride0 = (g)->stride[0], .stride1 = (g)->stride[1],              \
  .stride2 = (g)->stride[2], .pad0 = (g)->pad[0], .pad1 = (g)->pad[1], .pad2 = (g)->pad[2], \
  .dilation0 = (g)->dilation[0], .dilation1 = (g)->dilation[1], .dilation2 = (g)->dilation[2]

typedef struct operands {
  wt_tensor input, weight, out, bias;
} operands;

static operands make_operands(check_random *random, const geometry *g, int dtype) {
  wt_word in[5] = {g->batch, g->groups * g->channels, g->in[0], g->in[1], g->in[2]};
  wt_word kernel[5] = {g->groups * g->filters, g->channels, g->kernel[0], g->kernel[1],
                       g->kernel[2]};
  wt_word out[5] = {g->batch, g->groups * g->filters, g->out[0], g->out[1], g->out[2]};
  operands o = {.input = make(random, dtype, in, (memory_order_5d)check_integer(random, 0, 2)),
                .weight = make(random, dtype, kernel, (memory_order_5d)check_integer(random, 0, 2)),
                .out = make(random, dtype, out, (memory_order_5d)check_integer(random, 0, 2))};
  wt_word filters[5] = {1, 1, 1, 1, kernel[0]};
  wt_tensor line = make(random, dtype, filters, check_integer(random, 0, 1) ? GAPS : CONTIGUOUS);
  o.bias = (wt_tensor){.data = line.data, .dtype = dtype, .ndim = 1, .numel = kernel[0]};
  o.bias.size[0] = kernel[0];
  o.bias.stride[0] = line.stride[4];
  return o;
}

static void release_operands(operands o) {
  release(o.input);
  release(o.weight);
  release(o.out);
  release(o.bias);
}

static void spoil(const wt_tensor *tensor) {
  bool floating = precision_of((int)tensor->dtype) > 0;
  for (wt_word p = 0; p < tensor->numel; p++) check_set(tensor, p, floating ? NAN : 77);
}

static void check_forward(check_random *random, const geometry *g, int dtype) {
  operands o = make_operands(random, g, dtype);
  bool bias = check_integer(random, 0, 1);
  wt_conv_args args = {.size_bytes = sizeof args,
                       .out = o.out,
                       .input = o.input,
                       .weight = o.weight,
                       .bias = bias ? o.bias : check_absent(),
                       GEOMETRY(g)};
  spoil(&o.out);
  CHECK(wt_conv(&args) == WT_OK);
  sums s = {&o.input, &o.weight, &o.out, make_totals(o.out.numel)};
  for_each_product(g, &o.input, &o.weight, &o.out, visit_out, &s);
  if (bias)
    for (wt_word p = 0; p < o.out.numel; p++)
      add_to(s.to, p, check_get(&o.bias, p / (g->out[0] * g->out[1] * g->out[2]) % o.bias.numel));
  compare(&o.out, s.to, "conv", __LINE__);
  release_operands(o);
}

static void check_backward_input(check_random *random, const geometry *g, int dtype) {
  operands o = make_operands(random, g, dtype);
  wt_conv_backward_input_args args = {.size_bytes = sizeof args,
                                      .grad_input = o.input,
                                      .grad_out = o.out,
                                      .weight = o.weight,
                                      GEOMETRY(g)};
  spoil(&o.input);
  CHECK(wt_conv_backward_input(&args) == WT_OK);
  sums s = {&o.input, &o.weight, &o.out, make_totals(o.input.numel)};
  for_each_product(g, &o.input, &o.weight, &o.out, visit_input, &s);
  compare(&o.input, s.to, "conv_backward_input", __LINE__);
  release_operands(o);
}

static void check_backward_weight(check_random *random, const geometry *g, int dtype) {
  operands o = make_operands(random, g, dtype);
  int wanted = (int)check_integer(random, 1, 3);
  wt_conv_backward_weight_args args = {.size_bytes = sizeof args,
                                       .grad_weight = wanted & 1 ? o.weight : check_absent(),
                                       .grad_bias = wanted & 2 ? o.bias : check_absent(),
                                       .grad_out = o.out,
                                       .input = o.input,
                                       GEOMETRY(g)};
  spoil(&o.weight);
  spoil(&o.bias);
  CHECK(wt_conv_backward_weight(&args) == WT_OK);
  if (wanted & 1) {
    sums s = {&o.input, &o.weight, &o.out, make_totals(o.weight.numel)};
    for_each_product(g, &o.input, &o.weight, &o.out, visit_weight, &s);
    compare(&o.weight, s.to, "conv_backward_weight", __LINE__);
  }
  if (wanted & 2) {
    totals sum = make_totals(o.bias.numel);
    wt_word points = g->out[0] * g->out[1] * g->out[2];
    for (wt_word p = 0; p < o.out.numel; p++)
      add_to(sum, p / points % o.bias.numel, check_get(&o.out, p));
    compare(&o.bias, sum, "grad_bias", __LINE__);
  }
  release_operands(o);
}

static const int all_dtypes[] = {WT_UINT8,   WT_INT8,    WT_INT16,   WT_INT32,   WT_INT64,
                                 WT_FLOAT16, WT_FLOAT32, WT_FLOAT64, WT_BFLOAT16};

TEST(conv_random_geometries) {
  check_random random = {11};
  for (int round = 0; round < 300; round++) {
    int spatial = 1 + round % 3;
    geometry g = random_geometry(&random, spatial, spatial == 3 ? 6 : 14);
    int dtype = round % 4 == 0 ? all_dtypes[check_integer(&random, 0, 8)] : WT_FLOAT32;
    check_forward(&random, &g, dtype);
    check_backward_input(&random, &g, dtype);
    check_backward_weight(&random, &g, dtype);
  }
}

static geometry plain(wt_word batch, wt_word channels, wt_word filters, wt_word size,
                      wt_word kernel, wt_word stride, wt_word pad) {
  geometry g = {.batch = batch,
                .groups = 1,
                .channels = channels,
                .filters = filters,
                .in = {1, size, size},
                .kernel = {1, kernel, kernel},
                .stride = {1, stride, stride},
                .pad = {0, pad, pad},
                .dilation = {1, 1, 1}};
  for (int d = 0; d < 3; d++) g.out[d] = output_size(&g, d);
  return g;
}

/* The shapes that networks are made of: many channels, boxes cut, deep sums. */
TEST(conv_of_networks) {
  check_random random = {12};
  geometry shapes[] = {plain(3, 1, 32, 28, 3, 1, 1),  plain(2, 32, 64, 14, 3, 1, 1),
                       plain(1, 3, 16, 33, 7, 2, 3),  plain(1, 70, 20, 7, 3, 1, 1),
                       plain(2, 64, 32, 9, 1, 1, 0),  plain(1, 16, 8, 20, 1, 2, 0),
                       plain(1, 2, 3, 150, 3, 1, 1),  plain(1, 1, 1, 65, 5, 1, 2),
                       plain(1, 130, 9, 12, 3, 2, 1), plain(11, 5, 9, 5, 5, 1, 0)};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    check_forward(&random, &shapes[i], WT_FLOAT32);
    check_backward_input(&random, &shapes[i], WT_FLOAT32);
    check_backward_weight(&random, &shapes[i], WT_FLOAT32);
  }
}

TEST(conv_depthwise) {
  check_random random = {13};
  for (int round = 0; round < 12; round++) {
    geometry g = plain(2, 1, 1 + round % 4, 5 + 4 * round, 3, 1 + round % 2, 1);
    g.groups = 6;
    check_forward(&random, &g, round % 5 == 0 ? WT_FLOAT64 : WT_FLOAT32);
    check_backward_input(&random, &g, WT_FLOAT32);
    check_backward_weight(&random, &g, WT_FLOAT32);
  }
}

/* Dilations about as large as the input, and larger: whole taps meet padding alone. */
TEST(conv_wide_dilation) {
  check_random random = {15};
  for (int round = 0; round < 30; round++) {
    wt_word dilation = 1 + round, kernel = 2 + round % 4;
    geometry g = plain(2, 3, 4, 9, kernel, 1 + round % 2, dilation * (kernel - 1) / 2 + round % 3);
    g.dilation[1] = g.dilation[2] = dilation;
    for (int d = 0; d < 3; d++) g.out[d] = output_size(&g, d);
    if (g.out[1] < 1) continue;
    check_forward(&random, &g, round % 5 == 0 ? WT_FLOAT64 : WT_FLOAT32);
    check_backward_input(&random, &g, WT_FLOAT32);
    check_backward_weight(&random, &g, WT_FLOAT32);
  }
}

TEST(conv_long_signal) {
  check_random random = {14};
  geometry g = {.batch = 1,
                .groups = 1,
                .channels = 8,
                .filters = 5,
                .in = {1, 1, 40000},
                .kernel = {1, 1, 9},
                .stride = {1, 1, 2},
                .pad = {0, 0, 4},
                .dilation = {1, 1, 1}};
  for (int d = 0; d < 3; d++) g.out[d] = output_size(&g, d);
  check_forward(&random, &g, WT_FLOAT32);
  check_backward_input(&random, &g, WT_FLOAT32);
}

/* A transposed convolution's output padding makes grad_input larger than the stride reaches. */
TEST(conv_backward_input_with_output_padding) {
  check_random random = {15};
  for (wt_word extra = 0; extra < 3; extra++) {
    geometry g = plain(2, 3, 4, 7, 3, 3, 1);
    g.in[1] = g.in[2] = (g.out[1] - 1) * 3 - 2 + 3 + extra;
    check_backward_input(&random, &g, WT_FLOAT32);
  }
}

TEST(conv_empty) {
  geometry g = plain(1, 2, 3, 4, 3, 1, 1);
  wt_tensor none = CHECK_TENSOR(&g, WT_FLOAT32, 0, 2, 1, 4, 4);
  wt_tensor out = CHECK_TENSOR(&g, WT_FLOAT32, 0, 3, 1, 4, 4);
  float weight_data[54], bias_data[3];
  wt_tensor weight = CHECK_TENSOR(weight_data, WT_FLOAT32, 3, 2, 1, 3, 3);
  wt_tensor bias = CHECK_TENSOR(bias_data, WT_FLOAT32, 3);
  spoil(&weight);
  spoil(&bias);
  wt_conv_backward_weight_args args = {.size_bytes = sizeof args,
                                       .grad_weight = weight,
                                       .grad_bias = bias,
                                       .grad_out = out,
                                       .input = none,
                                       GEOMETRY(&g)};
  CHECK(wt_conv_backward_weight(&args) == WT_OK);
  for (int i = 0; i < 54; i++) CHECK(weight_data[i] == 0);
  for (int i = 0; i < 3; i++) CHECK(bias_data[i] == 0);
  wt_conv_args forward = {.size_bytes = sizeof forward,
                          .out = out,
                          .input = none,
                          .weight = weight,
                          .bias = bias,
                          GEOMETRY(&g)};
  CHECK(wt_conv(&forward) == WT_OK);
}

TEST(conv_refuses) {
  geometry g = plain(1, 2, 4, 4, 1, 1, 0);
  float data[64] = {0};
  wt_conv_args args = {.size_bytes = sizeof args,
                       .out = CHECK_TENSOR(data, WT_FLOAT32, 1, 4, 1, 4, 4),
                       .input = CHECK_TENSOR(data, WT_FLOAT32, 1, 3, 1, 4, 4),
                       .weight = CHECK_TENSOR(data, WT_FLOAT32, 4, 2, 1, 1, 1),
                       .bias = check_absent(),
                       GEOMETRY(&g)};
  CHECK(wt_conv(&args) == WT_BAD_ARGUMENT);
  args.input = CHECK_TENSOR(data, WT_FLOAT32, 1, 2, 1, 4, 4);
  args.stride1 = 0;
  CHECK(wt_conv(&args) == WT_BAD_ARGUMENT);
  args.stride1 = 1;
  args.out.dtype = args.input.dtype = args.weight.dtype = WT_BOOL;
  CHECK(wt_conv(&args) == WT_UNSUPPORTED_DTYPE);
}

/* Two taps, far apart in padding: all that they span would be laid out. */
TEST(conv_refuses_a_span_beyond_memory) {
  geometry g = plain(1, 1, 1, 1, 1, 1, 0);
  float data[64] = {0};
  wt_conv_args args = {.size_bytes = sizeof args,
                       .out = CHECK_TENSOR(data, WT_FLOAT32, 1, 1, 1, 1, 1),
                       .input = CHECK_TENSOR(data, WT_FLOAT32, 1, 1, 1, 1, 1),
                       .weight = CHECK_TENSOR(data, WT_FLOAT32, 1, 1, 1, 3, 3),
                       .bias = check_absent(),
                       GEOMETRY(&g)};
  args.dilation1 = args.dilation2 = args.pad1 = args.pad2 = (wt_word)1 << (sizeof(wt_word) * 4);
  CHECK(wt_conv(&args) == WT_OUT_OF_MEMORY);
}

/* The references, through the same entry: what the engine without SIMD runs. */
static void fill_problem(wt_correlation *problem, const geometry *g, const operands *o) {
  *problem = (wt_correlation){.dtype = o->out.dtype,
                              .batch = g->batch,
                              .groups = g->groups,
                              .channels = g->channels,
                              .filters = g->filters};
  problem->input = (const void *)o->input.data;
  problem->input_batch = o->input.stride[0];
  problem->input_channel = o->input.stride[1];
  problem->out = (void *)o->out.data;
  problem->out_batch = o->out.stride[0];
  problem->out_channel = o->out.stride[1];
  problem->weight = (const void *)o->weight.data;
  problem->weight_group = g->filters * o->weight.stride[0];
  problem->weight_filter = o->weight.stride[0];
  problem->weight_channel = o->weight.stride[1];
  for (int d = 0; d < 3; d++) {
    problem->input_stride[d] = o->input.stride[2 + d];
    problem->out_stride[d] = o->out.stride[2 + d];
    problem->weight_stride[d] = o->weight.stride[2 + d];
    problem->axis[d] = (wt_conv_axis){.grid = g->out[d],
                                      .step = g->stride[d],
                                      .taps = g->kernel[d],
                                      .tap_step = 1,
                                      .offset_first = -g->pad[d],
                                      .offset_step = g->dilation[d],
                                      .in_size = g->in[d],
                                      .out_step = 1};
  }
}

TEST(conv_references_agree) {
  check_random random = {16};
  const int dtypes[] = {WT_FLOAT32, WT_FLOAT64, WT_INT32, WT_INT64};
  for (int round = 0; round < 40; round++) {
    geometry g = random_geometry(&random, 2, 8);
    int dtype = dtypes[round % 4];
    operands o = make_operands(&random, &g, dtype);
    wt_correlation problem;
    fill_problem(&problem, &g, &o);
    spoil(&o.out);
    CHECK(wt_correlate_reference(&problem) == WT_OK);
    sums s = {&o.input, &o.weight, &o.out, make_totals(o.out.numel)};
    for_each_product(&g, &o.input, &o.weight, &o.out, visit_out, &s);
    compare(&o.out, s.to, "wt_correlate_reference", __LINE__);
    check_fill(&o.out, &random, 0, 3);
    spoil(&o.weight);
    wt_weight_gradient gradient = {.forward = problem, .grad_weight = (void *)o.weight.data};
    CHECK(wt_weight_gradient_reference(&gradient) == WT_OK);
    s.to = make_totals(o.weight.numel);
    for_each_product(&g, &o.input, &o.weight, &o.out, visit_weight, &s);
    compare(&o.weight, s.to, "wt_weight_gradient_reference", __LINE__);
    release_operands(o);
  }
}

/* Parts are added in their order: results are the same bits on any number of threads. */
TEST(conv_gradients_do_not_depend_on_threads) {
  check_random random = {17};
  geometry g = plain(9, 6, 10, 13, 3, 1, 1);
  operands o = make_operands(&random, &g, WT_FLOAT32);
  wt_conv_backward_weight_args args = {.size_bytes = sizeof args,
                                       .grad_weight = o.weight,
                                       .grad_bias = o.bias,
                                       .grad_out = o.out,
                                       .input = o.input,
                                       GEOMETRY(&g)};
  wt_word before = wt_get_num_threads();
  double first[540], first_bias[10];
  for (wt_word threads = 1; threads <= 3; threads++) {
    wt_set_num_threads(threads);
    spoil(&o.weight);
    spoil(&o.bias);
    CHECK(wt_conv_backward_weight(&args) == WT_OK);
    wt_word wrong = 0;
    for (wt_word p = 0; p < o.weight.numel; p++) {
      if (threads == 1) first[p] = check_get(&o.weight, p);
      wrong += first[p] != check_get(&o.weight, p);
    }
    for (wt_word p = 0; p < o.bias.numel; p++) {
      if (threads == 1) first_bias[p] = check_get(&o.bias, p);
      wrong += first_bias[p] != check_get(&o.bias, p);
    }
    CHECK(wrong == 0);
  }
  wt_set_num_threads(before);
  release_operands(o);
}
