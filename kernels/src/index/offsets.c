/* Advanced indexing in two steps: index_offset turns indices into element offsets, dimension by
 * dimension; gather_offsets and scatter_offsets read and write at those offsets. */
#include <stdatomic.h>

#include "index/element.h"

/* ---- index_offset --------------------------------------------------------------------------- */
typedef struct offset_job {
  const wt_index_offset_args *args;
  atomic_int status;
} offset_job;

/* Items are the rows (all dimensions but the last) of out. */
static void offset_rows(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  offset_job *job = context;
  const wt_tensor *out = &job->args->out, *index = &job->args->index;
  wt_word size = job->args->size, stride = job->args->stride;
  wt_word last = out->ndim - 1, columns = last >= 0 ? out->size[last] : 1;
  wt_word out_step = last >= 0 ? out->stride[last] : 0;
  wt_word bytes = (wt_word)wt_dtype_size(index->dtype);
  wt_word index_step = last >= 0 ? index->stride[last] * bytes : 0;
  for (wt_word row = begin; row < end; row++) {
    int64_t *to = (int64_t *)out->data + wt_offset_of(row, last, out->size, out->stride);
    const char *from =
        (const char *)index->data + wt_offset_of(row, last, out->size, index->stride) * bytes;
    for (wt_word c = 0; c < columns; c++) {
      int64_t i = wt_element_load_integer(from + c * index_step, index->dtype);
      if (i < -size || i >= size) {
        atomic_store(&job->status, wt_fail(WT_INDEX_OUT_OF_RANGE, i, job->args->dim, size));
        return;
      }
      to[c * out_step] += (i < 0 ? i + size : i) * stride;
    }
  }
}

static bool have_one_shape(const wt_tensor *a, const wt_tensor *b) {
  if (a->ndim != b->ndim) return false;
  for (wt_word d = 0; d < a->ndim; d++) {
    if (a->size[d] != b->size[d]) return false;
  }
  return true;
}

WT_KERNEL(index_offset, 1) {
  const wt_index_offset_args *args = arguments;
  const wt_tensor *out = &args->out, *index = &args->index;
  if (out->dtype != WT_INT64) return wt_fail(WT_UNSUPPORTED_DTYPE, out->dtype, 0, 0);
  if (wt_is_floating(index->dtype)) return wt_fail(WT_UNSUPPORTED_DTYPE, index->dtype, 0, 0);
  if (!have_one_shape(out, index)) return wt_fail(WT_BAD_ARGUMENT, 1, index->ndim, 0);
  if (!out->numel) return WT_OK;
  wt_word columns = out->ndim > 0 ? out->size[out->ndim - 1] : 1;
  offset_job job = {.args = args};
  wt_parallel_for(out->numel / columns, 16384 / columns + 1, offset_rows, &job);
  return atomic_load(&job.status);
}

/* ---- gather and scatter --------------------------------------------------------------------- */
/* `self` is the tensor that the offsets point into, `values` the one of their shape. Rows are all
 * dimensions but the last; threads take some rows, or some columns of all rows. */
typedef struct move_job {
  const wt_tensor *self, *offsets, *values;
  size_t bytes;
  wt_word rows, columns;
  bool scatter, accumulate;
} move_job;

WT_INLINE void move_element(char *self, char *value, wt_word dtype, size_t bytes, bool scatter,
                            bool accumulate) {
  if (!scatter) {
    wt_element_copy(value, self, bytes);
  } else if (accumulate) {
    wt_element_combine(self, value, dtype, WT_SCATTER_add);
  } else {
    wt_element_copy(self, value, bytes);
  }
}

/* Columns begin..end-1 of one row. */
WT_INLINE void move_row(const move_job *job, wt_word row, wt_word begin, wt_word end, wt_word dtype,
                        size_t size) {
  const wt_tensor *self = job->self, *offsets = job->offsets, *values = job->values;
  wt_word bytes = (wt_word)size, last = values->ndim - 1;
  wt_word self_step = last >= 0 ? self->stride[last] : 0;
  wt_word value_step = last >= 0 ? values->stride[last] : 0;
  wt_word offset_step = last >= 0 ? offsets->stride[last] : 0;
  char *base = (char *)self->data + wt_offset_of(row, last, values->size, self->stride) * bytes;
  char *value =
      (char *)values->data + wt_offset_of(row, last, values->size, values->stride) * bytes;
  const int64_t *offset =
      (const int64_t *)offsets->data + wt_offset_of(row, last, values->size, offsets->stride);
  if (!job->scatter && offset_step == 0 && self_step == 1 && value_step == 1) {
    memcpy(value + begin * bytes, base + ((wt_word)offset[0] + begin) * bytes,
           (size_t)((end - begin) * bytes));
    return;
  }
  for (wt_word c = begin; c < end; c++) {
    move_element(base + (c * self_step + (wt_word)offset[c * offset_step]) * bytes,
                 value + c * value_step * bytes, dtype, size, job->scatter, job->accumulate);
  }
}

static void move_row_any(const move_job *job, wt_word row, wt_word begin, wt_word end) {
  wt_word dtype = job->self->dtype;
  switch (dtype) {
    case WT_FLOAT32:
      move_row(job, row, begin, end, WT_FLOAT32, 4);
      break;
    case WT_INT64:
      move_row(job, row, begin, end, WT_INT64, 8);
      break;
    default:
      move_row(job, row, begin, end, dtype, job->bytes);
      break;
  }
}

static void move_rows(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const move_job *job = context;
  for (wt_word row = begin; row < end; row++) move_row_any(job, row, 0, job->columns);
}

static void move_columns(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const move_job *job = context;
  for (wt_word row = 0; row < job->rows; row++) move_row_any(job, row, begin, end);
}

static int check_move(const wt_tensor *self, const wt_tensor *offsets, const wt_tensor *values) {
  if (!wt_dtype_size(self->dtype) || values->dtype != self->dtype) {
    return wt_fail(WT_UNSUPPORTED_DTYPE, self->dtype, 0, 0);
  }
  if (offsets->dtype != WT_INT64) return wt_fail(WT_UNSUPPORTED_DTYPE, offsets->dtype, 0, 0);
  if (!have_one_shape(values, offsets)) return wt_fail(WT_BAD_ARGUMENT, 1, offsets->ndim, 0);
  if (!have_one_shape(values, self)) return wt_fail(WT_BAD_ARGUMENT, 0, self->ndim, 0);
  return WT_OK;
}

static move_job plan_move(const wt_tensor *self, const wt_tensor *offsets,
                          const wt_tensor *values) {
  move_job job = {.self = self, .offsets = offsets, .values = values};
  job.bytes = wt_dtype_size(self->dtype);
  job.columns = values->ndim > 0 ? values->size[values->ndim - 1] : 1;
  job.rows = values->numel / job.columns;
  return job;
}

WT_KERNEL(gather_offsets, 1) {
  const wt_gather_offsets_args *args = arguments;
  int status = check_move(&args->self, &args->offsets, &args->out);
  if (status || !args->out.numel) return status;
  move_job job = plan_move(&args->self, &args->offsets, &args->out);
  wt_parallel_for(job.rows, 16384 / job.columns + 1, move_rows, &job);
  return WT_OK;
}

/* Positions may meet in one element, so they are handled in row-major order; threads divide the
 * columns where those are not indexed and so cannot meet. */
WT_KERNEL(scatter_offsets, 1) {
  const wt_scatter_offsets_args *args = arguments;
  int status = check_move(&args->self, &args->offsets, &args->values);
  if (status || !args->values.numel) return status;
  move_job job = plan_move(&args->self, &args->offsets, &args->values);
  job.scatter = true;
  job.accumulate = args->accumulate != 0;
  wt_word last = args->self.ndim - 1;
  bool columns_are_apart = last >= 0 && job.columns > 1 && args->offsets.stride[last] == 0 &&
                           args->self.stride[last] != 0;
  if (!columns_are_apart) {
    move_rows(&job, 0, job.rows, 0);
    return WT_OK;
  }
  wt_word grain = 16384 / job.rows + 1;
  wt_parallel_for(job.columns, grain < 16 ? 16 : grain, move_columns, &job);
  return WT_OK;
}
