/* How the elements of (N, C, S) tensors lie, for kernels that treat each channel alike.
 *
 * PLANES: float32, S contiguous (NCHW); runs of S elements belong to one channel.
 * ROWS: float32, C contiguous and N and S one uniform stride (channels-last); each of the N * S
 * rows has all channels. ANY: every other layout and dtype; runs of S elements are converted to
 * doubles and back.
 */
#ifndef WASM_TORCH_NORM_CHANNELS_H
#define WASM_TORCH_NORM_CHANNELS_H

#include "norm/vectors.h"

typedef enum wt_channel_form {
  WT_CHANNELS_PLANES,
  WT_CHANNELS_ROWS,
  WT_CHANNELS_ANY
} wt_channel_form;

/* The form that all `count` tensors share; absent ones fit any. */
wt_channel_form wt_channel_form_of(int count, const wt_tensor *const *tensors);

/* From row to row in the form ROWS, in elements. */
static inline wt_word wt_row_stride(const wt_tensor *tensor) {
  return tensor->size[2] != 1 ? tensor->stride[2] : tensor->stride[0];
}

/* Whether the tensor is absent, or (N, C, S) as `like` and of a float dtype. */
bool wt_is_channel_tensor(const wt_tensor *tensor, const wt_tensor *like);

/* out = (x - center[c]) * scale[c] + shift[c] (g absent), or
 * out = (g - average[c] - (x - center[c]) * slope[c]) * scale[c], threaded over all elements. */
typedef struct wt_channel_map {
  const wt_tensor *out, *x, *g;
  const double *center, *scale, *shift, *average, *slope;
} wt_channel_map;

int wt_channel_map_run(const wt_channel_map *map);

#endif
