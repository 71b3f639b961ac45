/* Convolution by its definition, element by element: the scalar reference of the templates. */
#include "conv/conv.h"
#include "gemm/convert.h"

/* One element in its computing type. */
typedef union element {
  float f32;
  double f64;
  uint32_t u32;
  uint64_t u64;
} element;

static element load(const void *data, wt_word dtype, wt_word offset) {
  element value = {.u64 = 0};
  wt_widen(&value, (const char *)data + offset * (wt_word)wt_dtype_size(dtype), dtype, 1, 1);
  return value;
}

static void store(void *data, wt_word dtype, wt_word offset, element value) {
  wt_narrow((char *)data + offset * (wt_word)wt_dtype_size(dtype), dtype, 1, &value, 1);
}

static element add(element a, element b, wt_word compute) {
  switch (compute) {
    case WT_FLOAT32:
      return (element){.f32 = a.f32 + b.f32};
    case WT_FLOAT64:
      return (element){.f64 = a.f64 + b.f64};
    case WT_INT32:
      return (element){.u32 = a.u32 + b.u32};
    default:
      return (element){.u64 = a.u64 + b.u64};
  }
}

static element multiply(element a, element b, wt_word compute) {
  switch (compute) {
    case WT_FLOAT32:
      return (element){.f32 = a.f32 * b.f32};
    case WT_FLOAT64:
      return (element){.f64 = a.f64 * b.f64};
    case WT_INT32:
      return (element){.u32 = a.u32 * b.u32};
    default:
      return (element){.u64 = a.u64 * b.u64};
  }
}

/* Splits a running number into a point of the three axes. */
static void point_of(wt_word index, const wt_word size[3], wt_word point[3]) {
  for (int d = 2; d >= 0; d--) {
    point[d] = index % size[d];
    index /= size[d];
  }
}

/* Offset of the input that a grid point sees through a tap; false where that is padding. */
static bool input_at(const wt_correlation *problem, const wt_word point[3], const wt_word tap[3],
                     wt_word *offset) {
  *offset = 0;
  for (int d = 0; d < 3; d++) {
    const wt_conv_axis *axis = &problem->axis[d];
    wt_word at = point[d] * axis->step + axis->offset_first + tap[d] * axis->offset_step;
    if (at < 0 || at >= axis->in_size) return false;
    *offset += at * problem->input_stride[d];
  }
  return true;
}

static wt_word weight_at(const wt_correlation *problem, wt_word g, wt_word f, wt_word c,
                         const wt_word tap[3]) {
  wt_word offset =
      g * problem->weight_group + f * problem->weight_filter + c * problem->weight_channel;
  for (int d = 0; d < 3; d++)
    offset += (problem->axis[d].tap_first + tap[d] * problem->axis[d].tap_step) *
              problem->weight_stride[d];
  return offset;
}

static wt_word out_at(const wt_correlation *problem, wt_word n, wt_word filter,
                      const wt_word point[3]) {
  wt_word offset = n * problem->out_batch + filter * problem->out_channel;
  for (int d = 0; d < 3; d++)
    offset += (problem->axis[d].out_first + point[d] * problem->axis[d].out_step) *
              problem->out_stride[d];
  return offset;
}

static void sizes_of(const wt_correlation *problem, wt_word grid[3], wt_word taps[3]) {
  for (int d = 0; d < 3; d++) {
    grid[d] = problem->axis[d].grid;
    taps[d] = problem->axis[d].taps;
  }
}

static element correlate_point(const wt_correlation *problem, wt_word n, wt_word g, wt_word f,
                               const wt_word point[3]) {
  wt_word compute = wt_compute_dtype(problem->dtype), grid[3], taps[3];
  sizes_of(problem, grid, taps);
  element sum = {.u64 = 0};
  if (problem->bias) sum = load(problem->bias, compute, g * problem->filters + f);
  for (wt_word c = 0; c < problem->channels; c++)
    for (wt_word t = 0; t < wt_conv_points(taps); t++) {
      wt_word tap[3], offset;
      point_of(t, taps, tap);
      if (!input_at(problem, point, tap, &offset)) continue;
      offset += n * problem->input_batch + (g * problem->channels + c) * problem->input_channel;
      element weight = load(problem->weight, compute, weight_at(problem, g, f, c, tap));
      element input = load(problem->input, problem->dtype, offset);
      sum = add(sum, multiply(weight, input, compute), compute);
    }
  return sum;
}

int wt_correlate_reference(const wt_correlation *problem) {
  wt_word grid[3], taps[3];
  sizes_of(problem, grid, taps);
  for (wt_word n = 0; n < problem->batch; n++)
    for (wt_word g = 0; g < problem->groups; g++)
      for (wt_word f = 0; f < problem->filters; f++)
        for (wt_word p = 0; p < wt_conv_points(grid); p++) {
          wt_word point[3];
          point_of(p, grid, point);
          store(problem->out, problem->dtype, out_at(problem, n, g * problem->filters + f, point),
                correlate_point(problem, n, g, f, point));
        }
  return WT_OK;
}

/* The gradient of one weight; c < 0 asks for that of the bias. */
static element gradient_of(const wt_correlation *problem, wt_word g, wt_word f, wt_word c,
                           const wt_word tap[3]) {
  wt_word compute = wt_compute_dtype(problem->dtype), grid[3], taps[3];
  sizes_of(problem, grid, taps);
  element sum = {.u64 = 0};
  for (wt_word n = 0; n < problem->batch; n++) {
    element of_entry = {.u64 = 0}; /* entry by entry, so that errors stay small */
    for (wt_word p = 0; p < wt_conv_points(grid); p++) {
      wt_word point[3], offset;
      point_of(p, grid, point);
      element value =
          load(problem->out, problem->dtype, out_at(problem, n, g * problem->filters + f, point));
      if (c >= 0) {
        if (!input_at(problem, point, tap, &offset)) continue;
        offset += n * problem->input_batch + (g * problem->channels + c) * problem->input_channel;
        value = multiply(value, load(problem->input, problem->dtype, offset), compute);
      }
      of_entry = add(of_entry, value, compute);
    }
    sum = add(sum, of_entry, compute);
  }
  return sum;
}

int wt_weight_gradient_reference(const wt_weight_gradient *gradient) {
  const wt_correlation *problem = &gradient->forward;
  wt_word grid[3], taps[3], tap[3] = {0, 0, 0};
  sizes_of(problem, grid, taps);
  for (wt_word g = 0; g < problem->groups; g++)
    for (wt_word f = 0; f < problem->filters; f++) {
      if (gradient->grad_bias)
        store(gradient->grad_bias, problem->dtype,
              (g * problem->filters + f) * gradient->grad_bias_stride,
              gradient_of(problem, g, f, -1, tap));
      if (!gradient->grad_weight) continue;
      for (wt_word c = 0; c < problem->channels; c++)
        for (wt_word t = 0; t < wt_conv_points(taps); t++) {
          point_of(t, taps, tap);
          store(gradient->grad_weight, problem->dtype, weight_at(problem, g, f, c, tap),
                gradient_of(problem, g, f, c, tap));
        }
    }
  return WT_OK;
}
