/* How a convolution's grid is cut into work items. */
#include "conv/conv.h"

static wt_word extent_of(const wt_conv_axis *axis, wt_word points) {
  if (points == 0) return 0;
  wt_word span = axis->offset_step < 0 ? -axis->offset_step : axis->offset_step;
  return (points - 1) * axis->step + (axis->taps > 1 ? (axis->taps - 1) * span : 0) + 1;
}

static int64_t measure(wt_conv_boxes *boxes, const wt_conv_axis axis[3], wt_word channels) {
  int64_t elements = channels;
  boxes->total = 1;
  for (int d = 0; d < 3; d++) {
    boxes->count[d] =
        boxes->size[d] == 0 ? 0 : (axis[d].grid + boxes->size[d] - 1) / boxes->size[d];
    boxes->extent[d] = extent_of(&axis[d], boxes->size[d]);
    boxes->total *= boxes->count[d];
    elements *= boxes->extent[d];
  }
  return elements;
}

/* Along the last axis a box keeps 32 points. */
#define LEAST_POINTS 32

int wt_conv_check_extent(const wt_tensor *weight, const wt_word stride[3],
                         const wt_word dilation[3]) {
  wt_word channels = weight->size[0] > weight->size[1] ? weight->size[0] : weight->size[1];
  double elements = (double)channels;
  for (int d = 0; d < 3; d++) {
    double extent = (double)weight->size[2 + d] * (double)dilation[d];
    if (d == 2) extent += (double)stride[d] * LEAST_POINTS;
    elements *= extent > 1 ? extent : 1;
  }
  double bytes = elements * sizeof(float);
  if (bytes < (double)PTRDIFF_MAX) return WT_OK;
  return wt_fail(WT_OUT_OF_MEMORY, bytes < 0x1p63 ? (int64_t)bytes : INT64_MAX, 0, 0);
}

/* Halves the outermost axis that still can be, so that rows stay whole where possible. */
static bool halve(wt_conv_boxes *boxes) {
  for (int d = 0; d < 2; d++)
    if (boxes->size[d] > 1) {
      boxes->size[d] = (boxes->size[d] + 1) / 2;
      return true;
    }
  if (boxes->size[2] <= LEAST_POINTS) return false;
  boxes->size[2] = (boxes->size[2] / 2 + 7) / 8 * 8;
  return true;
}

wt_conv_boxes wt_conv_split(const wt_conv_axis axis[3], wt_word channels, wt_word elements,
                            wt_word wanted, wt_word worthwhile) {
  wt_conv_boxes boxes = {.size = {axis[0].grid, axis[1].grid, axis[2].grid}};
  for (;;) {
    int64_t needed = measure(&boxes, axis, channels);
    bool split = boxes.total < wanted && wt_conv_points(boxes.size) >= 2 * worthwhile;
    if ((needed <= elements && !split) || !halve(&boxes)) return boxes;
  }
}

wt_conv_box wt_conv_box_at(const wt_conv_boxes *boxes, const wt_conv_axis axis[3], wt_word index) {
  wt_conv_box box;
  for (int d = 2; d >= 0; d--) {
    box.first[d] = index % boxes->count[d] * boxes->size[d];
    box.size[d] = axis[d].grid - box.first[d];
    if (box.size[d] > boxes->size[d]) box.size[d] = boxes->size[d];
    index /= boxes->count[d];
  }
  return box;
}

void wt_conv_offsets(const wt_conv_axis axis[3], wt_word channels, wt_word channel,
                     const wt_word stride[3], wt_word *offsets) {
  wt_word base = 0;
  for (int d = 0; d < 3; d++) base += (axis[d].offset_first - wt_conv_lowest(&axis[d])) * stride[d];
  for (wt_word c = 0; c < channels; c++)
    for (wt_word z = 0; z < axis[0].taps; z++)
      for (wt_word y = 0; y < axis[1].taps; y++)
        for (wt_word x = 0; x < axis[2].taps; x++)
          *offsets++ = base + c * channel + z * axis[0].offset_step * stride[0] +
                       y * axis[1].offset_step * stride[1] + x * axis[2].offset_step * stride[2];
}
