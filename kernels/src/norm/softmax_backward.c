/* Gradients along one dimension, from the forward's output:
 * softmax: out * (grad - sum(grad * out)); log_softmax: grad - exp(out) * sum(grad). */
#include <math.h>

#include "norm/lines.h"
#include "reduce/f32_runs.h"
#include "reduce/f64_runs.h"

/* Exponentials held at a time. */
#define CHUNK 256

typedef struct job {
  const wt_softmax_backward_args *args;
  wt_lines lines; /* tensor 0 is grad_input, 1 is grad_out, 2 is out */
  char *buffers;  /* two lines per thread, or NULL */
  size_t buffer_bytes;
} job;

/* One contiguous line; grad_input may be grad_out or out. */
#define DEFINE_LINE(name, type, centered_dot, exp_sum)                                           \
  static void name(type *grad_input, const type *grad_out, const type *out, wt_word count,       \
                   bool logarithm) {                                                             \
    double sum, dot;                                                                             \
    centered_dot(grad_out, out, count, 0, &sum, &dot);                                           \
    if (!logarithm) {                                                                            \
      const type mean = (type)dot;                                                               \
      for (wt_word i = 0; i < count; i++) grad_input[i] = out[i] * (grad_out[i] - mean);         \
      return;                                                                                    \
    }                                                                                            \
    const type total = (type)sum;                                                                \
    type probability[CHUNK];                                                                     \
    for (wt_word begin = 0; begin < count; begin += CHUNK) {                                     \
      const wt_word n = wt_min_word(CHUNK, count - begin);                                       \
      (void)exp_sum(probability, out + begin, n, 0);                                             \
      for (wt_word i = 0; i < n; i++)                                                            \
        grad_input[begin + i] = grad_out[begin + i] - probability[i] * total;                    \
    }                                                                                            \
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

  in_place &= lines->step[0] == 1 && lines->step[1] == 1 && lines->step[2] == 1;
  if (!in_place) {
    job.buffer_bytes = 2 * (size_t)lines->length * (args->out.dtype == WT_FLOAT64 ? 8 : 4);
    job.buffers = wt_alloc(job.buffer_bytes * (size_t)wt_thread_limit());
    if (!job.buffers) return WT_OUT_OF_MEMORY;
  }
  wt_parallel_for(lines->count, wt_grain(4 * (int64_t)lines->length), backward_rows, &job);
  if (job.buffers) wt_free(job.buffers);
  return WT_OK;
}
