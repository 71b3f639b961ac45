/* Layer norm over the rows of input (R, C): out = (x - mean) / sqrt(variance + eps) * weight +
 * bias, with the biased variance, taken from deviations from the mean so that it does not cancel.
 */
#include <math.h>

#include "norm/vectors.h"
#include "reduce/f32_runs.h"
#include "reduce/f64_runs.h"

typedef struct job {
  const wt_layer_norm_args *args;
  wt_word columns;
  bool doubles;       /* rows are worked on as doubles, else as floats */
  bool in_place;      /* rows need no conversion */
  const void *weight; /* (C) of the working type: ones where absent */
  const void *bias;   /* zeros where absent */
  char *buffers;      /* one row per thread, or NULL */
  size_t buffer_bytes;
} job;

/* One contiguous row; out may be x. */
#define DEFINE_ROW(name, type, sum_of, deviations)                                         \
  static void name(const job *job, type *out, const type *x, double *mean, double *rstd) { \
    const wt_word columns = job->columns;                                                  \
    const type *weight = job->weight, *bias = job->bias;                                   \
    const type center = (type)(sum_of(x, columns) / (double)columns);                      \
    double sum, squares;                                                                   \
    deviations(x, columns, center, &sum, &squares);                                        \
    const double rest = sum / (double)columns;                                             \
    double variance = squares / (double)columns - rest * rest;                             \
    if (variance < 0) variance = 0; /* by rounding; keeps NaN */                           \
    *mean = (double)center + rest;                                                         \
    *rstd = 1.0 / sqrt(variance + job->args->eps);                                         \
    const type scale = (type) * rstd, shift = (type)(-rest * *rstd);                       \
    for (wt_word c = 0; c < columns; c++)                                                  \
      out[c] = ((x[c] - center) * scale + shift) * weight[c] + bias[c];                    \
  }
DEFINE_ROW(float_row, float, WT_F32_RUN(sum), WT_F32_RUN(deviations))
DEFINE_ROW(double_row, double, wt_f64_sum, wt_f64_deviations)

static void normalize_rows(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_tensor *out = &job->args->out, *input = &job->args->input;
  void *buffer = job->buffers ? job->buffers + (size_t)thread * job->buffer_bytes : NULL;
  for (wt_word row = begin; row < end; row++) {
    void *to = wt_element(out, row * out->stride[0]);
    const void *from = wt_element(input, row * input->stride[0]);
    double mean, rstd;
    if (job->in_place && job->doubles) {
      double_row(job, to, from, &mean, &rstd);
    } else if (job->in_place) {
      float_row(job, to, from, &mean, &rstd);
    } else if (job->doubles) {
      wt_load_doubles(buffer, from, input->dtype, input->stride[1], job->columns);
      double_row(job, buffer, buffer, &mean, &rstd);
      wt_store_doubles(to, out->dtype, out->stride[1], buffer, job->columns);
    } else {
      wt_load_floats(buffer, from, input->dtype, input->stride[1], job->columns);
      float_row(job, buffer, buffer, &mean, &rstd);
      wt_store_floats(to, out->dtype, out->stride[1], buffer, job->columns);
    }
    const wt_tensor *means = &job->args->mean, *rstds = &job->args->rstd;
    if (wt_is_present(means))
      wt_store_doubles(wt_element(means, row * means->stride[0]), means->dtype, 1, &mean, 1);
    if (wt_is_present(rstds))
      wt_store_doubles(wt_element(rstds, row * rstds->stride[0]), rstds->dtype, 1, &rstd, 1);
  }
}

static int check(const wt_layer_norm_args *args) {
  const wt_tensor *input = &args->input, *out = &args->out;
  const wt_element_class class = wt_class_of(input->dtype), out_class = wt_class_of(out->dtype);
  if (class != WT_CLASS_F32 && class != WT_CLASS_F64)
    return wt_fail(WT_UNSUPPORTED_DTYPE, input->dtype, 0, 0);
  if (out_class != WT_CLASS_F32 && out_class != WT_CLASS_F64)
    return wt_fail(WT_UNSUPPORTED_DTYPE, out->dtype, 0, 0);
  if (input->ndim != 2) return wt_fail(WT_BAD_ARGUMENT, 4, input->ndim, 0);
  if (out->ndim != 2 || out->size[0] != input->size[0] || out->size[1] != input->size[1])
    return wt_fail(WT_BAD_ARGUMENT, 1, out->ndim, 0);
  const wt_word rows = input->size[0], columns = input->size[1];
  if (!wt_is_vector(&args->mean, rows)) return wt_fail(WT_BAD_ARGUMENT, 2, args->mean.ndim, 0);
  if (!wt_is_vector(&args->rstd, rows)) return wt_fail(WT_BAD_ARGUMENT, 3, args->rstd.ndim, 0);
  if (!wt_is_vector(&args->weight, columns))
    return wt_fail(WT_BAD_ARGUMENT, 5, args->weight.ndim, 0);
  if (!wt_is_vector(&args->bias, columns)) return wt_fail(WT_BAD_ARGUMENT, 6, args->bias.ndim, 0);
  return WT_OK;
}

WT_KERNEL(layer_norm, 1) {
  const wt_layer_norm_args *args = arguments;
  const int status = check(args);
  if (status != WT_OK) return status;
  const wt_tensor *input = &args->input, *out = &args->out;
  const wt_word rows = input->size[0], columns = input->size[1];
  const wt_word dtype = input->dtype;
  if (rows == 0 || columns == 0) return WT_OK;

  job job = {.args = args, .columns = columns, .doubles = dtype == WT_FLOAT64};
  job.in_place = input->stride[1] == 1 && out->stride[1] == 1 && out->dtype == dtype &&
                 (dtype == WT_FLOAT32 || dtype == WT_FLOAT64);
  job.buffer_bytes = (size_t)columns * (job.doubles ? sizeof(double) : sizeof(float));
  const size_t buffers = job.in_place ? 0 : (size_t)wt_thread_limit();
  char *scratch = wt_alloc_many(2 + buffers, job.buffer_bytes);
  if (!scratch) return WT_OUT_OF_MEMORY;
  void *weight = scratch, *bias = scratch + job.buffer_bytes;
  wt_load_row(weight, job.doubles, &args->weight, columns, 1);
  wt_load_row(bias, job.doubles, &args->bias, columns, 0);
  job.weight = weight;
  job.bias = bias;
  if (buffers) job.buffers = scratch + 2 * job.buffer_bytes;
  wt_parallel_for(rows, wt_grain(3 * (int64_t)columns), normalize_rows, &job);
  wt_free(scratch);
  return WT_OK;
}
