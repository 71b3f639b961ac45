/* conv_packed: checks, geometry and the choice of a solver. */
#include "packed/packed.h"

#include <math.h>

static bool is_channels_last(const wt_tensor *tensor) {
  return tensor->size[1] == 1 || tensor->stride[1] == 1;
}

/* Fields are counted from 1 in the order of the kernel's list. */
static int check_tensors(const wt_conv_packed_args *args) {
  const wt_tensor *const tensors[] = {&args->out, &args->input, &args->weight};
  for (int i = 0; i < 3; i++) {
    if (tensors[i]->dtype != WT_FLOAT32)
      return wt_fail(WT_UNSUPPORTED_DTYPE, tensors[i]->dtype, 0, 0);
    if (tensors[i]->ndim != 5) return wt_fail(WT_BAD_ARGUMENT, i + 1, tensors[i]->ndim, 0);
  }
  const wt_tensor *out = &args->out, *input = &args->input, *weight = &args->weight;
  if (!is_channels_last(out)) return wt_fail(WT_BAD_ARGUMENT, 1, out->stride[1], 0);
  if (!is_channels_last(input)) return wt_fail(WT_BAD_ARGUMENT, 2, input->stride[1], 0);
  if (args->groups < 1 || weight->size[0] % args->groups != 0 || out->size[1] != weight->size[0] ||
      input->size[1] != weight->size[1] * args->groups || out->size[0] != input->size[0] ||
      !wt_is_contiguous(weight))
    return wt_fail(WT_BAD_ARGUMENT, 3, args->groups, 0);
  const wt_tensor *bias = &args->bias, *residual = &args->residual;
  if (wt_is_present(bias) && (bias->dtype != WT_FLOAT32 || bias->ndim != 1 ||
                              bias->size[0] != weight->size[0] || !wt_is_contiguous(bias)))
    return wt_fail(WT_BAD_ARGUMENT, 4, bias->ndim, 0);
  if (!wt_is_present(residual)) return WT_OK;
  bool fits = residual->dtype == WT_FLOAT32 && residual->ndim == 5 && is_channels_last(residual);
  for (int d = 0; fits && d < 5; d++) fits = residual->size[d] == out->size[d];
  return fits ? WT_OK : wt_fail(WT_BAD_ARGUMENT, 5, residual->ndim, 0);
}

static int check_geometry(const wt_packed_problem *problem) {
  for (int d = 0; d < 3; d++) {
    if (problem->stride[d] < 1 || problem->dilation[d] < 1 || problem->pad[d] < 0 ||
        problem->kernel[d] < 1)
      return wt_fail(WT_BAD_ARGUMENT, 7 + d, problem->stride[d], 0);
    wt_word reach = (problem->out->size[2 + d] - 1) * problem->stride[d] +
                    (problem->kernel[d] - 1) * problem->dilation[d] + 1;
    if (reach > problem->input->size[2 + d] + 2 * problem->pad[d])
      return wt_fail(WT_BAD_ARGUMENT, 1, problem->out->size[2 + d], 0);
  }
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
  if (choice.entry.row == NULL || choice.compute != WT_FLOAT32 || choice.result != WT_FLOAT32)
    return wt_fail(WT_BAD_ARGUMENT, 16, op, 0);
  problem->activation = choice.entry.row;
  problem->p0 = p0;
  problem->p1 = p1;
  return WT_OK;
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

WT_KERNEL(conv_packed, 1) {
  const wt_conv_packed_args *args = arguments;
  int status = check_tensors(args);
  if (status != WT_OK) return status;
  const wt_tensor *weight = &args->weight;
  wt_packed_problem problem = {
      .groups = args->groups,
      .channels = weight->size[1],
      .filters = weight->size[0] / args->groups,
      .kernel = {weight->size[2], weight->size[3], weight->size[4]},
      .stride = {args->stride0, args->stride1, args->stride2},
      .pad = {args->pad0, args->pad1, args->pad2},
      .dilation = {args->dilation0, args->dilation1, args->dilation2},
      .out = &args->out,
      .input = &args->input,
      .residual = wt_is_present(&args->residual) ? &args->residual : NULL,
      .weight = (const float *)weight->data,
      .bias = wt_is_present(&args->bias) ? (const float *)args->bias.data : NULL};
  if (args->out.numel == 0) return WT_OK;
  status = check_geometry(&problem);
  if (status == WT_OK) status = set_activation(&problem, args->activation, args->p0, args->p1);
  if (status != WT_OK) return status;
  problem.taps = problem.kernel[0] * problem.kernel[1] * problem.kernel[2];
  problem.depth = problem.taps * problem.channels;
  problem.points = args->out.numel / args->out.size[1];
#if WT_USE_REFERENCE
  return wt_packed_reference(&problem);
#else
  return wt_is_depthwise(&problem) ? wt_packed_depthwise(&problem) : wt_packed_tiles(&problem);
#endif
}
