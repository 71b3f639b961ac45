/* softmax and log_softmax along one dimension: exp(x - max) / sum, and x - max - log(sum). A line
 * that is all -inf gives NaN, as in torch. */
#include <math.h>

#include "norm/lines.h"
#include "pointwise/vector_math.h"
#include "reduce/f32_columns.h"
#include "reduce/f32_runs.h"
#include "reduce/f64_runs.h"

/* Lines side by side that the column form takes together. */
#define TILE 64

typedef struct job {
  const wt_softmax_args *args;
  wt_lines lines; /* tensor 0 is out, 1 is self */
  char *buffers;  /* one line per thread, or NULL */
  size_t buffer_bytes;
  wt_word row_width, tiles; /* of the column form: lines side by side in memory, groups of them */
} job;

/* ---- one contiguous line; out may be x ------------------------------------------------------ */
#define DEFINE_LINE(name, type, max_of, exp_sum)                              \
  static void name(type *out, const type *x, wt_word count, bool logarithm) { \
    const type maximum = max_of(x, count);                                    \
    const double sum = exp_sum(logarithm ? NULL : out, x, count, maximum);    \
    if (logarithm) {                                                          \
      const type log_sum = (type)log(sum);                                    \
      for (wt_word i = 0; i < count; i++) out[i] = x[i] - maximum - log_sum;  \
    } else {                                                                  \
      const type scale = (type)(1.0 / sum);                                   \
      for (wt_word i = 0; i < count; i++) out[i] *= scale;                    \
    }                                                                         \
  }
DEFINE_LINE(softmax_floats, float, WT_F32_RUN(max), WT_F32_RUN(exp_sum))
DEFINE_LINE(softmax_doubles, double, wt_f64_max, wt_f64_exp_sum)

static void softmax_rows(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_lines *lines = &job->lines;
  const wt_tensor *out = &job->args->out, *self = &job->args->self;
  const bool logarithm = job->args->log != 0, doubles = self->dtype == WT_FLOAT64;
  void *buffer = job->buffers ? job->buffers + (size_t)thread * job->buffer_bytes : NULL;
  for (wt_word line = begin; line < end; line++) {
    void *to = wt_element(out, wt_line_offset(lines, 0, line));
    const void *from = wt_element(self, wt_line_offset(lines, 1, line));
    if (!buffer && doubles) {
      softmax_doubles(to, from, lines->length, logarithm);
    } else if (!buffer) {
      softmax_floats(to, from, lines->length, logarithm);
    } else if (doubles) {
      wt_load_doubles(buffer, from, self->dtype, lines->step[1], lines->length);
      softmax_doubles(buffer, buffer, lines->length, logarithm);
      wt_store_doubles(to, out->dtype, lines->step[0], buffer, lines->length);
    } else {
      wt_load_floats(buffer, from, self->dtype, lines->step[1], lines->length);
      softmax_floats(buffer, buffer, lines->length, logarithm);
      wt_store_floats(to, out->dtype, lines->step[0], buffer, lines->length);
    }
  }
}

/* ---- float32 lines side by side ------------------------------------------------------------- */
/* out[c] = exp(x[c] - maximum[c]) where out is given, and sums[c] += it. */
static void exp_row(float *out, float *sums, const float *x, const float *maximum, wt_word width) {
  wt_word c = 0;
#if !WT_USE_REFERENCE
  for (; c + 4 <= width; c += 4) {
    const wt_f32x4 e = wt_f32x4_exp(wt_f32x4_load(x + c) - wt_f32x4_load(maximum + c));
    wt_f32x4_store(sums + c, wt_f32x4_load(sums + c) + e);
    if (out) wt_f32x4_store(out + c, e);
  }
#endif
  for (; c < width; c++) {
    const float e = expf(x[c] - maximum[c]);
    sums[c] += e;
    if (out) out[c] = e;
  }
}

static void softmax_tile(float *out, wt_word out_step, const float *x, wt_word step, wt_word length,
                         wt_word width, bool logarithm) {
  float maximum[TILE], scale[TILE], block_sums[TILE];
  double sums[TILE] = {0};
  for (wt_word c = 0; c < width; c++) maximum[c] = -INFINITY;
  wt_f32_columns_max(maximum, (wt_columns){x, step, length, width});
  for (wt_word begin = 0; begin < length; begin += WT_COLUMN_ROWS) {
    const wt_word stop = wt_min_word(length, begin + WT_COLUMN_ROWS);
    for (wt_word c = 0; c < width; c++) block_sums[c] = 0;
    for (wt_word i = begin; i < stop; i++)
      exp_row(logarithm ? NULL : out + i * out_step, block_sums, x + i * step, maximum, width);
    for (wt_word c = 0; c < width; c++) sums[c] += (double)block_sums[c];
  }
  for (wt_word c = 0; c < width; c++) scale[c] = (float)(logarithm ? log(sums[c]) : 1.0 / sums[c]);
  for (wt_word i = 0; i < length; i++) {
    float *to = out + i * out_step;
    const float *from = x + i * step;
    if (logarithm)
      for (wt_word c = 0; c < width; c++) to[c] = from[c] - maximum[c] - scale[c];
    else
      for (wt_word c = 0; c < width; c++) to[c] *= scale[c];
  }
}

static void softmax_columns(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_lines *lines = &job->lines;
  (void)thread;
  for (wt_word item = begin; item < end; item++) {
    const wt_word column = item % job->tiles * TILE;
    const wt_word line = item / job->tiles * job->row_width + column;
    softmax_tile(wt_element(&job->args->out, wt_line_offset(lines, 0, line)), lines->step[0],
                 wt_element(&job->args->self, wt_line_offset(lines, 1, line)), lines->step[1],
                 lines->length, wt_min_word(TILE, job->row_width - column), job->args->log != 0);
  }
}

/* ---- the kernel ---------------------------------------------------------------------------- */
static bool lies_in_columns(const job *job) {
  return job->args->self.dtype == WT_FLOAT32 && job->args->out.dtype == WT_FLOAT32 &&
         wt_lines_side_by_side(&job->lines, 2);
}

static bool lies_in_rows(const job *job) {
  const wt_word dtype = job->args->self.dtype;
  return dtype == job->args->out.dtype && (dtype == WT_FLOAT32 || dtype == WT_FLOAT64) &&
         job->lines.step[0] == 1 && job->lines.step[1] == 1;
}

WT_KERNEL(softmax, 1) {
  const wt_softmax_args *args = arguments;
  const wt_tensor *const tensors[] = {&args->out, &args->self};
  job job = {.args = args};
  const wt_element_class class = wt_class_of(args->self.dtype);
  if (class != WT_CLASS_F32 && class != WT_CLASS_F64)
    return wt_fail(WT_UNSUPPORTED_DTYPE, args->self.dtype, 0, 0);
  if (wt_class_of(args->out.dtype) == WT_CLASS_I64 || wt_dtype_size(args->out.dtype) == 0)
    return wt_fail(WT_UNSUPPORTED_DTYPE, args->out.dtype, 0, 0);
  if (!wt_lines_of(&job.lines, 2, tensors, args->dim))
    return wt_fail(WT_BAD_ARGUMENT, 3, args->dim, 0);
  const wt_lines *lines = &job.lines;
  if (lines->count == 0 || lines->length == 0) return WT_OK;

  if (lies_in_rows(&job)) {
    wt_parallel_for(lines->count, wt_grain(4 * (int64_t)lines->length), softmax_rows, &job);
  } else if (lies_in_columns(&job)) {
    job.row_width = lines->size[lines->outer_dims - 1];
    job.tiles = (job.row_width + TILE - 1) / TILE;
    wt_parallel_for(lines->count / job.row_width * job.tiles,
                    wt_grain(4 * (int64_t)lines->length * wt_min_word(TILE, job.row_width)),
                    softmax_columns, &job);
  } else {
    job.buffer_bytes = (size_t)lines->length * (class == WT_CLASS_F64 ? 8 : 4);
    job.buffers = wt_alloc_many((uint64_t)wt_thread_limit(), job.buffer_bytes);
    if (!job.buffers) return WT_OUT_OF_MEMORY;
    wt_parallel_for(lines->count, wt_grain(4 * (int64_t)lines->length), softmax_rows, &job);
    wt_free(job.buffers);
  }
  return WT_OK;
}
