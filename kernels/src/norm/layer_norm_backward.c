/* Gradients of layer norm over the rows of input (R, C). With g = grad_out * weight, d = x - mean
 * and averages over a row: grad_input = rstd * (g - avg(g) - d * rstd^2 * avg(g * d)) grad_weight =
 * sum over rows of grad_out * d * rstd;  grad_bias = sum over rows of grad_out Rows are taken in
 * parts fixed by the shape; each part sums its own weight and bias gradients, and the parts are
 * added in order. */
#include <string.h>

#include "norm/vectors.h"
#include "reduce/f32_runs.h"
#include "reduce/f64_runs.h"

#define MOST_PART_ROWS 256

typedef struct job {
  const wt_layer_norm_backward_args *args;
  wt_word rows, columns, part_rows;
  bool doubles;
  const void *weight; /* (C) of the working type: ones where absent */
  char *buffers;      /* three rows per thread: g, and grad_out and x where they are converted */
  char *partial;      /* (parts, 2, C) of the working type: weight and bias gradients, or NULL */
  size_t row_bytes;
} job;

#define DEFINE_ROW(name, type, centered_dot)                                                       \
  static void name(const job *job, type *grad_input, type *g, const type *grad_out, const type *x, \
                   double mean, double rstd, type *grad_weight, type *grad_bias) {                 \
    const wt_word columns = job->columns;                                                          \
    const type *weight = job->weight, center = (type)mean, scale = (type)rstd;                     \
    if (grad_weight)                                                                               \
      for (wt_word c = 0; c < columns; c++) {                                                      \
        grad_weight[c] += grad_out[c] * ((x[c] - center) * scale);                                 \
        grad_bias[c] += grad_out[c];                                                               \
      }                                                                                            \
    if (!grad_input) return;                                                                       \
    for (wt_word c = 0; c < columns; c++) g[c] = grad_out[c] * weight[c];                          \
    double sum, dot;                                                                               \
    centered_dot(g, x, columns, center, &sum, &dot);                                               \
    const type average = (type)(sum / (double)columns);                                            \
    const type slope = (type)(dot / (double)columns * rstd * rstd);                                \
    for (wt_word c = 0; c < columns; c++)                                                          \
      grad_input[c] = (g[c] - average - (x[c] - center) * slope) * scale;                          \
  }
DEFINE_ROW(float_row, float, WT_F32_RUN(centered_dot))
DEFINE_ROW(double_row, double, wt_f64_centered_dot)

/* A row as contiguous elements of the working type: in place, or converted into buffer. */
static const void *row_of(const job *job, const wt_tensor *tensor, wt_word row, void *buffer) {
  const void *from = wt_element(tensor, row * tensor->stride[0]);
  if (tensor->stride[1] == 1 && tensor->dtype == (job->doubles ? WT_FLOAT64 : WT_FLOAT32))
    return from;
  if (job->doubles)
    wt_load_doubles(buffer, from, tensor->dtype, tensor->stride[1], job->columns);
  else
    wt_load_floats(buffer, from, tensor->dtype, tensor->stride[1], job->columns);
  return buffer;
}

/* Where the row of grad_input is to be computed: in place, or in g, to be converted by store_row.
 */
static void *target_of(const job *job, wt_word row, void *g) {
  const wt_tensor *to = &job->args->grad_input;
  if (!wt_is_present(to)) return NULL;
  const bool in_place = to->stride[1] == 1 && to->dtype == (job->doubles ? WT_FLOAT64 : WT_FLOAT32);
  return in_place ? wt_element(to, row * to->stride[0]) : g;
}

static void store_row(const job *job, wt_word row, const void *from) {
  const wt_tensor *to = &job->args->grad_input;
  void *address = wt_element(to, row * to->stride[0]);
  if (job->doubles)
    wt_store_doubles(address, to->dtype, to->stride[1], from, job->columns);
  else
    wt_store_floats(address, to->dtype, to->stride[1], from, job->columns);
}

static void backward_parts(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_layer_norm_backward_args *args = job->args;
  char *g = job->buffers + 3 * (size_t)thread * job->row_bytes;
  char *grad_buffer = g + job->row_bytes, *x_buffer = grad_buffer + job->row_bytes;
  for (wt_word part = begin; part < end; part++) {
    char *sums = job->partial ? job->partial + 2 * (size_t)part * job->row_bytes : NULL;
    char *bias_sums = sums ? sums + job->row_bytes : NULL;
    const wt_word stop = wt_min_word(job->rows, (part + 1) * job->part_rows);
    for (wt_word row = part * job->part_rows; row < stop; row++) {
      const double mean =
          wt_load_double(wt_element(&args->mean, row * args->mean.stride[0]), args->mean.dtype);
      const double rstd =
          wt_load_double(wt_element(&args->rstd, row * args->rstd.stride[0]), args->rstd.dtype);
      const void *grad_out = row_of(job, &args->grad_out, row, grad_buffer);
      const void *x = row_of(job, &args->input, row, x_buffer);
      void *target = target_of(job, row, g);
      if (job->doubles)
        double_row(job, target, (double *)g, grad_out, x, mean, rstd, (double *)sums,
                   (double *)bias_sums);
      else
        float_row(job, target, (float *)g, grad_out, x, mean, rstd, (float *)sums,
                  (float *)bias_sums);
      if (target == g) store_row(job, row, g);
    }
  }
}

/* Adds up row `which` (0 weight, 1 bias) of the parts in order. */
static void store_sums(const job *job, const wt_tensor *to, wt_word parts, int which) {
  if (!wt_is_present(to)) return;
  for (wt_word c = 0; c < job->columns; c++) {
    double total = 0;
    for (wt_word part = 0; part < parts; part++) {
      const char *row = job->partial + (2 * (size_t)part + (size_t)which) * job->row_bytes;
      total += job->doubles ? ((const double *)row)[c] : (double)((const float *)row)[c];
    }
    wt_store_doubles(wt_element(to, c * to->stride[0]), to->dtype, 1, &total, 1);
  }
}

static bool is_float_matrix(const wt_tensor *tensor, wt_word rows, wt_word columns) {
  const wt_element_class class = wt_class_of(tensor->dtype);
  return (class == WT_CLASS_F32 || class == WT_CLASS_F64) && tensor->ndim == 2 &&
         tensor->size[0] == rows && tensor->size[1] == columns;
}

static int check(const wt_layer_norm_backward_args *args) {
  const wt_tensor *input = &args->input;
  const wt_word rows = input->size[0], columns = input->size[1];
  if (!is_float_matrix(input, rows, columns)) return wt_fail(WT_BAD_ARGUMENT, 5, input->dtype, 0);
  if (!is_float_matrix(&args->grad_out, rows, columns))
    return wt_fail(WT_BAD_ARGUMENT, 4, args->grad_out.dtype, 0);
  if (wt_is_present(&args->grad_input) && !is_float_matrix(&args->grad_input, rows, columns))
    return wt_fail(WT_BAD_ARGUMENT, 1, args->grad_input.dtype, 0);
  const wt_tensor *vectors[] = {&args->grad_weight, &args->grad_bias, &args->mean, &args->rstd,
                                &args->weight};
  const int fields[] = {2, 3, 6, 7, 8};
  for (int k = 0; k < 5; k++)
    if (!wt_is_vector(vectors[k], fields[k] == 6 || fields[k] == 7 ? rows : columns))
      return wt_fail(WT_BAD_ARGUMENT, fields[k], vectors[k]->ndim, 0);
  if (!wt_is_present(&args->mean)) return wt_fail(WT_BAD_ARGUMENT, 6, -1, 0);
  if (!wt_is_present(&args->rstd)) return wt_fail(WT_BAD_ARGUMENT, 7, -1, 0);
  return WT_OK;
}

WT_KERNEL(layer_norm_backward, 1) {
  const wt_layer_norm_backward_args *args = arguments;
  const int status = check(args);
  if (status != WT_OK) return status;
  const wt_word rows = args->input.size[0], columns = args->input.size[1];
  job job = {
      .args = args, .rows = rows, .columns = columns, .doubles = args->input.dtype == WT_FLOAT64};
  job.row_bytes = (size_t)columns * (job.doubles ? sizeof(double) : sizeof(float));
  const wt_word even = (rows + 31) / 32;
  job.part_rows = even < 8 ? 8 : wt_min_word(even, MOST_PART_ROWS);
  const wt_word parts = (rows + job.part_rows - 1) / job.part_rows;
  const bool wants_sums = wt_is_present(&args->grad_weight) || wt_is_present(&args->grad_bias);
  const size_t sum_rows = wants_sums ? 2 * (size_t)parts : 0;
  const size_t buffer_rows = 3 * (size_t)wt_thread_limit();
  if (columns == 0) return WT_OK;

  char *scratch = wt_alloc_many(1 + buffer_rows + sum_rows, job.row_bytes);
  if (!scratch) return WT_OUT_OF_MEMORY;
  wt_load_row(scratch, job.doubles, &args->weight, columns, 1);
  job.weight = scratch;
  job.buffers = scratch + job.row_bytes;
  job.partial = wants_sums ? job.buffers + buffer_rows * job.row_bytes : NULL;
  if (wants_sums) memset(job.partial, 0, sum_rows * job.row_bytes);
  wt_parallel_for(parts, wt_grain(4 * (int64_t)job.part_rows * columns), backward_parts, &job);
  store_sums(&job, &args->grad_weight, parts, 0);
  store_sums(&job, &args->grad_bias, parts, 1);
  wt_free(scratch);
  return WT_OK;
}
