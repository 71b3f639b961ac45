/* Gradients along one dimension, from the forward's output:
 * softmax: out * (grad - sum(grad * out)); log_softmax: grad - exp(out) * sum(grad). */
#include <math.h>

#include "norm/lines.h"
#include "reduce/f32_columns.h"
#include "reduce/f32_runs.h"
#include "reduce/f64_runs.h"

/* Lines side by side that the column form takes together. */
#define TILE 64
/* Exponentials held at a time. */
#define CHUNK 256

typedef struct job {
  const wt_softmax_backward_args *args;
  wt_lines lines; /* tensor 0 is grad_input, 1 is grad_out, 2 is out */
  char *buffers;  /* two lines per thread, or NULL */
  size_t buffer_bytes;
  wt_word row_width, tiles; /* of the column form: lines side by side in memory, groups of them */
} job;

/* One contiguous line; grad_input may be grad_out or out. */
#define DEFINE_LINE(name, type, centered_dot, exp_sum)                                     \
  static void name(type *grad_input, const type *grad_out, const type *out, wt_word count, \
                   bool logarithm) {                                                       \
    double sum, dot;                                                                       \
    centered_dot(grad_out, out, count, 0, &sum, &dot);                                     \
    if (!logarithm) {                                                                      \
      const type mean = (type)dot;                                                         \
      for (wt_word i = 0; i < count; i++) grad_input[i] = out[i] * (grad_out[i] - mean);   \
      return;                                                                              \
    }                                                                                      \
    const type total = (type)sum;                                                          \
    type probability[CHUNK];                                                               \
    for (wt_word begin = 0; begin < count; begin += CHUNK) {                               \
      const wt_word n = wt_min_word(CHUNK, count - begin);                                 \
      (void)exp_sum(probability, out + begin, n, 0);                                       \
      for (wt_word i = 0; i < n; i++)                                                      \
        grad_input[begin + i] = grad_out[begin + i] - probability[i] * total;              \
    }                                                                                      \
  }
DEFINE_LINE(backward_floats, float, WT_F32_RUN(centered_dot), WT_F32_RUN(exp_sum))
DEFINE_LINE(backward_doubles, double, wt_f64_centered_dot, wt_f64_exp_sum)

static void backward_rows(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_lines *lines = &job->lines;
  const wt_softmax_backward_args *args = job->args;
  const bool logarithm = args->log != 0, doubles = args->out.dtype == WT_FLOAT64;
  char *buffer = job->buffers ? job->buffers + (size_t)thread * job->buffer_bytes : NULL;
  const wt_word n = lines->length;
  for (wt_word line = begin; line < end; line++) {
    void *to = wt_element(&args->grad_input, wt_line_offset(lines, 0, line));
    const void *grad = wt_element(&args->grad_out, wt_line_offset(lines, 1, line));
    const void *out = wt_element(&args->out, wt_line_offset(lines, 2, line));
    if (!buffer && doubles) {
      backward_doubles(to, grad, out, n, logarithm);
    } else if (!buffer) {
      backward_floats(to, grad, out, n, logarithm);
    } else if (doubles) {
      double *grad_line = (double *)buffer, *out_line = grad_line + n;
      wt_load_doubles(grad_line, grad, args->grad_out.dtype, lines->step[1], n);
      wt_load_doubles(out_line, out, args->out.dtype, lines->step[2], n);
      backward_doubles(grad_line, grad_line, out_line, n, logarithm);
      wt_store_doubles(to, args->grad_input.dtype, lines->step[0], grad_line, n);
    } else {
      float *grad_line = (float *)buffer, *out_line = grad_line + n;
      wt_load_floats(grad_line, grad, args->grad_out.dtype, lines->step[1], n);
      wt_load_floats(out_line, out, args->out.dtype, lines->step[2], n);
      backward_floats(grad_line, grad_line, out_line, n, logarithm);
      wt_store_floats(to, args->grad_input.dtype, lines->step[0], grad_line, n);
    }
  }
}

/* ---- float32 lines side by side ------------------------------------------------------------- */
static void backward_tile(const job *job, float *grad_input, const float *grad_out,
                          const float *out, wt_word width) {
  const wt_word *step = job->lines.step, length = job->lines.length;
  const float zero[TILE] = {0};
  double sums[TILE] = {0}, dots[TILE] = {0};
  float factor[TILE], probability[TILE];
  wt_f32_columns_centered_dot(sums, dots, zero, grad_out, step[1],
                              (wt_columns){out, step[2], length, width});
  const bool logarithm = job->args->log != 0;
  for (wt_word c = 0; c < width; c++) factor[c] = (float)(logarithm ? sums[c] : dots[c]);
  for (wt_word i = 0; i < length; i++) {
    float *to = grad_input + i * step[0];
    const float *g = grad_out + i * step[1], *y = out + i * step[2];
    if (logarithm) {
      (void)WT_F32_RUN(exp_sum)(probability, y, width, 0);
      for (wt_word c = 0; c < width; c++) to[c] = g[c] - probability[c] * factor[c];
    } else {
      for (wt_word c = 0; c < width; c++) to[c] = y[c] * (g[c] - factor[c]);
    }
  }
}

static void backward_columns(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_lines *lines = &job->lines;
  const wt_softmax_backward_args *args = job->args;
  (void)thread;
  for (wt_word item = begin; item < end; item++) {
    const wt_word column = item % job->tiles * TILE;
    const wt_word line = item / job->tiles * job->row_width + column;
    backward_tile(job, wt_element(&args->grad_input, wt_line_offset(lines, 0, line)),
                  wt_element(&args->grad_out, wt_line_offset(lines, 1, line)),
                  wt_element(&args->out, wt_line_offset(lines, 2, line)),
                  wt_min_word(TILE, job->row_width - column));
  }
}

/* ---- the kernel ---------------------------------------------------------------------------- */
WT_KERNEL(softmax_backward, 1) {
  const wt_softmax_backward_args *args = arguments;
  const wt_tensor *const tensors[] = {&args->grad_input, &args->grad_out, &args->out};
  job job = {.args = args};
  bool in_place = true;
  for (int t = 0; t < 3; t++) {
    const wt_element_class class = wt_class_of(tensors[t]->dtype);
    if (class != WT_CLASS_F32 && class != WT_CLASS_F64)
      return wt_fail(WT_UNSUPPORTED_DTYPE, tensors[t]->dtype, 0, 0);
    in_place &= tensors[t]->dtype == WT_FLOAT32 || tensors[t]->dtype == WT_FLOAT64;
    in_place &= tensors[t]->dtype == args->out.dtype;
  }
  if (!wt_lines_of(&job.lines, 3, tensors, args->dim))
    return wt_fail(WT_BAD_ARGUMENT, 4, args->dim, 0);
  const wt_lines *lines = &job.lines;
  if (lines->count == 0 || lines->length == 0) return WT_OK;

  const bool floats = in_place && args->out.dtype == WT_FLOAT32;
  in_place &= lines->step[0] == 1 && lines->step[1] == 1 && lines->step[2] == 1;
  if (!in_place && floats && wt_lines_side_by_side(lines, 3)) {
    job.row_width = lines->size[lines->outer_dims - 1];
    job.tiles = (job.row_width + TILE - 1) / TILE;
    wt_parallel_for(lines->count / job.row_width * job.tiles,
                    wt_grain(4 * (int64_t)lines->length * wt_min_word(TILE, job.row_width)),
                    backward_columns, &job);
    return WT_OK;
  }
  if (!in_place) {
    const size_t line_bytes = (size_t)lines->length * (args->out.dtype == WT_FLOAT64 ? 8 : 4);
    job.buffer_bytes = 2 * line_bytes;
    job.buffers = wt_alloc_many(2 * (uint64_t)wt_thread_limit(), line_bytes);
    if (!job.buffers) return WT_OUT_OF_MEMORY;
  }
  wt_parallel_for(lines->count, wt_grain(4 * (int64_t)lines->length), backward_rows, &job);
  if (job.buffers) wt_free(job.buffers);
  return WT_OK;
}
