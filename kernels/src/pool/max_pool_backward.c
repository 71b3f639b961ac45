/* Gradient of max pooling: each output's gradient goes to the input position of its index. */
#include <stdatomic.h>

#include "index/element.h"
#include "pool/windows.h"

typedef struct scatter_job {
  const wt_tensor *grad_input, *grad_out, *indices;
  wt_word plane_size;   /* D * H * W of the input */
  wt_word plane_stride; /* distance of neighbouring positions, 0 where the plane is not dense */
  atomic_int status;
} scatter_job;

/* Offset in elements, within its plane, of the input position with a flat index. */
WT_INLINE wt_word offset_in_plane(const scatter_job *job, wt_word index) {
  if (job->plane_stride) return index * job->plane_stride;
  return wt_offset_of(index, 3, job->grad_input->size + 2, job->grad_input->stride + 2);
}

/* Planes (n, c) for c in c_begin..c_end-1: zeroes them and adds the gradients. Channels are the
 * inner loop, so that dense channels are read and written together. */
WT_INLINE void scatter_channels(scatter_job *job, wt_word n, wt_word c_begin, wt_word c_end,
                                wt_word dtype, size_t size) {
  const wt_tensor *gi = job->grad_input, *go = job->grad_out, *ix = job->indices;
  wt_word bytes = (wt_word)size;
  char *grad_input = (char *)gi->data + n * gi->stride[0] * bytes;
  const char *grad_out = (const char *)go->data + n * go->stride[0] * bytes;
  const int64_t *indices = (const int64_t *)ix->data + n * ix->stride[0];
  if (job->plane_stride == 1 && dtype == WT_FLOAT32) {
    for (wt_word c = c_begin; c < c_end; c++) {
      memset(grad_input + c * gi->stride[1] * bytes, 0, (size_t)job->plane_size * size);
    }
  } else {
    for (wt_word p = 0; p < job->plane_size; p++) {
      char *to = grad_input + offset_in_plane(job, p) * bytes;
      for (wt_word c = c_begin; c < c_end; c++) memset(to + c * gi->stride[1] * bytes, 0, size);
    }
  }
  for (wt_word od = 0; od < go->size[2]; od++) {
    for (wt_word oh = 0; oh < go->size[3]; oh++) {
      for (wt_word ow = 0; ow < go->size[4]; ow++) {
        wt_word go_at = od * go->stride[2] + oh * go->stride[3] + ow * go->stride[4];
        wt_word ix_at = od * ix->stride[2] + oh * ix->stride[3] + ow * ix->stride[4];
        for (wt_word c = c_begin; c < c_end; c++) {
          int64_t index = indices[ix_at + c * ix->stride[1]];
          if (index == -1) continue; /* an empty window */
          if (index < 0 || index >= job->plane_size) {
            atomic_store(&job->status, wt_fail(WT_INDEX_OUT_OF_RANGE, index, -1, job->plane_size));
            return;
          }
          char *to =
              grad_input + (offset_in_plane(job, (wt_word)index) + c * gi->stride[1]) * bytes;
          const char *from = grad_out + (go_at + c * go->stride[1]) * bytes;
          wt_element_combine(to, from, dtype, WT_SCATTER_add);
        }
      }
    }
  }
}

/* Channels that one item covers: a cache line of them where they are neighbours, else one. */
static wt_word channels_per_item(const scatter_job *job) {
  return job->grad_input->stride[1] == 1 ? 16 : 1;
}

static void scatter_items(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  scatter_job *job = context;
  wt_word channels = job->grad_input->size[1], group = channels_per_item(job);
  wt_word groups = (channels + group - 1) / group;
  wt_word dtype = job->grad_input->dtype;
  for (wt_word item = begin; item < end; item++) {
    wt_word n = item / groups, c = item % groups * group;
    wt_word c_end = c + group < channels ? c + group : channels;
    if (dtype == WT_FLOAT32) {
      scatter_channels(job, n, c, c_end, WT_FLOAT32, 4);
    } else {
      scatter_channels(job, n, c, c_end, dtype, wt_dtype_size(dtype));
    }
  }
}

/* The distance of neighbouring positions where the plane is dense up to that factor, else 0. */
static wt_word plane_stride_of(const wt_tensor *tensor) {
  const wt_word *size = tensor->size, *stride = tensor->stride;
  wt_word unit = size[4] > 1 ? stride[4] : size[3] > 1 ? stride[3] : size[2] > 1 ? stride[2] : 1;
  bool dense = (size[4] <= 1 || stride[4] == unit) &&
               (size[3] <= 1 || stride[3] == unit * size[4]) &&
               (size[2] <= 1 || stride[2] == unit * size[4] * size[3]);
  return dense ? unit : 0;
}

WT_KERNEL(max_pool_backward, 1) {
  const wt_max_pool_backward_args *args = arguments;
  const wt_tensor *gi = &args->grad_input, *go = &args->grad_out, *ix = &args->indices;
  if (!wt_dtype_size(gi->dtype)) return wt_fail(WT_UNSUPPORTED_DTYPE, gi->dtype, 0, 0);
  if (!wt_pool_shapes_match(gi, go)) return wt_fail(WT_BAD_ARGUMENT, 0, gi->ndim, 0);
  if (ix->dtype != WT_INT64) return wt_fail(WT_UNSUPPORTED_DTYPE, ix->dtype, 0, 0);
  for (int d = 0; d < 5; d++) {
    if (ix->ndim != 5 || ix->size[d] != go->size[d]) {
      return wt_fail(WT_BAD_ARGUMENT, 2, ix->ndim, 0);
    }
  }
  if (!gi->numel) return WT_OK;
  scatter_job job = {.grad_input = gi, .grad_out = go, .indices = ix};
  job.plane_size = gi->size[2] * gi->size[3] * gi->size[4];
  job.plane_stride = plane_stride_of(gi);
  wt_word group = channels_per_item(&job);
  wt_word items = gi->size[0] * ((gi->size[1] + group - 1) / group);
  wt_word grain = 16384 / (job.plane_size * group) + 1;
  wt_parallel_for(items, grain, scatter_items, &job);
  return atomic_load(&job.status);
}
