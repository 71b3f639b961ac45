/* index_select: slices of self chosen by a one-dimensional index; embedding lookups use it too. */
#include <stdatomic.h>

#include "index/element.h"

/* The dimensions behind `dim` are one slice; those before it repeat the choice. */
typedef struct select_job {
  const wt_tensor *out, *self, *index;
  wt_word dim;
  wt_word count;       /* length of the index */
  wt_word slice;       /* elements behind dim */
  bool is_slice_dense; /* in out and in self */
  size_t bytes;
  atomic_int status;
} select_job;

static void copy_slice(const select_job *job, char *to, const char *from) {
  const wt_tensor *out = job->out, *self = job->self;
  wt_word bytes = (wt_word)job->bytes;
  if (job->is_slice_dense) {
    memcpy(to, from, (size_t)job->slice * job->bytes);
    return;
  }
  wt_word last = out->ndim - 1, behind = last - job->dim - 1, row = out->size[last];
  for (wt_word p = 0; p < job->slice; p += row) {
    const wt_word *size = out->size + job->dim + 1;
    char *row_to = to + wt_offset_of(p / row, behind, size, out->stride + job->dim + 1) * bytes;
    const char *row_from =
        from + wt_offset_of(p / row, behind, size, self->stride + job->dim + 1) * bytes;
    for (wt_word i = 0; i < row; i++) {
      wt_element_copy(row_to + i * out->stride[last] * bytes,
                      row_from + i * self->stride[last] * bytes, job->bytes);
    }
  }
}

/* Items are the slices of out, row-major. */
static void select_range(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  select_job *job = context;
  const wt_tensor *out = job->out, *self = job->self, *index = job->index;
  wt_word bytes = (wt_word)job->bytes, index_bytes = (wt_word)wt_dtype_size(index->dtype);
  wt_word limit = self->ndim > 0 ? self->size[job->dim] : 1;
  for (wt_word item = begin; item < end; item++) {
    wt_word i = item % job->count, outer = item / job->count;
    wt_word index_stride = index->ndim > 0 ? index->stride[0] : 0;
    int64_t chosen = wt_element_load_integer(
        (const char *)index->data + i * index_stride * index_bytes, index->dtype);
    if (chosen < 0 || chosen >= limit) {
      atomic_store(&job->status, wt_fail(WT_INDEX_OUT_OF_RANGE, chosen, job->dim, limit));
      return;
    }
    wt_word to = wt_offset_of(outer, job->dim, out->size, out->stride);
    wt_word from = wt_offset_of(outer, job->dim, out->size, self->stride);
    if (self->ndim > 0) {
      to += i * out->stride[job->dim];
      from += (wt_word)chosen * self->stride[job->dim];
    }
    copy_slice(job, (char *)out->data + to * bytes, (const char *)self->data + from * bytes);
  }
}

static bool is_dense_behind(const wt_tensor *tensor, wt_word dim) {
  wt_word expected = 1;
  for (wt_word d = tensor->ndim - 1; d > dim; d--) {
    if (tensor->size[d] != 1 && tensor->stride[d] != expected) return false;
    expected *= tensor->size[d];
  }
  return true;
}

/* out[..., i, ...] = self[..., index[i], ...] */
WT_KERNEL(index_select, 1) {
  const wt_index_select_args *args = arguments;
  const wt_tensor *out = &args->out, *self = &args->self, *index = &args->index;
  wt_word dim = args->dim;
  if (!wt_dtype_size(self->dtype) || out->dtype != self->dtype) {
    return wt_fail(WT_UNSUPPORTED_DTYPE, self->dtype, 0, 0);
  }
  if (wt_is_floating(index->dtype)) return wt_fail(WT_UNSUPPORTED_DTYPE, index->dtype, 0, 0);
  if (out->ndim != self->ndim || index->ndim > 1) {
    return wt_fail(WT_BAD_ARGUMENT, 1, self->ndim, 0);
  }
  if (dim < 0 || (dim >= self->ndim && dim > 0)) return wt_fail(WT_BAD_ARGUMENT, 3, dim, 0);
  for (wt_word d = 0; d < out->ndim; d++) {
    wt_word expected = d == dim ? index->numel : self->size[d];
    if (out->size[d] != expected) return wt_fail(WT_BAD_ARGUMENT, 0, out->size[d], 0);
  }
  if (!out->numel) return WT_OK;
  select_job job = {.out = out, .self = self, .index = index, .dim = dim, .count = index->numel};
  job.bytes = wt_dtype_size(self->dtype);
  job.slice = 1;
  for (wt_word d = dim + 1; d < self->ndim; d++) job.slice *= self->size[d];
  job.is_slice_dense = is_dense_behind(out, dim) && is_dense_behind(self, dim);
  wt_parallel_for(out->numel / job.slice, 16384 / job.slice + 1, select_range, &job);
  return atomic_load(&job.status);
}
