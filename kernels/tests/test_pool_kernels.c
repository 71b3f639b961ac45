/* Pooling against direct scalar references, over geometries, dtypes and layouts. */
#include "check.h"
#include "layouts.h"

enum { ROUNDS = 500 };

typedef struct geometry {
  wt_word kernel[3], stride[3], pad[3], dilation[3];
  bool adaptive;
} geometry;

/* One window along one dimension: the positions it covers, in order. */
typedef struct window {
  int64_t position[64];
  int count;
  int64_t extent; /* with padding, as an average counts it */
} window;

static window window_of(const geometry *g, int d, int64_t o, int64_t inputs, int64_t outputs) {
  window w = {.count = 0};
  if (g->adaptive) {
    int64_t start = o * inputs / outputs, end = ((o + 1) * inputs + outputs - 1) / outputs;
    for (int64_t i = start; i < end; i++) w.position[w.count++] = i;
    w.extent = w.count;
    return w;
  }
  int64_t first = o * g->stride[d] - g->pad[d];
  for (int64_t k = 0; k < g->kernel[d]; k++) {
    int64_t i = first + k * g->dilation[d];
    if (i >= 0 && i < inputs) w.position[w.count++] = i;
    if (i < inputs + g->pad[d]) w.extent++;
  }
  return w;
}

static geometry any_geometry(check_random *random, bool dilated) {
  geometry g = {.adaptive = false};
  bool pairs = check_integer(random, 0, 3) == 0; /* the geometry of the vectorised path */
  for (int d = 0; d < 3; d++) {
    g.kernel[d] = pairs ? (d ? 2 : 1) : check_integer(random, 1, 3);
    g.stride[d] = pairs ? (d ? 2 : 1) : check_integer(random, 1, 3);
    g.pad[d] = pairs ? 0 : check_integer(random, 0, g.kernel[d] / 2);
    g.dilation[d] = pairs || !dilated ? 1 : check_integer(random, 1, 2);
  }
  return g;
}

/* Sizes of an input (N, C, D, H, W) and of the output that the geometry gives (ceil_mode at
 * random). */
static void any_sizes(check_random *random, const geometry *g, wt_word *in, wt_word *out) {
  in[0] = out[0] = check_integer(random, 1, 2);
  in[1] = out[1] = check_integer(random, 1, 19);
  bool ceil_mode = check_next(random) & 1;
  for (int d = 0; d < 3; d++) {
    in[2 + d] = d == 0 && check_integer(random, 0, 2) ? 1 : check_integer(random, 1, 13);
    if (g->adaptive) {
      out[2 + d] = check_integer(random, 1, 8);
      continue;
    }
    wt_word reach = (g->kernel[d] - 1) * g->dilation[d] + 1;
    while (in[2 + d] + 2 * g->pad[d] < reach) in[2 + d]++;
    wt_word rest = in[2 + d] + 2 * g->pad[d] - reach;
    out[2 + d] = (rest + (ceil_mode ? g->stride[d] - 1 : 0)) / g->stride[d] + 1;
    if ((out[2 + d] - 1) * g->stride[d] >= in[2 + d] + g->pad[d]) out[2 + d]--;
  }
}

/* Row-major, channels last, or any other layout. */
static wt_tensor any_tensor(check_random *random, int dtype, const wt_word *size) {
  if (check_integer(random, 0, 2)) {
    return layout_tensor(random, dtype, 5, size, layout_any(random));
  }
  wt_tensor tensor = layout_tensor(random, dtype, 5, size, LAYOUT_CONTIGUOUS);
  wt_word stride = 1;
  static const int order[5] = {1, 4, 3, 2, 0};
  for (int i = 0; i < 5; i++) {
    tensor.stride[order[i]] = stride;
    stride *= size[order[i]];
  }
  return tensor;
}

static int64_t position_of(const wt_tensor *t, int64_t plane, int64_t d, int64_t h, int64_t w) {
  return ((plane * t->size[2] + d) * t->size[3] + h) * t->size[4] + w;
}

/* The windows of output position p; returns its plane n * C + c. */
static int64_t windows_at(const geometry *g, const wt_tensor *in, const wt_tensor *out, int64_t p,
                          window *windows) {
  for (int d = 2; d >= 0; d--) {
    int64_t o = p % out->size[2 + d];
    windows[d] = window_of(g, d, o, in->size[2 + d], out->size[2 + d]);
    p /= out->size[2 + d];
  }
  return p;
}

#define GEOMETRY_ARGS(g)                                                                    \
  .kernel0 = (g).kernel[0], .kernel1 = (g).kernel[1], .kernel2 = (g).kernel[2],             \
  .stride0 = (g).stride[0], .stride1 = (g).stride[1], .stride2 = (g).stride[2],             \
  .pad0 = (g).pad[0], .pad1 = (g).pad[1], .pad2 = (g).pad[2], .dilation0 = (g).dilation[0], \
  .dilation1 = (g).dilation[1], .dilation2 = (g).dilation[2]

/* ---- maxima --------------------------------------------------------------------------------- */
static void check_maximum(const geometry *g, const wt_tensor *in, const wt_tensor *out,
                          const wt_tensor *indices) {
  for (int64_t p = 0; p < out->numel; p++) {
    window w[3];
    int64_t plane = windows_at(g, in, out, p, w), best_index = -1;
    double best = -INFINITY;
    for (int a = 0; a < w[0].count; a++) {
      for (int b = 0; b < w[1].count; b++) {
        for (int c = 0; c < w[2].count; c++) {
          int64_t at = position_of(in, 0, w[0].position[a], w[1].position[b], w[2].position[c]);
          double value = check_get(in, plane * in->size[2] * in->size[3] * in->size[4] + at);
          if (best_index < 0 || value > best || isnan(value)) best = value, best_index = at;
        }
      }
    }
    if (best_index >= 0) CHECK_CLOSE(check_get(out, p), best, 0);
    if (indices) CHECK(check_get(indices, p) == (double)best_index);
  }
}

static void fill_with_special(check_random *random, const wt_tensor *tensor) {
  check_fill(tensor, random, -9, 9);
  if (tensor->dtype == WT_INT32 || tensor->dtype == WT_INT64 || check_next(random) & 1) return;
  for (int64_t p = 0; p < tensor->numel; p += check_integer(random, 1, 20)) {
    check_set(tensor, p, check_next(random) & 1 ? NAN : -INFINITY);
  }
}

TEST(max_pool_matches_reference) {
  check_random random = {1};
  static const int dtypes[] = {WT_FLOAT32, WT_FLOAT64, WT_FLOAT16, WT_BFLOAT16, WT_INT32, WT_INT64};
  for (int round = 0; round < ROUNDS; round++) {
    wt_word in_size[5], out_size[5];
    int dtype = round & 1 ? WT_FLOAT32 : dtypes[check_integer(&random, 0, 5)];
    geometry g = any_geometry(&random, true);
    g.adaptive = check_integer(&random, 0, 3) == 0;
    any_sizes(&random, &g, in_size, out_size);
    bool has_indices = check_next(&random) & 1;
    wt_tensor in = any_tensor(&random, dtype, in_size), out = any_tensor(&random, dtype, out_size);
    wt_tensor indices = any_tensor(&random, WT_INT64, out_size);
    fill_with_special(&random, &in);
    wt_tensor given = has_indices ? indices : check_absent();
    if (g.adaptive) {
      wt_adaptive_max_pool_args args = {sizeof args, out, given, in};
      CHECK(wt_adaptive_max_pool(&args) == WT_OK);
    } else {
      wt_max_pool_args args = {
          .size_bytes = sizeof args, .out = out, .indices = given, .input = in, GEOMETRY_ARGS(g)};
      CHECK(wt_max_pool(&args) == WT_OK);
    }
    check_maximum(&g, &in, &out, has_indices ? &indices : NULL);
    layout_free(&in), layout_free(&out), layout_free(&indices);
  }
}

TEST(max_pool_backward_matches_reference) {
  check_random random = {2};
  static const int dtypes[] = {WT_FLOAT32, WT_FLOAT64, WT_BFLOAT16};
  for (int round = 0; round < ROUNDS; round++) {
    wt_word in_size[5], out_size[5];
    int dtype = dtypes[round % 3];
    geometry g = any_geometry(&random, false);
    any_sizes(&random, &g, in_size, out_size);
    wt_tensor grad_in = any_tensor(&random, dtype, in_size);
    wt_tensor grad_out = any_tensor(&random, dtype, out_size);
    wt_tensor indices = any_tensor(&random, WT_INT64, out_size);
    int64_t plane = in_size[2] * in_size[3] * in_size[4];
    int64_t out_plane = out_size[2] * out_size[3] * out_size[4];
    check_fill(&grad_in, &random, -9, 9); /* the kernel clears it */
    check_fill(&grad_out, &random, -2, 2);
    double *expected = calloc((size_t)grad_in.numel, sizeof *expected);
    for (int64_t p = 0; p < indices.numel; p++) {
      int64_t index = check_integer(&random, -1, plane - 1);
      check_set(&indices, p, (double)index);
      if (index >= 0) expected[p / out_plane * plane + index] += check_get(&grad_out, p);
    }
    wt_max_pool_backward_args args = {sizeof args, grad_in, grad_out, indices};
    CHECK(wt_max_pool_backward(&args) == WT_OK);
    double tolerance = dtype == WT_BFLOAT16 ? 0.1 : 1e-5;
    for (int64_t p = 0; p < grad_in.numel; p++) {
      CHECK_CLOSE(check_get(&grad_in, p), expected[p], tolerance);
    }
    check_set(&indices, 0, (double)plane);
    CHECK(wt_max_pool_backward(&args) == WT_INDEX_OUT_OF_RANGE);
    free(expected);
    layout_free(&grad_in), layout_free(&grad_out), layout_free(&indices);
  }
}

/* ---- averages ------------------------------------------------------------------------------- */
static double divisor_of(const window *w, bool include_pad, int64_t override) {
  if (override) return (double) override;
  if (include_pad) return (double)(w[0].extent * w[1].extent * w[2].extent);
  return (double)w[0].count * w[1].count * w[2].count;
}

TEST(avg_pool_and_backward_match_reference) {
  check_random random = {3};
  static const int dtypes[] = {WT_FLOAT32, WT_FLOAT32, WT_FLOAT64, WT_FLOAT16, WT_BFLOAT16};
  for (int round = 0; round < ROUNDS; round++) {
    wt_word in_size[5], out_size[5];
    int dtype = dtypes[round % 5];
    geometry g = any_geometry(&random, false);
    g.adaptive = check_integer(&random, 0, 3) == 0;
    any_sizes(&random, &g, in_size, out_size);
    bool include_pad = !g.adaptive && check_next(&random) & 1;
    int64_t override = g.adaptive || check_integer(&random, 0, 2) ? 0 : 5;
    wt_tensor in = any_tensor(&random, dtype, in_size), out = any_tensor(&random, dtype, out_size);
    wt_tensor grad_in = any_tensor(&random, dtype, in_size);
    check_fill(&in, &random, -2, 2);
    check_fill(&grad_in, &random, -9, 9); /* the kernel clears it */
    int status, status_backward;
    if (g.adaptive) {
      wt_adaptive_avg_pool_args args = {sizeof args, out, in};
      wt_adaptive_avg_pool_backward_args backward = {sizeof backward, grad_in, out};
      status = wt_adaptive_avg_pool(&args);
      status_backward = wt_adaptive_avg_pool_backward(&backward);
    } else {
      wt_avg_pool_args args = {.size_bytes = sizeof args,
                               .out = out,
                               .input = in,
                               GEOMETRY_ARGS(g),
                               .count_include_pad = include_pad,
                               .divisor_override = override};
      wt_avg_pool_backward_args backward = {.size_bytes = sizeof backward,
                                            .grad_input = grad_in,
                                            .grad_out = out,
                                            GEOMETRY_ARGS(g),
                                            .count_include_pad = include_pad,
                                            .divisor_override = override};
      status = wt_avg_pool(&args);
      status_backward = wt_avg_pool_backward(&backward);
    }
    CHECK(status == WT_OK && status_backward == WT_OK);
    double *gradient = calloc((size_t)in.numel, sizeof *gradient);
    double tolerance = layout_tolerance(dtype);
    for (int64_t p = 0; p < out.numel; p++) {
      window w[3];
      int64_t plane = windows_at(&g, &in, &out, p, w);
      double divisor = divisor_of(w, include_pad, override), sum = 0;
      for (int i = 0; i < w[0].count * w[1].count * w[2].count; i++) {
        int c = i % w[2].count, b = i / w[2].count % w[1].count, a = i / w[2].count / w[1].count;
        int64_t at = position_of(&in, plane, w[0].position[a], w[1].position[b], w[2].position[c]);
        sum += check_get(&in, at);
        gradient[at] += check_get(&out, p) / divisor;
      }
      CHECK_CLOSE(check_get(&out, p), sum == 0 ? 0 : sum / divisor, tolerance);
    }
    for (int64_t p = 0; p < in.numel; p++) {
      CHECK_CLOSE(check_get(&grad_in, p), gradient[p], 8 * tolerance);
    }
    free(gradient);
    layout_free(&in), layout_free(&out), layout_free(&grad_in);
  }
}

TEST(pool_refuses_wrong_arguments) {
  float data[16] = {0};
  wt_max_pool_args args = {.size_bytes = sizeof args,
                           .out = CHECK_TENSOR(data, WT_FLOAT32, 1, 1, 1, 2, 2),
                           .indices = check_absent(),
                           .input = CHECK_TENSOR(data, WT_FLOAT32, 1, 1, 1, 4, 4)};
  CHECK(wt_max_pool(&args) == WT_BAD_ARGUMENT); /* a kernel of size 0 */
  args.out.dtype = WT_FLOAT64;
  CHECK(wt_max_pool(&args) == WT_BAD_ARGUMENT);
  wt_avg_pool_args average = {.size_bytes = sizeof average, .out = args.out, .input = args.input};
  average.out.dtype = average.input.dtype = WT_BOOL;
  CHECK(wt_avg_pool(&average) == WT_UNSUPPORTED_DTYPE);
}
