#include "linalg/matrix.h"

int wt_check_operand(const wt_tensor *tensor, const wt_tensor *like, int like_inner, wt_word dtype,
                     int inner, wt_word rows, wt_word columns, int field) {
  bool fits = dtype == WT_ANY_FLOAT ? tensor->dtype == WT_FLOAT32 || tensor->dtype == WT_FLOAT64
                                    : tensor->dtype == dtype;
  if (!fits) return wt_fail(WT_UNSUPPORTED_DTYPE, tensor->dtype, 0, 0);
  wt_word batch_dims = like->ndim - like_inner;
  if (batch_dims < 0 || tensor->ndim != batch_dims + inner) {
    return wt_fail(WT_BAD_ARGUMENT, field, tensor->ndim, 0);
  }
  const wt_word wanted[2] = {rows, columns};
  for (wt_word d = 0; d < tensor->ndim; d++) {
    wt_word expected = d < batch_dims ? like->size[d] : wanted[d - batch_dims];
    if (tensor->size[d] != expected) return wt_fail(WT_BAD_ARGUMENT, field, tensor->size[d], 0);
  }
  return WT_OK;
}

wt_word wt_batches(const wt_tensor *tensor, int inner) {
  wt_word count = 1;
  for (wt_word d = 0; d < tensor->ndim - inner; d++) count *= tensor->size[d];
  return count;
}

void *wt_entry(const wt_tensor *tensor, int inner, wt_word batch) {
  wt_word offset = 0;
  for (wt_word d = tensor->ndim - inner - 1; d >= 0; d--) {
    offset += batch % tensor->size[d] * tensor->stride[d];
    batch /= tensor->size[d];
  }
  return (char *)tensor->data + offset * (wt_word)wt_dtype_size(tensor->dtype);
}

/* A strided line of float32 or float64, to or from dense doubles. */
static void load_line(double *to, const void *line, wt_word dtype, wt_word count, wt_word stride) {
  const float *singles = line;
  const double *doubles = line;
  for (wt_word i = 0; i < count; i++) {
    to[i] = dtype == WT_FLOAT32 ? (double)singles[i * stride] : doubles[i * stride];
  }
}

static void store_line(void *line, wt_word dtype, const double *from, wt_word from_stride,
                       wt_word count, wt_word stride) {
  float *singles = line;
  double *doubles = line;
  for (wt_word i = 0; i < count; i++) {
    if (dtype == WT_FLOAT32) {
      singles[i * stride] = (float)from[i * from_stride];
    } else {
      doubles[i * stride] = from[i * from_stride];
    }
  }
}

void wt_load_matrix(double *to, const wt_tensor *from, wt_word batch, bool transposed) {
  wt_word row_dim = from->ndim - (transposed ? 1 : 2), column_dim = 2 * from->ndim - 3 - row_dim;
  wt_word rows = from->size[row_dim], columns = from->size[column_dim];
  wt_word step = from->stride[row_dim] * (wt_word)wt_dtype_size(from->dtype);
  const char *line = wt_entry(from, 2, batch);
  for (wt_word r = 0; r < rows; r++, line += step, to += columns) {
    load_line(to, line, from->dtype, columns, from->stride[column_dim]);
  }
}

void wt_store_matrix(const wt_tensor *to, wt_word batch, const double *from, bool transposed) {
  wt_word row_dim = to->ndim - 2, column_dim = to->ndim - 1;
  wt_word rows = to->size[row_dim], columns = to->size[column_dim];
  wt_word step = to->stride[row_dim] * (wt_word)wt_dtype_size(to->dtype);
  char *line = wt_entry(to, 2, batch);
  for (wt_word r = 0; r < rows; r++, line += step) {
    store_line(line, to->dtype, from + (transposed ? r : r * columns), transposed ? rows : 1,
               columns, to->stride[column_dim]);
  }
}

void wt_load_vector(double *to, const wt_tensor *from, wt_word batch) {
  wt_word last = from->ndim - 1;
  load_line(to, wt_entry(from, 1, batch), from->dtype, from->size[last], from->stride[last]);
}

void wt_store_vector(const wt_tensor *to, wt_word batch, const double *from) {
  wt_word last = to->ndim - 1;
  store_line(wt_entry(to, 1, batch), to->dtype, from, 1, to->size[last], to->stride[last]);
}

void wt_store_info(const wt_tensor *info, wt_word batch, wt_word value) {
  *(int32_t *)wt_entry(info, 0, batch) = (int32_t)value;
}

/* ---- over the batch -------------------------------------------------------------------------- */
/* Entries handled at once hold at least this many operations, so that a chunk outweighs a wake. */
#define CHUNK_WORK 20000.0

typedef struct matrix_job {
  const void *args;
  wt_matrix_fn one;
  double *scratch;
  wt_word doubles;
} matrix_job;

static void run_range(void *context, wt_word begin, wt_word end, int thread) {
  const matrix_job *job = context;
  double *scratch = job->scratch + thread * job->doubles;
  for (wt_word batch = begin; batch < end; batch++) job->one(job->args, batch, scratch);
}

int wt_for_matrices(const void *args, wt_word batches, int64_t doubles, double work,
                    wt_matrix_fn one) {
  if (batches == 0) return WT_OK;
  int threads = batches == 1 ? 1 : wt_thread_limit();
  double *scratch = wt_alloc_many((uint64_t)threads, (uint64_t)doubles * sizeof(double) + 64);
  if (scratch == NULL) return WT_OUT_OF_MEMORY;
  matrix_job job = {args, one, scratch, (wt_word)doubles};
  if (batches == 1) {
    one(args, 0, scratch);
  } else {
    wt_parallel_for(batches, work < CHUNK_WORK ? (wt_word)(CHUNK_WORK / (work + 1)) + 1 : 1,
                    run_range, &job);
  }
  wt_free(scratch);
  return WT_OK;
}
