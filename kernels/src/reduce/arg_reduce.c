/* The largest or smallest element along one dimension and where it lies first; NaN beats all. */
#include <string.h>

#include "reduce/elements.h"
#include "reduce/f32_runs.h"

/* float32 elements looked over at once before the place of a new extreme is searched. */
#define SEARCH_BLOCK 256

typedef struct job {
  const wt_arg_reduce_args *args;
  int outer_dims;
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS]; /* of self, without the reduced dimension */
  wt_word values_stride[WT_MAX_DIMS], indices_stride[WT_MAX_DIMS];
  wt_word length, step; /* of the reduced dimension */
} job;

/* Each sets *at to the place of the extreme in a line. */
#define DEFINE_SEARCH(name, type, READ, working)                                              \
  static void search_##name(const job *job, const void *line, wt_word *at) {                  \
    const type *x = line;                                                                     \
    const bool maximum = job->args->maximum != 0;                                             \
    working best = (working)READ(x[0]);                                                       \
    *at = 0;                                                                                  \
    for (wt_word i = 1; i < job->length && best == best; i++) {                               \
      const working v = (working)READ(x[i * job->step]);                                      \
      if (v != v || (maximum ? v > best : v < best)) {                                        \
        best = v;                                                                             \
        *at = i;                                                                              \
      }                                                                                       \
    }                                                                                         \
  }
#define PLAIN(x) (x)
#define TRUTH(x) ((x) != 0)
DEFINE_SEARCH(uint8, uint8_t, PLAIN, int64_t)
DEFINE_SEARCH(int8, int8_t, PLAIN, int64_t)
DEFINE_SEARCH(int16, int16_t, PLAIN, int64_t)
DEFINE_SEARCH(int32, int32_t, PLAIN, int64_t)
DEFINE_SEARCH(int64, int64_t, PLAIN, int64_t)
DEFINE_SEARCH(float16, uint16_t, wt_half_to_float, float)
DEFINE_SEARCH(float32, float, PLAIN, float)
DEFINE_SEARCH(float64, double, PLAIN, double)
DEFINE_SEARCH(bool, uint8_t, TRUTH, int64_t)
DEFINE_SEARCH(bfloat16, uint16_t, wt_bfloat16_to_float, float)

static wt_word place_of(const float *x, wt_word count, float value) {
  for (wt_word i = 0; i < count; i++)
    if (x[i] == value || x[i] != x[i]) return i;
  return 0;
}

static void search_contiguous_float32(const job *job, const void *line, wt_word *at) {
  const float *x = line;
  const bool maximum = job->args->maximum != 0;
  float best = x[0];
  wt_word best_block = 0;
  for (wt_word begin = 0; begin < job->length && best == best; begin += SEARCH_BLOCK) {
    const wt_word count = wt_min_word(SEARCH_BLOCK, job->length - begin);
    const float v =
        maximum ? WT_F32_RUN(max)(x + begin, count) : WT_F32_RUN(min)(x + begin, count);
    if (v != v || (maximum ? v > best : v < best)) {
      best = v;
      best_block = begin;
    }
  }
  const wt_word count = wt_min_word(SEARCH_BLOCK, job->length - best_block);
  *at = best_block + place_of(x + best_block, count, best);
}

typedef void (*search_fn)(const job *job, const void *line, wt_word *at);

static search_fn search_of(const job *job) {
  if (job->args->self.dtype == WT_FLOAT32 && job->step == 1 && job->length >= 16)
    return search_contiguous_float32;
  switch (job->args->self.dtype) {
#define X(NAME, name, code, ctype, bytes) \
  case WT_##NAME: return search_##name;
    WT_DTYPES(X)
#undef X
    default: return NULL;
  }
}

static void reduce_lines(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_arg_reduce_args *args = job->args;
  const search_fn search = search_of(job);
  const size_t bytes = wt_dtype_size(args->self.dtype);
  (void)thread;
  for (wt_word output = begin; output < end; output++) {
    const wt_word offset = wt_offset_of(output, job->outer_dims, job->size, job->stride);
    wt_word at;
    search(job, wt_element(&args->self, offset), &at);
    if (wt_is_present(&args->values)) {
      const wt_word to = wt_offset_of(output, job->outer_dims, job->size, job->values_stride);
      memcpy(wt_element(&args->values, to), wt_element(&args->self, offset + at * job->step), bytes);
    }
    if (wt_is_present(&args->indices)) {
      const wt_word to = wt_offset_of(output, job->outer_dims, job->size, job->indices_stride);
      *(int64_t *)wt_element(&args->indices, to) = at;
    }
  }
}

/* Whether `out` has the sizes of self with 1 in place of the reduced dimension. */
static bool fits(const wt_tensor *out, const wt_arg_reduce_args *args) {
  if (!wt_is_present(out)) return true;
  if (out->ndim != args->self.ndim) return false;
  for (wt_word d = 0; d < out->ndim; d++)
    if (out->size[d] != (d == args->dim ? 1 : args->self.size[d])) return false;
  return true;
}

WT_KERNEL(arg_reduce, 1) {
  const wt_arg_reduce_args *args = arguments;
  const wt_tensor *self = &args->self;
  if (args->dim < 0 || args->dim >= (self->ndim ? self->ndim : 1))
    return wt_fail(WT_BAD_ARGUMENT, 4, args->dim, 0);
  if (!fits(&args->values, args)) return wt_fail(WT_BAD_ARGUMENT, 1, args->values.ndim, 0);
  if (!fits(&args->indices, args)) return wt_fail(WT_BAD_ARGUMENT, 2, args->indices.ndim, 0);
  if (wt_is_present(&args->values) && args->values.dtype != self->dtype)
    return wt_fail(WT_UNSUPPORTED_DTYPE, args->values.dtype, 0, 0);
  if (wt_is_present(&args->indices) && args->indices.dtype != WT_INT64)
    return wt_fail(WT_UNSUPPORTED_DTYPE, args->indices.dtype, 0, 0);

  job job = {.args = args, .length = 1};
  wt_word outputs = 1;
  for (wt_word d = 0; d < self->ndim; d++) {
    if (d == args->dim) {
      job.length = self->size[d];
      job.step = self->stride[d];
      continue;
    }
    const int outer = job.outer_dims++;
    job.size[outer] = self->size[d];
    job.stride[outer] = self->stride[d];
    job.values_stride[outer] = args->values.stride[d];
    job.indices_stride[outer] = args->indices.stride[d];
    outputs *= self->size[d];
  }
  if (!search_of(&job)) return wt_fail(WT_UNSUPPORTED_DTYPE, self->dtype, 0, 0);
  if (outputs == 0) return WT_OK;
  if (job.length == 0) return wt_fail(WT_BAD_ARGUMENT, 3, 0, 0);
  wt_parallel_for(outputs, wt_grain(job.length), reduce_lines, &job);
  return WT_OK;
}
