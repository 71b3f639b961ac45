/* sort and topk: the elements of each slice along one dimension in order, all or the first k.
 *
 * Both are stable: equal elements keep the order of their positions, ascending or descending.
 */
#include "index/order.h"

typedef struct order_job {
  const wt_tensor *self, *values, *indices;
  wt_word dim, k;
  bool descending;
  wt_word length; /* of a slice along dim */
  wt_word ndim;   /* the other dimensions */
  wt_word size[WT_MAX_DIMS];
  wt_word self_stride[WT_MAX_DIMS], values_stride[WT_MAX_DIMS], indices_stride[WT_MAX_DIMS];
  char *scratch; /* of each thread: two arrays of keys and two of indices, `length` entries each */
} order_job;

/* ---- the first k by a heap ------------------------------------------------------------------ */
/* Whether entry a comes behind entry b: by key, then by position. */
static bool comes_after(uint64_t key_a, uint32_t index_a, uint64_t key_b, uint32_t index_b) {
  return key_a > key_b || (key_a == key_b && index_a > index_b);
}

/* Moves the entry at `at` of a heap, whose root is the last in order, down to its place. */
static void sift_down(uint64_t *keys, uint32_t *indices, wt_word count, wt_word at) {
  uint64_t key = keys[at];
  uint32_t index = indices[at];
  for (;;) {
    wt_word child = 2 * at + 1;
    if (child >= count) break;
    if (child + 1 < count &&
        comes_after(keys[child + 1], indices[child + 1], keys[child], indices[child])) {
      child++;
    }
    if (!comes_after(keys[child], indices[child], key, index)) break;
    keys[at] = keys[child];
    indices[at] = indices[child];
    at = child;
  }
  keys[at] = key;
  indices[at] = index;
}

/* Leaves in indices[0..k-1] the positions of the k first of `count` keys, in order. */
static void select_by_heap(const uint64_t *all, wt_word count, wt_word k, uint64_t *keys,
                           uint32_t *indices) {
  for (wt_word i = 0; i < k; i++) {
    keys[i] = all[i];
    indices[i] = (uint32_t)i;
  }
  for (wt_word i = k / 2 - 1; i >= 0; i--) sift_down(keys, indices, k, i);
  for (wt_word i = k; i < count; i++) {
    if (all[i] >= keys[0]) continue; /* later positions lose ties */
    keys[0] = all[i];
    indices[0] = (uint32_t)i;
    sift_down(keys, indices, k, 0);
  }
  for (wt_word rest = k - 1; rest > 0; rest--) {
    uint64_t key = keys[0];
    uint32_t index = indices[0];
    keys[0] = keys[rest], indices[0] = indices[rest];
    keys[rest] = key, indices[rest] = index;
    sift_down(keys, indices, rest, 0);
  }
}

/* ---- slices --------------------------------------------------------------------------------- */
static wt_word stride_along(const wt_tensor *tensor, wt_word dim) {
  return tensor->ndim > 0 ? tensor->stride[dim] : 0;
}

static uint64_t scratch_bytes(const order_job *job) {
  return (uint64_t)job->length * 2 * (sizeof(uint64_t) + sizeof(uint32_t));
}

static void order_slices(void *context, wt_word begin, wt_word end, int thread) {
  const order_job *job = context;
  wt_word dtype = job->self->dtype, length = job->length, k = job->k;
  wt_word bytes = (wt_word)wt_dtype_size(dtype);
  wt_word self_step = stride_along(job->self, job->dim) * bytes;
  wt_word values_step = stride_along(job->values, job->dim) * bytes;
  wt_word indices_step = stride_along(job->indices, job->dim);
  uint64_t *keys = (uint64_t *)(job->scratch + (size_t)thread * (size_t)scratch_bytes(job));
  uint64_t *spare_keys = keys + length;
  uint32_t *order = (uint32_t *)(spare_keys + length), *spare_order = order + length;
  for (wt_word slice = begin; slice < end; slice++) {
    const char *from = (const char *)job->self->data +
                       wt_offset_of(slice, job->ndim, job->size, job->self_stride) * bytes;
    char *to = (char *)job->values->data +
               wt_offset_of(slice, job->ndim, job->size, job->values_stride) * bytes;
    int64_t *to_indices = (int64_t *)job->indices->data +
                          wt_offset_of(slice, job->ndim, job->size, job->indices_stride);
    wt_order_keys(keys, from, length, self_step, dtype, job->descending);
    if (k <= length / 16) {
      select_by_heap(keys, length, k, spare_keys, order);
    } else {
      for (wt_word i = 0; i < length; i++) order[i] = (uint32_t)i;
      wt_order_sort(keys, order, spare_keys, spare_order, length, wt_order_bits(dtype));
    }
    for (wt_word i = 0; i < k; i++) {
      wt_element_copy(to + i * values_step, from + (wt_word)order[i] * self_step, (size_t)bytes);
      to_indices[i * indices_step] = order[i];
    }
  }
}

static int check(const order_job *job) {
  const wt_tensor *self = job->self, *values = job->values, *indices = job->indices;
  if (!wt_dtype_size(self->dtype) || values->dtype != self->dtype) {
    return wt_fail(WT_UNSUPPORTED_DTYPE, self->dtype, 0, 0);
  }
  if (indices->dtype != WT_INT64) return wt_fail(WT_UNSUPPORTED_DTYPE, indices->dtype, 0, 0);
  if (job->k < 0 || job->k > job->length) return wt_fail(WT_BAD_ARGUMENT, 3, job->k, 0);
  if ((int64_t)job->length > UINT32_MAX / 2) return wt_fail(WT_BAD_ARGUMENT, 2, job->length, 0);
  if (values->ndim != self->ndim || indices->ndim != self->ndim) {
    return wt_fail(WT_BAD_ARGUMENT, 0, values->ndim, 0);
  }
  for (wt_word d = 0; d < self->ndim; d++) {
    wt_word expected = d == job->dim ? job->k : self->size[d];
    if (values->size[d] != expected || indices->size[d] != expected) {
      return wt_fail(WT_BAD_ARGUMENT, 0, values->size[d], 0);
    }
  }
  return WT_OK;
}

static int run(order_job *job) {
  const wt_tensor *self = job->self;
  int status = check(job);
  if (status || !self->numel || !job->k) return status;
  for (wt_word d = 0; d < self->ndim; d++) {
    if (d == job->dim) continue;
    job->size[job->ndim] = self->size[d];
    job->self_stride[job->ndim] = self->stride[d];
    job->values_stride[job->ndim] = job->values->stride[d];
    job->indices_stride[job->ndim] = job->indices->stride[d];
    job->ndim++;
  }
  job->scratch = wt_alloc_many((uint64_t)wt_thread_limit(), scratch_bytes(job));
  if (!job->scratch) return WT_OUT_OF_MEMORY;
  wt_parallel_for(self->numel / job->length, 2048 / job->length + 1, order_slices, job);
  wt_free(job->scratch);
  return WT_OK;
}

/* ---- the kernels ---------------------------------------------------------------------------- */
static int check_dim(const wt_tensor *self, wt_word dim) {
  bool is_valid = dim >= 0 && (dim == 0 || dim < self->ndim);
  return is_valid ? WT_OK : wt_fail(WT_BAD_ARGUMENT, 3, dim, 0);
}

/* values and indices have the shape of self; values must not overlap self. */
WT_KERNEL(sort, 1) {
  const wt_sort_args *args = arguments;
  int status = check_dim(&args->self, args->dim);
  if (status) return status;
  order_job job = {.self = &args->self, .values = &args->values, .indices = &args->indices};
  job.length = job.k = args->self.ndim > 0 ? args->self.size[args->dim] : 1;
  job.dim = args->dim;
  job.descending = args->descending != 0;
  return run(&job);
}

/* values and indices have the shape of self, but size k along dim. */
WT_KERNEL(topk, 1) {
  const wt_topk_args *args = arguments;
  int status = check_dim(&args->self, args->dim);
  if (status) return status;
  order_job job = {.self = &args->self, .values = &args->values, .indices = &args->indices};
  job.length = args->self.ndim > 0 ? args->self.size[args->dim] : 1;
  job.k = args->k;
  job.dim = args->dim;
  job.descending = args->largest != 0;
  return run(&job);
}
