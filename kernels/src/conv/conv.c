/* The convolution kernels: checks, geometry, and the choice of a solver by element type. */
#include "conv/conv.h"

#include "gemm/convert.h"

/* ---- geometry ------------------------------------------------------------------------------ */
typedef struct geometry {
  wt_word groups, stride[3], pad[3], dilation[3];
} geometry;

#define GEOMETRY_OF(args)                                                \
  {                                                                      \
    (args)->groups, {(args)->stride0, (args)->stride1, (args)->stride2}, \
        {(args)->pad0, (args)->pad1, (args)->pad2}, {                    \
      (args)->dilation0, (args)->dilation1, (args)->dilation2            \
    }                                                                    \
  }

/* The axes of the forward pass: every output, every tap. */
static void forward_axes(const geometry *g, const wt_tensor *out, const wt_tensor *input,
                         const wt_tensor *weight, wt_conv_axis axis[3]) {
  for (int d = 0; d < 3; d++)
    axis[d] = (wt_conv_axis){.grid = out->size[2 + d],
                             .step = g->stride[d],
                             .taps = weight->size[2 + d],
                             .tap_step = 1,
                             .offset_first = -g->pad[d],
                             .offset_step = g->dilation[d],
                             .in_size = input->size[2 + d],
                             .out_step = 1};
}

static wt_word greatest_divisor(wt_word a, wt_word b) {
  while (b != 0) {
    wt_word rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* The axis of phase `phase` of the gradient of the input: positions phase, phase + s, ... Tap k of
 * position phase + s * i reads grad_out at (phase + pad - k * dilation) / s + i, if that is whole,
 * so every s / gcd(s, dilation)-th tap takes part. */
static wt_conv_axis phase_axis(wt_word stride, wt_word pad, wt_word dilation, wt_word kernel,
                               wt_word in_size, wt_word out_size, wt_word phase) {
  wt_word period = stride / greatest_divisor(stride, dilation);
  wt_conv_axis axis = {.grid = phase < in_size ? (in_size - phase + stride - 1) / stride : 0,
                       .step = 1,
                       .tap_step = period,
                       .offset_step = -(dilation * period / stride),
                       .in_size = out_size,
                       .out_first = phase,
                       .out_step = stride};
  for (wt_word k = 0; k < period && k < kernel; k++) {
    wt_word distance = phase + pad - k * dilation;
    if (distance % stride != 0) continue;
    axis.tap_first = k;
    axis.taps = (kernel - k + period - 1) / period;
    axis.offset_first = distance / stride;
    break;
  }
  return axis;
}

/* Fields are counted from 1 in the order of the kernel's list. */
static int check(const geometry *g, const wt_tensor *whole, const wt_tensor *reduced,
                 const wt_tensor *weight, wt_word dtype) {
  if (wt_compute_dtype(dtype) < 0) return wt_fail(WT_UNSUPPORTED_DTYPE, dtype, 0, 0);
  if (whole->ndim != 5 || whole->dtype != dtype) return wt_fail(WT_BAD_ARGUMENT, 1, 0, 0);
  if (reduced->ndim != 5 || reduced->dtype != dtype) return wt_fail(WT_BAD_ARGUMENT, 2, 0, 0);
  if (weight->ndim != 5 || weight->dtype != dtype) return wt_fail(WT_BAD_ARGUMENT, 3, 0, 0);
  if (g->groups < 1 || weight->size[0] % g->groups != 0 || whole->size[1] != weight->size[0] ||
      reduced->size[1] != weight->size[1] * g->groups || whole->size[0] != reduced->size[0])
    return wt_fail(WT_BAD_ARGUMENT, 3, g->groups, 0);
  for (int d = 0; d < 3; d++)
    if (g->stride[d] < 1 || g->dilation[d] < 1 || g->pad[d] < 0)
      return wt_fail(WT_BAD_ARGUMENT, 5 + d, g->stride[d], 0);
  return wt_conv_check_extent(weight, g->stride, g->dilation);
}

static void set_input(wt_correlation *problem, const wt_tensor *tensor) {
  problem->input = (const void *)tensor->data;
  problem->input_batch = tensor->stride[0];
  problem->input_channel = tensor->stride[1];
  for (int d = 0; d < 3; d++) problem->input_stride[d] = tensor->stride[2 + d];
}

static void set_out(wt_correlation *problem, const wt_tensor *tensor) {
  problem->out = (void *)tensor->data;
  problem->out_batch = tensor->stride[0];
  problem->out_channel = tensor->stride[1];
  for (int d = 0; d < 3; d++) problem->out_stride[d] = tensor->stride[2 + d];
}

/* ---- weight and bias in the computing type ------------------------------------------------- */
/* A dense copy of `tensor` in the computing type, 1 + ndim lines deep at most. */
static void widen_tensor(char *to, const wt_tensor *tensor) {
  wt_word compute_bytes = (wt_word)wt_dtype_size(wt_compute_dtype(tensor->dtype));
  wt_word bytes = (wt_word)wt_dtype_size(tensor->dtype), last = tensor->ndim - 1;
  wt_word length = tensor->size[last];
  for (wt_word p = 0; p < tensor->numel; p += length, to += length * compute_bytes) {
    wt_word offset = 0, rest = p / length;
    for (wt_word d = last - 1; d >= 0; d--) {
      offset += rest % tensor->size[d] * tensor->stride[d];
      rest /= tensor->size[d];
    }
    wt_widen(to, (const char *)tensor->data + offset * bytes, tensor->dtype, tensor->stride[last],
             length);
  }
}

/* The weight, and the bias (dense), in the computing type; *scratch is to be freed. */
static int prepare_parameters(wt_tensor *weight, const wt_tensor *bias, const void **bias_data,
                              void **scratch) {
  wt_word compute = wt_compute_dtype(weight->dtype);
  size_t bytes = wt_dtype_size(compute);
  bool convert = compute != weight->dtype, has_bias = bias && wt_is_present(bias);
  bool copy_bias = has_bias && (convert || bias->stride[0] != 1);
  uint64_t weight_bytes = convert ? (uint64_t)weight->numel * bytes : 0;
  *scratch = NULL;
  *bias_data = has_bias ? (const void *)bias->data : NULL;
  if (!convert && !copy_bias) return WT_OK;
  char *memory = wt_alloc_many(weight_bytes + (copy_bias ? (uint64_t)bias->numel * bytes : 0), 1);
  if (!memory) return WT_OUT_OF_MEMORY;
  *scratch = memory;
  if (convert) {
    widen_tensor(memory, weight);
    weight->data = (wt_word)memory;
    wt_word stride = 1;
    for (wt_word d = 4; d >= 0; d--) {
      weight->stride[d] = stride;
      stride *= weight->size[d];
    }
  }
  if (copy_bias) {
    widen_tensor(memory + weight_bytes, bias);
    *bias_data = memory + weight_bytes;
  }
  return WT_OK;
}

/* ---- solvers ------------------------------------------------------------------------------- */
#if !WT_USE_REFERENCE
/* Whether some grid point finds a tap of the axis within the input. */
static bool is_read(const wt_conv_axis *axis, wt_word tap) {
  wt_word first = axis->offset_first + tap * axis->offset_step;
  return first < axis->in_size && first + (axis->grid - 1) * axis->step >= 0;
}

/* Drops taps at either end of an axis that meet nothing but padding. Under a dilation as large as
 * the input that is all but one, and the plane would hold almost nothing but zeros. */
static void drop_unread_taps(wt_conv_axis *axis) {
  while (axis->taps > 1 && !is_read(axis, axis->taps - 1)) axis->taps--;
  while (axis->taps > 1 && !is_read(axis, 0)) {
    axis->tap_first += axis->tap_step;
    axis->offset_first += axis->offset_step;
    axis->taps--;
  }
}
#endif

static int correlate(const wt_correlation *whole) {
#if WT_USE_REFERENCE
  return wt_correlate_reference(whole);
#else
  wt_correlation problem = *whole;
  for (int d = 0; d < 3; d++) drop_unread_taps(&problem.axis[d]);
  switch (wt_compute_dtype(problem.dtype)) {
    case WT_FLOAT32:
      return wt_correlate_f32(&problem);
    case WT_FLOAT64:
      return wt_correlate_f64(&problem);
    case WT_INT32:
      return wt_correlate_u32(&problem);
    default:
      return wt_correlate_u64(&problem);
  }
#endif
}

static int weight_gradient(const wt_weight_gradient *problem) {
#if WT_USE_REFERENCE
  return wt_weight_gradient_reference(problem);
#else
  switch (wt_compute_dtype(problem->forward.dtype)) {
    case WT_FLOAT32:
      return wt_weight_gradient_f32(problem);
    case WT_FLOAT64:
      return wt_weight_gradient_f64(problem);
    case WT_INT32:
      return wt_weight_gradient_u32(problem);
    default:
      return wt_weight_gradient_u64(problem);
  }
#endif
}

WT_KERNEL(conv, 1) {
  const wt_conv_args *args = arguments;
  geometry g = GEOMETRY_OF(args);
  wt_tensor weight = args->weight;
  int status = check(&g, &args->out, &args->input, &weight, args->out.dtype);
  if (status != WT_OK) return status;
  if (wt_is_present(&args->bias) && (args->bias.ndim != 1 || args->bias.dtype != args->out.dtype ||
                                     args->bias.size[0] != weight.size[0]))
    return wt_fail(WT_BAD_ARGUMENT, 4, args->bias.ndim, 0);
  wt_correlation problem = {.dtype = args->out.dtype,
                            .batch = args->out.size[0],
                            .groups = g.groups,
                            .channels = weight.size[1],
                            .filters = weight.size[0] / g.groups};
  void *scratch;
  status = prepare_parameters(&weight, &args->bias, &problem.bias, &scratch);
  if (status != WT_OK) return status;
  forward_axes(&g, &args->out, &args->input, &weight, problem.axis);
  set_input(&problem, &args->input);
  set_out(&problem, &args->out);
  problem.weight = (const void *)weight.data;
  problem.weight_group = problem.filters * weight.stride[0];
  problem.weight_filter = weight.stride[0];
  problem.weight_channel = weight.stride[1];
  for (int d = 0; d < 3; d++) problem.weight_stride[d] = weight.stride[2 + d];
  status = correlate(&problem);
  wt_free(scratch);
  return status;
}

WT_KERNEL(conv_backward_input, 1) {
  const wt_conv_backward_input_args *args = arguments;
  const wt_tensor *grad_input = &args->grad_input, *grad_out = &args->grad_out;
  geometry g = GEOMETRY_OF(args);
  wt_tensor weight = args->weight;
  int status = check(&g, grad_out, grad_input, &weight, grad_input->dtype);
  if (status != WT_OK) return status;
  wt_correlation problem = {.dtype = grad_input->dtype,
                            .batch = grad_input->size[0],
                            .groups = g.groups,
                            .channels = weight.size[0] / g.groups,
                            .filters = weight.size[1]};
  void *scratch;
  status = prepare_parameters(&weight, NULL, &problem.bias, &scratch);
  if (status != WT_OK) return status;
  set_input(&problem, grad_out);
  set_out(&problem, grad_input);
  problem.weight = (const void *)weight.data;
  problem.weight_group = problem.channels * weight.stride[0];
  problem.weight_filter = weight.stride[1];
  problem.weight_channel = weight.stride[0];
  for (int d = 0; d < 3; d++) problem.weight_stride[d] = weight.stride[2 + d];
  wt_word phases = g.stride[0] * g.stride[1] * g.stride[2];
  for (wt_word phase = 0; phase < phases && status == WT_OK; phase++) {
    wt_word rest = phase;
    for (int d = 2; d >= 0; d--) {
      problem.axis[d] =
          phase_axis(g.stride[d], g.pad[d], g.dilation[d], weight.size[2 + d],
                     grad_input->size[2 + d], grad_out->size[2 + d], rest % g.stride[d]);
      rest /= g.stride[d];
    }
    status = correlate(&problem);
  }
  wt_free(scratch);
  return status;
}

WT_KERNEL(conv_backward_weight, 1) {
  const wt_conv_backward_weight_args *args = arguments;
  const wt_tensor *grad_out = &args->grad_out, *input = &args->input;
  const wt_tensor *grad_weight = &args->grad_weight, *grad_bias = &args->grad_bias;
  geometry g = GEOMETRY_OF(args);
  bool wants_weight = wt_is_present(grad_weight), wants_bias = wt_is_present(grad_bias);
  if (!wants_weight && !wants_bias) return WT_OK;
  /* Where only the bias is wanted, an empty kernel stands in for the weight. */
  wt_tensor weight = *grad_weight;
  if (!wants_weight) {
    weight = (wt_tensor){.dtype = grad_out->dtype, .ndim = 5};
    weight.size[0] = grad_out->size[1];
    weight.size[1] = g.groups > 0 ? input->size[1] / g.groups : 0;
  }
  int status = check(&g, grad_out, input, &weight, grad_out->dtype);
  if (status != WT_OK) return status;
  if (wants_bias && (grad_bias->ndim != 1 || grad_bias->dtype != grad_out->dtype ||
                     grad_bias->size[0] != weight.size[0]))
    return wt_fail(WT_BAD_ARGUMENT, 4, grad_bias->ndim, 0);
  wt_weight_gradient problem = {.forward = {.dtype = grad_out->dtype,
                                            .batch = grad_out->size[0],
                                            .groups = g.groups,
                                            .channels = weight.size[1],
                                            .filters = weight.size[0] / g.groups},
                                .grad_weight = wants_weight ? (void *)grad_weight->data : NULL,
                                .grad_bias = wants_bias ? (void *)grad_bias->data : NULL,
                                .grad_bias_stride = wants_bias ? grad_bias->stride[0] : 0};
  wt_correlation *forward = &problem.forward;
  forward_axes(&g, grad_out, input, &weight, forward->axis);
  set_input(forward, input);
  set_out(forward, grad_out);
  forward->weight_group = forward->filters * weight.stride[0];
  forward->weight_filter = weight.stride[0];
  forward->weight_channel = weight.stride[1];
  for (int d = 0; d < 3; d++) forward->weight_stride[d] = weight.stride[2 + d];
  return weight_gradient(&problem);
}
