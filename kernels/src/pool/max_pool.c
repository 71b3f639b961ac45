/* Max pooling, adaptive or not, over input (N, C, D, H, W).
 *
 * A maximum is the first tap of its window that no later tap exceeds; NaN exceeds everything. Its
 * index is flat in the D * H * W plane; an empty window gives the lowest value and index -1.
 */
#include "index/element.h"
#include "pool/max_pool.h"

static void store_lowest(void *p, wt_word dtype) {
  switch (dtype) {
    case WT_INT64:
      *(int64_t *)p = INT64_MIN;
      break;
    case WT_INT32:
      *(int32_t *)p = INT32_MIN;
      break;
    case WT_INT16:
      *(int16_t *)p = INT16_MIN;
      break;
    case WT_INT8:
      *(int8_t *)p = INT8_MIN;
      break;
    case WT_UINT8:
    case WT_BOOL:
      *(uint8_t *)p = 0;
      break;
    default:
      wt_element_store(p, dtype, -INFINITY);
      break;
  }
}

/* ---- any dtype, any strides ---------------------------------------------------------------- */
/* One window of the plane at `input`; writes one output and its index (where not NULL). */
WT_INLINE void max_window(const wt_max_job *job, const char *input, wt_window wd, wt_window wh,
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

WT_INLINE void max_planes(const wt_max_job *job, wt_word begin, wt_word end, wt_word dtype,
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

void wt_max_window_f32(const wt_max_job *job, const float *input, wt_window d, wt_window h,
                       wt_window w, float *out, int64_t *index) {
  max_window(job, (const char *)input, d, h, w, (char *)out, index, WT_FLOAT32, 4);
}

static void max_planes_any(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const wt_max_job *job = context;
  wt_word dtype = job->input->dtype;
  if (dtype == WT_FLOAT32) {
    max_planes(job, begin, end, WT_FLOAT32, 4);
  } else {
    max_planes(job, begin, end, dtype, wt_dtype_size(dtype));
  }
}

/* ---- the kernels ---------------------------------------------------------------------------- */
static int run_maximum(const wt_tensor *out, const wt_tensor *indices, const wt_tensor *input,
                       const wt_windows *windows) {
  const wt_max_job job = {out, indices, input, windows};
  if (!out->numel) return WT_OK;
  if (!WT_USE_REFERENCE && wt_max_pool_f32(&job)) return WT_OK;
  wt_word planes = out->size[0] * out->size[1];
  wt_parallel_for(planes, wt_pool_grain(out->numel / planes), max_planes_any, (void *)&job);
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
  status = run_maximum(&args->out, &args->indices, &args->input, &windows);
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
  status = run_maximum(&args->out, &args->indices, &args->input, &windows);
  wt_windows_free(&windows);
  return status;
}
