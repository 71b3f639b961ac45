/* conv_packed: checks, geometry and the choice of a solver. */
#include "packed/packed.h"

#include <math.h>

static bool is_channels_last(const wt_tensor *tensor) {
  return tensor->size[1] == 1 || tensor->stride[1] == 1;
}

static int check_point_rows(const wt_tensor *tensor, wt_word field) {
  if (tensor->dtype != WT_FLOAT32) return wt_fail(WT_UNSUPPORTED_DTYPE, tensor->dtype, 0, 0);
  if (tensor->ndim != 5) return wt_fail(WT_BAD_ARGUMENT, field, tensor->ndim, 0);
  if (!is_channels_last(tensor)) return wt_fail(WT_BAD_ARGUMENT, field, tensor->stride[1], 0);
  return WT_OK;
}

/* Fields are counted from 1 in the order of conv_packed's list. */
static int check_tensors(const wt_packed_problem *problem, const wt_tensor *bias) {
  const wt_tensor *out = problem->out, *input = problem->input, *residual = problem->residual;
  int status = check_point_rows(out, 1);
  if (status == WT_OK) status = check_point_rows(input, 2);
  if (status != WT_OK) return status;
  if (problem->channels < 1 || out->size[1] != problem->filters * problem->groups ||
      input->size[1] != problem->channels * problem->groups || out->size[0] != input->size[0])
    return wt_fail(WT_BAD_ARGUMENT, 3, problem->groups, 0);
  if (wt_is_present(bias) && (bias->dtype != WT_FLOAT32 || bias->ndim != 1 ||
                              bias->size[0] != out->size[1] || !wt_is_contiguous(bias)))
    return wt_fail(WT_BAD_ARGUMENT, 4, bias->ndim, 0);
  if (!residual) return WT_OK;
  status = check_point_rows(residual, 5);
  for (int d = 0; status == WT_OK && d < 5; d++)
    if (residual->size[d] != out->size[d]) status = wt_fail(WT_BAD_ARGUMENT, 5, d, 0);
  return status;
}

/* What geometry may hold at most, and each tensor along an axis: sums of two still fit a word of 32
 * bits, products 64 bits. */
#define MOST ((wt_word)1 << 30)

static bool is_within(wt_word value, wt_word least) { return value >= least && value <= MOST; }

static int check_geometry(wt_packed_problem *problem) {
  int64_t depth = problem->channels;
  problem->taps = 1;
  for (int d = 0; d < 3; d++) {
    const wt_word kernel = problem->kernel[d], stride = problem->stride[d];
    const wt_word dilation = problem->dilation[d], pad = problem->pad[d];
    const wt_word out = problem->out->size[2 + d], input = problem->input->size[2 + d];
    if (!is_within(stride, 1) || !is_within(dilation, 1) || !is_within(pad, 0) ||
        !is_within(kernel, 1) || !is_within(out, 0) || !is_within(input, 0))
      return wt_fail(WT_BAD_ARGUMENT, 7 + d, stride, 0);
    int64_t reach = (int64_t)(out - 1) * stride + (int64_t)(kernel - 1) * dilation + 1;
    int64_t padded = (int64_t)input + 2 * (int64_t)pad;
    if (problem->out->numel > 0 && (reach > padded || padded > INT32_MAX))
      return wt_fail(WT_BAD_ARGUMENT, 1, out, 0);
    depth *= kernel;
    if (depth > MOST) return wt_fail(WT_BAD_ARGUMENT, 3, kernel, 0);
    problem->taps *= kernel;
  }
  problem->depth = problem->taps * problem->channels;
  return WT_OK;
}

/* relu and clamps are bounds, which cost nothing beside the products; whatever else is a row. */
static int set_activation(wt_packed_problem *problem, wt_word op, double p0, double p1) {
  problem->low = -INFINITY;
  problem->high = INFINITY;
  if (op < 0) return WT_OK;
  switch (op) {
    case WT_UNARY_relu:
      problem->low = 0;
      return WT_OK;
    case WT_UNARY_relu6:
      problem->low = 0;
      problem->high = 6;
      return WT_OK;
    case WT_UNARY_hardtanh:
      problem->low = (float)p0;
      problem->high = (float)p1;
      return WT_OK;
    default:
      break;
  }
  wt_row_choice choice = wt_choose_unary(op, WT_FLOAT32);
  if (choice.entry.row == NULL || choice.result != choice.compute)
    return wt_fail(WT_BAD_ARGUMENT, 16, op, 0);
  problem->activation = choice.entry.row;
  problem->in_double = choice.compute == WT_FLOAT64;
  problem->p0 = p0;
  problem->p1 = p1;
  return WT_OK;
}

int wt_activate(const wt_packed_problem *problem, float *row, wt_word count) {
  wt_row_call call = {
      .out = row, .in = {row}, .step = {1}, .count = count, .p0 = problem->p0, .p1 = problem->p1};
  if (!problem->in_double) return problem->activation(&call);
  double part[64];
  call.out = part;
  call.in[0] = part;
  int status = WT_OK;
  for (; count > 0 && status == WT_OK; count -= call.count, row += call.count) {
    call.count = count < 64 ? count : 64;
    for (wt_word i = 0; i < call.count; i++) part[i] = row[i];
    status = problem->activation(&call);
    for (wt_word i = 0; i < call.count; i++) row[i] = (float)part[i];
  }
  return status;
}

void wt_tap_rows(const wt_packed_problem *problem, const wt_points *point, const float *zeros,
                 const float **address, wt_word pitch) {
  const wt_tensor *input = problem->input;
  const float *base = (const float *)input->data + point->n * input->stride[0];
  wt_word first[3];
  for (int d = 0; d < 3; d++) first[d] = point->at[d] * problem->stride[d] - problem->pad[d];
  for (wt_word z = 0; z < problem->kernel[0]; z++) {
    wt_word i = first[0] + z * problem->dilation[0];
    bool inside_z = i >= 0 && i < input->size[2];
    for (wt_word y = 0; y < problem->kernel[1]; y++) {
      wt_word j = first[1] + y * problem->dilation[1];
      bool inside_y = inside_z && j >= 0 && j < input->size[3];
      const float *line = base + (inside_y ? i * input->stride[2] + j * input->stride[3] : 0);
      wt_word k = first[2];
      for (wt_word x = 0; x < problem->kernel[2]; x++, k += problem->dilation[2], address += pitch)
        *address = inside_y && k >= 0 && k < input->size[4] ? line + k * input->stride[4] : zeros;
    }
  }
}

int wt_packed_complete(wt_packed_problem *problem, const wt_tensor *bias, wt_word activation,
                       double p0, double p1) {
  if (problem->residual && !wt_is_present(problem->residual)) problem->residual = NULL;
  problem->bias = wt_is_present(bias) ? (const float *)bias->data : NULL;
  int status = check_tensors(problem, bias);
  if (status == WT_OK) status = check_geometry(problem);
  if (status == WT_OK) status = set_activation(problem, activation, p0, p1);
  problem->points = problem->out->size[1] > 0 ? problem->out->numel / problem->out->size[1] : 0;
  return status;
}

WT_KERNEL(conv_packed, 1) {
  const wt_conv_packed_args *args = arguments;
  const wt_tensor *weight = &args->weight;
  if (weight->dtype != WT_FLOAT32) return wt_fail(WT_UNSUPPORTED_DTYPE, weight->dtype, 0, 0);
  if (weight->ndim != 5 || !wt_is_contiguous(weight) || args->groups < 1 ||
      weight->size[0] % args->groups != 0)
    return wt_fail(WT_BAD_ARGUMENT, 3, args->groups, 0);
  wt_packed_problem problem = {.groups = args->groups,
                               .channels = weight->size[1],
                               .filters = weight->size[0] / args->groups,
                               .kernel = {weight->size[2], weight->size[3], weight->size[4]},
                               .stride = {args->stride0, args->stride1, args->stride2},
                               .pad = {args->pad0, args->pad1, args->pad2},
                               .dilation = {args->dilation0, args->dilation1, args->dilation2},
                               .out = &args->out,
                               .input = &args->input,
                               .residual = &args->residual,
                               .weight = (const float *)weight->data};
  int status = wt_packed_complete(&problem, &args->bias, args->activation, args->p0, args->p1);
  if (status != WT_OK || args->out.numel == 0) return status;
#if WT_USE_REFERENCE
  return wt_packed_reference(&problem);
#else
  return wt_is_depthwise(&problem) ? wt_packed_depthwise(&problem) : wt_packed_tiles(&problem);
#endif
}
