/* fill, arange, linspace, triangle: tensors made from numbers. */
#include "pointwise/row.h"

#include <string.h>

WT_KERNEL(fill, 1) {
  const wt_fill_args *args = arguments;
  size_t element = wt_dtype_size(args->out.dtype);
  if (element == 0) return wt_fail(WT_UNSUPPORTED_DTYPE, args->out.dtype, 0, 0);
  _Alignas(16) char splat[WT_SPLAT_BYTES];
  wt_scalar value = args->value;
  if (args->out.dtype == WT_BOOL) value.i = value.i != 0 || value.f != 0;
  wt_splat_scalar(splat, &value, (int)args->out.dtype);
  wt_plan plan;
  int status = wt_plan_begin(&plan, &args->out, (int)args->out.dtype);
  if (status != WT_OK) return status;
  wt_plan_splat(&plan, splat, element);
  return wt_plan_run(&plan);
}

/* ---- sequences ------------------------------------------------------------------------------ */
/* Element k of a sequence, computed in int64 for integer dtypes or in float64, then converted. */
typedef struct sequence {
  const wt_tensor *out;
  void (*compute)(const struct sequence *sequence, wt_word begin, wt_word count, void *buffer);
  wt_scalar start, step;
  double end;
  int row_dtype;
} sequence;

#define SEQUENCE_BLOCK 256

static void write_sequence(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const sequence *sequence = context;
  const wt_tensor *out = sequence->out;
  _Alignas(16) char buffer[SEQUENCE_BLOCK * 8];
  wt_word row_element = (wt_word)wt_dtype_size(sequence->row_dtype);
  wt_word stride = out->ndim > 0 ? out->stride[0] * (wt_word)wt_dtype_size(out->dtype) : 0;
  wt_move move = wt_move_between((int)out->dtype, sequence->row_dtype);
  for (wt_word block = begin; block < end; block++) {
    wt_word first = block * SEQUENCE_BLOCK, count = out->numel - first;
    if (count > SEQUENCE_BLOCK) count = SEQUENCE_BLOCK;
    sequence->compute(sequence, first, count, buffer);
    move(&(wt_block){(char *)out->data + first * stride, buffer, stride, 0, row_element, 0, count,
                     1});
  }
}

static int run_sequence(sequence *sequence) {
  const wt_tensor *out = sequence->out;
  if (wt_dtype_size(out->dtype) == 0) return wt_fail(WT_UNSUPPORTED_DTYPE, out->dtype, 0, 0);
  if (out->ndim > 1) return wt_fail(WT_BAD_ARGUMENT, 0, out->ndim, 0);
  wt_word blocks = (out->numel + SEQUENCE_BLOCK - 1) / SEQUENCE_BLOCK;
  wt_parallel_for(blocks, WT_GRAIN_CHEAP / SEQUENCE_BLOCK, write_sequence, sequence);
  return WT_OK;
}

static void arange_float64(const sequence *sequence, wt_word begin, wt_word count, void *buffer) {
  double *out = buffer;
  for (wt_word i = 0; i < count; i++) {
    out[i] = sequence->start.f + (double)(begin + i) * sequence->step.f;
  }
}
static void arange_int64(const sequence *sequence, wt_word begin, wt_word count, void *buffer) {
  int64_t *out = buffer;
  for (wt_word i = 0; i < count; i++) {
    uint64_t distance = (uint64_t)(begin + i) * (uint64_t)sequence->step.i;
    out[i] = (int64_t)((uint64_t)sequence->start.i + distance);
  }
}

WT_KERNEL(arange, 1) {
  const wt_arange_args *args = arguments;
  bool floating = wt_is_float(args->out.dtype);
  sequence sequence = {.out = &args->out,
                       .compute = floating ? arange_float64 : arange_int64,
                       .start = args->start,
                       .step = args->step,
                       .row_dtype = floating ? WT_FLOAT64 : WT_INT64};
  return run_sequence(&sequence);
}

/* Each half counts from its own end, so that both ends are exact. */
static void linspace_float64(const sequence *sequence, wt_word begin, wt_word count, void *buffer) {
  double *out = buffer;
  wt_word total = sequence->out->numel;
  for (wt_word i = 0; i < count; i++) {
    wt_word k = begin + i;
    out[i] = k < total / 2 ? sequence->start.f + sequence->step.f * (double)k
                           : sequence->end - sequence->step.f * (double)(total - 1 - k);
  }
}
/* Rounded as float32 arithmetic rounds. */
static void linspace_float32(const sequence *sequence, wt_word begin, wt_word count, void *buffer) {
  float *out = buffer, start = (float)sequence->start.f, end = (float)sequence->end;
  wt_word total = sequence->out->numel;
  float step = total > 1 ? (end - start) / (float)(total - 1) : 0;
  for (wt_word i = 0; i < count; i++) {
    wt_word k = begin + i;
    out[i] = k < total / 2 ? start + step * (float)k : end - step * (float)(total - 1 - k);
  }
}

WT_KERNEL(linspace, 1) {
  const wt_linspace_args *args = arguments;
  wt_word total = args->out.numel;
  bool narrow = args->out.dtype == WT_FLOAT32 || wt_is_half(args->out.dtype);
  sequence sequence = {.out = &args->out,
                       .compute = narrow ? linspace_float32 : linspace_float64,
                       .start = {.f = args->start},
                       .end = args->end,
                       .row_dtype = narrow ? WT_FLOAT32 : WT_FLOAT64};
  sequence.step.f = total > 1 ? (args->end - args->start) / (double)(total - 1) : 0;
  if (total == 1) sequence.end = args->start;
  return run_sequence(&sequence);
}

/* ---- triangle ------------------------------------------------------------------------------- */
typedef struct triangle_job {
  const wt_triangle_args *args;
  wt_word element;
} triangle_job;

/* The byte offset of row `index` of all rows, over the dimensions but the last. */
static wt_word row_offset(const wt_tensor *tensor, wt_word index, wt_word element) {
  wt_word offset = 0;
  for (wt_word d = tensor->ndim - 2; d >= 0; d--) {
    offset += index % tensor->size[d] * tensor->stride[d];
    index /= tensor->size[d];
  }
  return offset * element;
}

static void write_triangle(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const triangle_job *job = context;
  const wt_tensor *out = &job->args->out, *self = &job->args->self;
  wt_word ndim = out->ndim, columns = out->size[ndim - 1], element = job->element;
  wt_word out_stride = out->stride[ndim - 1] * element;
  wt_word self_stride = self->stride[ndim - 1] * element;
  wt_move move = wt_move_raw((size_t)element);
  static const uint64_t zero;
  for (wt_word row = begin; row < end; row++) {
    char *to = (char *)out->data + row_offset(out, row, element);
    const char *from = (const char *)self->data + row_offset(self, row, element);
    /* Columns before `split` are below the kept diagonal (upper) or kept (lower). */
    int64_t split =
        (int64_t)(row % out->size[ndim - 2]) + job->args->diagonal + (job->args->upper ? 0 : 1);
    wt_word left = split < 0 ? 0 : split > columns ? columns : (wt_word)split;
    bool upper = job->args->upper != 0;
    move(&(wt_block){to, upper ? (const void *)&zero : from, out_stride, 0, upper ? 0 : self_stride,
                     0, left, 1});
    move(&(wt_block){to + left * out_stride,
                     upper ? from + left * self_stride : (const void *)&zero, out_stride, 0,
                     upper ? self_stride : 0, 0, columns - left, 1});
  }
}

WT_KERNEL(triangle, 1) {
  const wt_triangle_args *args = arguments;
  const wt_tensor *out = &args->out, *self = &args->self;
  triangle_job job = {args, (wt_word)wt_dtype_size(out->dtype)};
  if (job.element == 0 || self->dtype != out->dtype) {
    return wt_fail(WT_UNSUPPORTED_DTYPE, self->dtype, 0, 0);
  }
  if (out->ndim < 2 || self->ndim != out->ndim) return wt_fail(WT_BAD_ARGUMENT, 0, out->ndim, 0);
  wt_word rows = 1, columns = out->size[out->ndim - 1];
  for (wt_word d = 0; d < out->ndim; d++) {
    if (self->size[d] != out->size[d]) return wt_fail(WT_BAD_ARGUMENT, 1, self->size[d], 0);
    if (d < out->ndim - 1) rows *= out->size[d];
  }
  if (columns == 0 || rows == 0) return WT_OK;
  wt_word grain = WT_GRAIN_CHEAP / columns;
  wt_parallel_for(rows, grain > 1 ? grain : 1, write_triangle, &job);
  return WT_OK;
}
