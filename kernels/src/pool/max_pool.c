/* Max pooling, adaptive or not, over input (N, C, D, H, W).
 *
 * A maximum is the first tap of its window that no later tap exceeds; NaN exceeds everything. Its
 * index is flat in the D * H * W plane; an empty window gives the lowest value and index -1.
 */
#include <limits.h>

#include "index/element.h"
#include "pool/windows.h"

typedef struct max_job {
  const wt_tensor *out, *indices, *input;
  const wt_windows *windows;
  wt_word dtype;
} max_job;

static void store_lowest(void *p, wt_word dtype) {
  switch (dtype) {
    case WT_INT64: *(int64_t *)p = INT64_MIN; break;
    case WT_INT32: *(int32_t *)p = INT32_MIN; break;
    case WT_INT16: *(int16_t *)p = INT16_MIN; break;
    case WT_INT8: *(int8_t *)p = INT8_MIN; break;
    case WT_UINT8:
    case WT_BOOL: *(uint8_t *)p = 0; break;
    default: wt_element_store(p, dtype, -INFINITY); break;
  }
}

/* ---- any dtype, any strides ---------------------------------------------------------------- */
/* One window of the plane at `input`; writes one output and its index (where not NULL). */
WT_INLINE void max_window(const max_job *job, const char *input, wt_window wd, wt_window wh,
                          wt_window ww, char *out, int64_t *index, wt_word dtype, size_t bytes) {
  const wt_tensor *in = job->input;
  const wt_word *dilation = job->windows->dilation;
  const char *best = NULL;
  int64_t best_index = -1;
  for (wt_word d = wd.start; d < wd.end; d += dilation[0]) {
    for (wt_word h = wh.start; h < wh.end; h += dilation[1]) {
      const char *row = input + (d * in->stride[2] + h * in->stride[3]) * (wt_word)bytes;
      int64_t row_index = ((int64_t)d * in->size[3] + h) * in->size[4];
      for (wt_word w = ww.start; w < ww.end; w += dilation[2]) {
        const char *tap = row + w * in->stride[4] * (wt_word)bytes;
        if (best && !wt_element_exceeds(tap, best, dtype)) continue;
        best = tap;
        best_index = row_index + w;
      }
    }
  }
  if (best) {
    wt_element_copy(out, best, bytes);
  } else {
    store_lowest(out, dtype);
  }
  if (index) *index = best_index;
}

WT_INLINE void max_planes(const max_job *job, wt_word begin, wt_word end, wt_word dtype,
                          size_t bytes) {
  const wt_tensor *out = job->out, *in = job->input, *indices = job->indices;
  const wt_windows *windows = job->windows;
  for (wt_word plane = begin; plane < end; plane++) {
    wt_word n = plane / in->size[1], c = plane % in->size[1];
    const char *input =
        (const char *)in->data + (n * in->stride[0] + c * in->stride[1]) * (wt_word)bytes;
    for (wt_word od = 0; od < out->size[2]; od++) {
      for (wt_word oh = 0; oh < out->size[3]; oh++) {
        for (wt_word ow = 0; ow < out->size[4]; ow++) {
          wt_word at = n * out->stride[0] + c * out->stride[1] + od * out->stride[2] +
                       oh * out->stride[3] + ow * out->stride[4];
          int64_t *index = NULL;
          if (wt_is_present(indices)) {
            index = (int64_t *)indices->data + n * indices->stride[0] + c * indices->stride[1] +
                    od * indices->stride[2] + oh * indices->stride[3] + ow * indices->stride[4];
          }
          max_window(job, input, windows->table[0][od], windows->table[1][oh],
                     windows->table[2][ow], (char *)out->data + at * (wt_word)bytes, index, dtype,
                     bytes);
        }
      }
    }
  }
}

static void max_planes_any(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const max_job *job = context;
  if (job->dtype == WT_FLOAT32) {
    max_planes(job, begin, end, WT_FLOAT32, 4);
  } else {
    max_planes(job, begin, end, job->dtype, wt_dtype_size(job->dtype));
  }
}

#if !WT_USE_REFERENCE
/* ---- float32, windows 2 x 2 with stride 2, dense rows -------------------------------------- */
/* Four neighbouring outputs from two rows of eight inputs; `index` is that of top[0]. */
WT_INLINE void max_2x2_block(const float *top, const float *bottom, wt_word width, wt_word index,
                             float *out, int64_t *indices) {
  wt_f32x4 t0 = wt_f32x4_load(top), t1 = wt_f32x4_load(top + 4);
  wt_f32x4 b0 = wt_f32x4_load(bottom), b1 = wt_f32x4_load(bottom + 4);
  wt_f32x4 taps[4] = {
      __builtin_shufflevector(t0, t1, 0, 2, 4, 6), __builtin_shufflevector(t0, t1, 1, 3, 5, 7),
      __builtin_shufflevector(b0, b1, 0, 2, 4, 6), __builtin_shufflevector(b0, b1, 1, 3, 5, 7)};
  const int32_t offset[4] = {0, 1, (int32_t)width, (int32_t)width + 1};
  wt_f32x4 best = taps[0];
  wt_i32x4 best_offset = {0, 0, 0, 0};
  for (int i = 1; i < 4; i++) {
    wt_i32x4 exceeds = (taps[i] > best) | (taps[i] != taps[i]);
    best = wt_f32x4_select(exceeds, taps[i], best);
    best_offset = wt_i32x4_select(exceeds, wt_i32x4_splat(offset[i]), best_offset);
  }
  wt_f32x4_store(out, best);
  if (!indices) return;
  best_offset += wt_i32x4_splat((int32_t)index) + (wt_i32x4){0, 2, 4, 6};
  wt_i32x4 zero = {0, 0, 0, 0};
  wt_i32x4_store(indices, __builtin_shufflevector(best_offset, zero, 0, 4, 1, 5));
  wt_i32x4_store(indices + 2, __builtin_shufflevector(best_offset, zero, 2, 6, 3, 7));
}

static void max_planes_2x2(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const max_job *job = context;
  const wt_tensor *out = job->out, *in = job->input, *indices = job->indices;
  wt_word width = in->size[4], out_width = out->size[4];
  for (wt_word plane = begin; plane < end; plane++) {
    wt_word n = plane / in->size[1], c = plane % in->size[1];
    for (wt_word oh = 0; oh < out->size[3]; oh++) {
      const float *top = (const float *)in->data + n * in->stride[0] + c * in->stride[1] +
                         2 * oh * in->stride[3];
      float *to = (float *)out->data + n * out->stride[0] + c * out->stride[1] +
                  oh * out->stride[3];
      int64_t *index = NULL;
      if (wt_is_present(indices)) {
        index = (int64_t *)indices->data + n * indices->stride[0] + c * indices->stride[1] +
                oh * indices->stride[3];
      }
      for (wt_word ow = 0; ow < out_width; ow += 4) {
        wt_word o = ow + 4 <= out_width ? ow : out_width - 4; /* the last block may overlap */
        max_2x2_block(top + 2 * o, top + in->stride[3] + 2 * o, width, 2 * oh * width + 2 * o,
                      to + o, index ? index + o : NULL);
      }
    }
  }
}

static bool are_pairs(const wt_window *table, wt_word count) {
  for (wt_word o = 0; o < count; o++) {
    if (table[o].start != 2 * o || table[o].end != 2 * o + 2) return false;
  }
  return true;
}

static bool is_dense_in(const wt_tensor *tensor, int dimension) {
  return !wt_is_present(tensor) || tensor->stride[dimension] == 1 || tensor->size[dimension] == 1;
}

static bool suits_2x2(const max_job *job) {
  const wt_tensor *out = job->out, *in = job->input;
  const wt_windows *windows = job->windows;
  return job->dtype == WT_FLOAT32 && in->size[2] == 1 && out->size[2] == 1 &&
         out->size[4] >= 4 && (int64_t)in->size[3] * in->size[4] < INT32_MAX &&
         is_dense_in(in, 4) && is_dense_in(out, 4) && is_dense_in(job->indices, 4) &&
         windows->dilation[1] == 1 && windows->dilation[2] == 1 &&
         are_pairs(windows->table[1], out->size[3]) && are_pairs(windows->table[2], out->size[4]);
}

/* ---- float32, channels last ----------------------------------------------------------------- */
/* Up to four neighbouring channels of one window. */
WT_INLINE void max_channels(const max_job *job, const float *input, wt_window wd, wt_window wh,
                            wt_window ww, float *out, int64_t *indices, int count) {
  const wt_tensor *in = job->input;
  const wt_word *dilation = job->windows->dilation;
  wt_f32x4 best = wt_f32x4_splat(-INFINITY);
  wt_i32x4 best_index = wt_i32x4_splat(
      (int32_t)((wd.start * in->size[3] + wh.start) * in->size[4] + ww.start));
  for (wt_word d = wd.start; d < wd.end; d += dilation[0]) {
    for (wt_word h = wh.start; h < wh.end; h += dilation[1]) {
      const float *row = input + d * in->stride[2] + h * in->stride[3];
      int32_t row_index = (int32_t)((d * in->size[3] + h) * in->size[4]);
      for (wt_word w = ww.start; w < ww.end; w += dilation[2]) {
        const float *p = row + w * in->stride[4];
        wt_f32x4 tap = count == 4 ? wt_f32x4_load(p) : wt_f32x4_load_part(p, count);
        wt_i32x4 exceeds = (tap > best) | (tap != tap);
        best = wt_f32x4_select(exceeds, tap, best);
        best_index = wt_i32x4_select(exceeds, wt_i32x4_splat(row_index + (int32_t)w), best_index);
      }
    }
  }
  if (count == 4) {
    wt_f32x4_store(out, best);
  } else {
    wt_f32x4_store_part(out, best, count);
  }
  if (!indices) return;
  bool empty = wd.start >= wd.end || wh.start >= wh.end || ww.start >= ww.end;
  for (int i = 0; i < count; i++) indices[i] = empty ? -1 : best_index[i];
}

/* Items are the rows (n, od, oh) of the output. */
static void max_rows_channels_last(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const max_job *job = context;
  const wt_tensor *out = job->out, *in = job->input, *indices = job->indices;
  const wt_windows *windows = job->windows;
  wt_word channels = in->size[1];
  for (wt_word item = begin; item < end; item++) {
    wt_word oh = item % out->size[3], od = item / out->size[3] % out->size[2];
    wt_word n = item / out->size[3] / out->size[2];
    const float *input = (const float *)in->data + n * in->stride[0];
    for (wt_word ow = 0; ow < out->size[4]; ow++) {
      float *to = (float *)out->data + n * out->stride[0] + od * out->stride[2] +
                  oh * out->stride[3] + ow * out->stride[4];
      int64_t *index = NULL;
      if (wt_is_present(indices)) {
        index = (int64_t *)indices->data + n * indices->stride[0] + od * indices->stride[2] +
                oh * indices->stride[3] + ow * indices->stride[4];
      }
      wt_window wd = windows->table[0][od], wh = windows->table[1][oh], ww = windows->table[2][ow];
      wt_word c = 0;
      for (; c + 4 <= channels; c += 4) {
        max_channels(job, input + c, wd, wh, ww, to + c, index ? index + c : NULL, 4);
      }
      if (c < channels) {
        max_channels(job, input + c, wd, wh, ww, to + c, index ? index + c : NULL,
                     (int)(channels - c));
      }
    }
  }
}

static bool suits_channels_last(const max_job *job) {
  const wt_tensor *in = job->input;
  return job->dtype == WT_FLOAT32 && in->size[1] > 1 && in->stride[1] == 1 &&
         is_dense_in(job->out, 1) && is_dense_in(job->indices, 1) &&
         (int64_t)in->size[2] * in->size[3] * in->size[4] < INT32_MAX;
}
#endif

/* ---- the kernels ---------------------------------------------------------------------------- */
/* Items that are worth handing to a thread, given the outputs of one item. */
static wt_word grain_of(wt_word outputs_per_item) {
  return outputs_per_item >= 4096 ? 1 : 4096 / (outputs_per_item > 0 ? outputs_per_item : 1);
}

int wt_maximum(const wt_tensor *out, const wt_tensor *indices, const wt_tensor *input,
               const wt_windows *windows) {
  const max_job job = {out, indices, input, windows, input->dtype};
  if (!out->numel) return WT_OK;
  wt_word planes = out->size[0] * out->size[1];
  wt_word grain = grain_of(out->numel / planes);
#if !WT_USE_REFERENCE
  if (suits_channels_last(&job)) {
    wt_word rows = out->size[0] * out->size[2] * out->size[3];
    wt_parallel_for(rows, grain_of(out->numel / rows), max_rows_channels_last, (void *)&job);
    return WT_OK;
  }
  if (suits_2x2(&job)) {
    wt_parallel_for(planes, grain, max_planes_2x2, (void *)&job);
    return WT_OK;
  }
#endif
  wt_parallel_for(planes, grain, max_planes_any, (void *)&job);
  return WT_OK;
}

static int check_maximum(const wt_tensor *out, const wt_tensor *indices, const wt_tensor *input) {
  if (!wt_dtype_size(input->dtype)) return wt_fail(WT_UNSUPPORTED_DTYPE, input->dtype, 0, 0);
  if (!wt_pool_shapes_match(input, out)) return wt_fail(WT_BAD_ARGUMENT, 0, input->ndim, 0);
  if (!wt_is_present(indices)) return WT_OK;
  if (indices->dtype != WT_INT64) return wt_fail(WT_UNSUPPORTED_DTYPE, indices->dtype, 0, 0);
  for (int d = 0; d < 5; d++) {
    if (indices->ndim != 5 || indices->size[d] != out->size[d]) {
      return wt_fail(WT_BAD_ARGUMENT, 1, indices->ndim, 0);
    }
  }
  return WT_OK;
}

WT_KERNEL(max_pool, 1) {
  const wt_max_pool_args *args = arguments;
  const wt_pool_geometry geometry = WT_POOL_GEOMETRY_OF(args);
  int status = check_maximum(&args->out, &args->indices, &args->input);
  if (status) return status;
  wt_windows windows;
  status = wt_windows_of_geometry(&windows, &args->input, &args->out, &geometry);
  if (status) return status;
  status = wt_maximum(&args->out, &args->indices, &args->input, &windows);
  wt_windows_free(&windows);
  return status;
}

WT_KERNEL(adaptive_max_pool, 1) {
  const wt_adaptive_max_pool_args *args = arguments;
  int status = check_maximum(&args->out, &args->indices, &args->input);
  if (status) return status;
  wt_windows windows;
  status = wt_windows_adaptive(&windows, &args->input, &args->out);
  if (status) return status;
  status = wt_maximum(&args->out, &args->indices, &args->input, &windows);
  wt_windows_free(&windows);
  return status;
}
