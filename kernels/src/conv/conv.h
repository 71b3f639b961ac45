/* Convolution inside the engine.
 *
 * The forward pass and the gradient of the input are the same operation, a correlation: each point
 * of a grid of outputs gathers taps of the input. For the forward pass the grid is all of out. For
 * the gradient of the input, grad_out plays the input; with a stride s, grad_input splits into s
 * phases along each axis, each a grid of its own with those taps of the kernel that meet it, so
 * that nothing is multiplied by the zeros of a stuffed grad_out.
 */
#ifndef WASM_TORCH_CONV_H
#define WASM_TORCH_CONV_H

#include "core/core.h"

/* Grid point i and tap t read the input at i * step + offset_first + t * offset_step (zero where
 * that is outside 0..in_size-1), weigh it by the kernel at tap_first + t * tap_step, and write the
 * output at out_first + i * out_step. */
typedef struct wt_conv_axis {
  wt_word grid, step;
  wt_word taps, tap_first, tap_step;
  wt_word offset_first, offset_step;
  wt_word in_size;
  wt_word out_first, out_step;
} wt_conv_axis;

/* out[n, g, f, i] = bias[g, f] + sum over c, t of input[n, g, c, ..] * weight[g, f, c, t].
 * Strides are in elements. weight and bias are in the computing type of `dtype` (gemm/convert.h),
 * bias dense, or NULL. */
typedef struct wt_correlation {
  wt_word dtype;
  wt_word batch, groups, channels, filters; /* channels and filters of one group */
  wt_conv_axis axis[3];
  const void *input;
  wt_word input_batch, input_channel, input_stride[3];
  void *out;
  wt_word out_batch, out_channel, out_stride[3];
  const void *weight;
  wt_word weight_group, weight_filter, weight_channel, weight_stride[3];
  const void *bias;
} wt_correlation;

/* grad_weight[g, f, c, t] = sum over n, i of input[n, g, c, ..] * grad_out[n, g, f, i], and
 * grad_bias[g, f] = sum over n, i of grad_out[n, g, f, i]. The axes are those of the forward pass;
 * `forward.out` is
 * grad_out, and `forward.weight` only lends its strides to grad_weight. */
typedef struct wt_weight_gradient {
  wt_correlation forward;
  void *grad_weight; /* NULL: not wanted; of dtype, with the weight's strides */
  void *grad_bias;   /* NULL: not wanted; of dtype */
  wt_word grad_bias_stride;
} wt_weight_gradient;

int wt_correlate_f32(const wt_correlation *problem);
int wt_correlate_f64(const wt_correlation *problem);
int wt_correlate_u32(const wt_correlation *problem);
int wt_correlate_u64(const wt_correlation *problem);
int wt_weight_gradient_f32(const wt_weight_gradient *problem);
int wt_weight_gradient_f64(const wt_weight_gradient *problem);
int wt_weight_gradient_u32(const wt_weight_gradient *problem);
int wt_weight_gradient_u64(const wt_weight_gradient *problem);

/* The scalar references. */
int wt_correlate_reference(const wt_correlation *problem);
int wt_weight_gradient_reference(const wt_weight_gradient *problem);

/* ---- boxes --------------------------------------------------------------------------------- */
/* The grid in boxes: what one work item handles. */
typedef struct wt_conv_boxes {
  wt_word size[3];   /* of a box; the last ones along an axis may be smaller */
  wt_word count[3];  /* boxes along each axis */
  wt_word extent[3]; /* input positions that a box reads, along each axis */
  wt_word total;
} wt_conv_boxes;

typedef struct wt_conv_box {
  wt_word first[3], size[3];
} wt_conv_box;

/* WT_OUT_OF_MEMORY where even the smallest box reads more than memory can hold: padding may stand
 * for an input of any size. */
int wt_conv_check_extent(const wt_tensor *weight, const wt_word stride[3],
                         const wt_word dilation[3]);

/* Splits the grid until the input of a box has at most `elements` positions in all channels, and,
 * where a box still has `worthwhile` points or more, until there are `wanted` boxes. */
wt_conv_boxes wt_conv_split(const wt_conv_axis axis[3], wt_word channels, wt_word elements,
                            wt_word wanted, wt_word worthwhile);
wt_conv_box wt_conv_box_at(const wt_conv_boxes *boxes, const wt_conv_axis axis[3], wt_word index);

/* The smallest input offset among the taps of an axis, of grid point 0. */
static inline wt_word wt_conv_lowest(const wt_conv_axis *axis) {
  wt_word last = (axis->taps - 1) * axis->offset_step;
  return axis->offset_first + (axis->taps > 0 && last < 0 ? last : 0);
}

/* offsets[c, t] of each channel and tap from the lowest position of a box, for input positions that
 * lie `channel`, stride[..] apart: channels * taps entries. */
void wt_conv_offsets(const wt_conv_axis axis[3], wt_word channels, wt_word channel,
                     const wt_word stride[3], wt_word *offsets);

static inline wt_word wt_conv_taps(const wt_conv_axis axis[3]) {
  return axis[0].taps * axis[1].taps * axis[2].taps;
}
static inline wt_word wt_conv_points(const wt_word size[3]) { return size[0] * size[1] * size[2]; }

#endif
