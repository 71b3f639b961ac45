/* Running sums, products, extremes and log-sum-exps along one dimension.
 *
 * As torch: float sums and products run in float64, integer ones wrap in int64; cummax and cummin
 * give the last of equal elements and stay with NaN once one is met.
 */
#include <math.h>

#include "reduce/elements.h"

/* Elements converted at a time. */
#define CHUNK 256

typedef struct job {
  const wt_scan_args *args;
  wt_element_class class;
  int outer_dims;
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS]; /* of self, without the scanned dimension */
  wt_word out_stride[WT_MAX_DIMS], indices_stride[WT_MAX_DIMS];
  wt_word length;
} job;

/* What one line carries from chunk to chunk. */
typedef struct carry {
  double value;
  int64_t integer, index;
} carry;

static carry start_of(const job *job) {
  switch (job->args->op) {
    case WT_SCAN_cumprod:
      return (carry){1, 1, 0};
    case WT_SCAN_cummax:
      return (carry){-INFINITY, INT64_MIN, 0};
    case WT_SCAN_cummin:
      return (carry){INFINITY, INT64_MAX, 0};
    case WT_SCAN_logcumsumexp:
      return (carry){-INFINITY, 0, 0};
    default:
      return (carry){0, 0, 0};
  }
}

/* log(exp(a) + exp(b)); equal infinities give themselves, and NaN in either gives NaN. */
static double log_add_exp(double a, double b) {
  if (a != a || b != b) return NAN;
  const double low = a < b ? a : b, high = a < b ? b : a;
  return isinf(high) ? high : high + log1p(exp(low - high));
}

static void scan_integers(wt_scan_op op, carry *carry, int64_t *x, int64_t *indices, wt_word first,
                          wt_word count) {
  for (wt_word i = 0; i < count; i++) {
    const uint64_t before = (uint64_t)carry->integer, v = (uint64_t)x[i];
    switch (op) {
      case WT_SCAN_cumsum:
        carry->integer = (int64_t)(before + v);
        break;
      case WT_SCAN_cumprod:
        carry->integer = (int64_t)(before * v);
        break;
      default:
        if (op == WT_SCAN_cummax ? x[i] >= carry->integer : x[i] <= carry->integer) {
          carry->integer = x[i];
          carry->index = first + i;
        }
        indices[i] = carry->index;
    }
    x[i] = carry->integer;
  }
}

static void scan_doubles(wt_scan_op op, carry *carry, double *x, int64_t *indices, wt_word first,
                         wt_word count) {
  double value = carry->value;
  switch (op) {
    case WT_SCAN_cumsum:
      for (wt_word i = 0; i < count; i++) x[i] = value += x[i];
      break;
    case WT_SCAN_cumprod:
      for (wt_word i = 0; i < count; i++) x[i] = value *= x[i];
      break;
    case WT_SCAN_logcumsumexp:
      for (wt_word i = 0; i < count; i++) x[i] = value = log_add_exp(x[i], value);
      break;
    default:
      for (wt_word i = 0; i < count; i++) {
        if (x[i] != x[i] || (op == WT_SCAN_cummax ? x[i] >= value : x[i] <= value)) {
          value = x[i];
          carry->index = first + i;
        }
        x[i] = value;
        indices[i] = carry->index;
      }
  }
  carry->value = value;
}

/* Scans elements first..first+count-1 of one line; offsets are those of the line's first element.
 */
static void scan_chunk(const job *job, carry *carry, wt_word first, wt_word count, wt_word offset,
                       wt_word out_offset, wt_word indices_offset) {
  const wt_scan_args *args = job->args;
  const wt_tensor *self = &args->self, *out = &args->out;
  const wt_word step = self->stride[args->dim], out_step = out->stride[args->dim];
  const void *from = wt_element(self, offset + first * step);
  void *to = wt_element(out, out_offset + first * out_step);
  int64_t indices[CHUNK];
  union {
    double doubles[CHUNK];
    int64_t integers[CHUNK];
  } line;
  if (job->class == WT_CLASS_I64) {
    wt_load_integers(line.integers, from, self->dtype, step, count);
    scan_integers((wt_scan_op)args->op, carry, line.integers, indices, first, count);
    wt_store_integers(to, out->dtype, out_step, line.integers, count);
  } else {
    wt_load_doubles(line.doubles, from, self->dtype, step, count);
    scan_doubles((wt_scan_op)args->op, carry, line.doubles, indices, first, count);
    wt_store_doubles(to, out->dtype, out_step, line.doubles, count);
  }
  if (wt_is_present(&args->indices)) {
    const wt_word indices_step = args->indices.stride[args->dim];
    wt_store_integers(wt_element(&args->indices, indices_offset + first * indices_step), WT_INT64,
                      indices_step, indices, count);
  }
}

/* Lines in groups of LINES, chunk by chunk, so that neighbouring lines share cache lines where the
 * scanned dimension is not the innermost. */
#define LINES 16

static void scan_lines(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  (void)thread;
  const bool wants_indices = wt_is_present(&job->args->indices);
  for (wt_word group = begin; group < end; group += LINES) {
    const wt_word lines = wt_min_word(LINES, end - group);
    carry carries[LINES];
    wt_word offset[LINES], out_offset[LINES], indices_offset[LINES];
    for (wt_word k = 0; k < lines; k++) {
      carries[k] = start_of(job);
      offset[k] = wt_offset_of(group + k, job->outer_dims, job->size, job->stride);
      out_offset[k] = wt_offset_of(group + k, job->outer_dims, job->size, job->out_stride);
      indices_offset[k] =
          wants_indices ? wt_offset_of(group + k, job->outer_dims, job->size, job->indices_stride)
                        : 0;
    }
    for (wt_word first = 0; first < job->length; first += CHUNK)
      for (wt_word k = 0; k < lines; k++)
        scan_chunk(job, &carries[k], first, wt_min_word(CHUNK, job->length - first), offset[k],
                   out_offset[k], indices_offset[k]);
  }
}

static bool same_sizes(const wt_tensor *a, const wt_tensor *b) {
  if (a->ndim != b->ndim) return false;
  for (wt_word d = 0; d < a->ndim; d++)
    if (a->size[d] != b->size[d]) return false;
  return true;
}

WT_KERNEL(scan, 1) {
  const wt_scan_args *args = arguments;
  const wt_tensor *self = &args->self, *out = &args->out, *indices = &args->indices;
  if (args->op < 0 || args->op >= WT_SCAN_COUNT) return wt_fail(WT_BAD_ARGUMENT, 5, args->op, 0);
  const bool is_extreme = args->op == WT_SCAN_cummax || args->op == WT_SCAN_cummin;
  if (args->dim < 0 || args->dim >= (self->ndim ? self->ndim : 1))
    return wt_fail(WT_BAD_ARGUMENT, 4, args->dim, 0);
  if (!same_sizes(out, self)) return wt_fail(WT_BAD_ARGUMENT, 1, out->ndim, 0);
  if (wt_is_present(indices) && (!is_extreme || !same_sizes(indices, self)))
    return wt_fail(WT_BAD_ARGUMENT, 2, indices->ndim, 0);
  if (wt_is_present(indices) && indices->dtype != WT_INT64)
    return wt_fail(WT_UNSUPPORTED_DTYPE, indices->dtype, 0, 0);

  job job = {.args = args, .class = wt_class_of(self->dtype), .length = 1};
  const bool float_only = args->op == WT_SCAN_logcumsumexp;
  if (job.class == WT_CLASS_NONE || (job.class == WT_CLASS_I64 && float_only))
    return wt_fail(WT_UNSUPPORTED_DTYPE, self->dtype, 0, 0);
  const wt_element_class out_class = wt_class_of(out->dtype);
  if (out_class == WT_CLASS_NONE || (out_class == WT_CLASS_I64 && job.class != WT_CLASS_I64))
    return wt_fail(WT_UNSUPPORTED_DTYPE, out->dtype, 0, 0);
  wt_word lines = 1;
  for (wt_word d = 0; d < self->ndim; d++) {
    if (d == args->dim) {
      job.length = self->size[d];
      continue;
    }
    const int outer = job.outer_dims++;
    job.size[outer] = self->size[d];
    job.stride[outer] = self->stride[d];
    job.out_stride[outer] = out->stride[d];
    job.indices_stride[outer] = indices->stride[d];
    lines *= self->size[d];
  }
  if (lines > 0 && job.length > 0) wt_parallel_for(lines, wt_grain(job.length), scan_lines, &job);
  return WT_OK;
}
