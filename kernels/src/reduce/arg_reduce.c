/* The largest or smallest element along one dimension and where it lies first; NaN beats all. */
#include <string.h>

#include "reduce/elements.h"
#include "reduce/f32_runs.h"
#include "simd.h"

/* float32 elements looked over at once before the place of a new extreme is searched. */
#define SEARCH_BLOCK 256
/* float32 lines side by side that the column form takes together. */
#define TILE 64

typedef struct job {
  const wt_arg_reduce_args *args;
  int outer_dims;
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS]; /* of self, without the reduced dimension */
  wt_word values_stride[WT_MAX_DIMS], indices_stride[WT_MAX_DIMS];
  wt_word length, step;     /* of the reduced dimension */
  wt_word row_width, tiles; /* of the column form: lines side by side in memory, groups of them */
} job;

/* Each sets *at to the place of the extreme in a line. */
#define DEFINE_SEARCH(name, type, READ, working)                             \
  static void search_##name(const job *job, const void *line, wt_word *at) { \
    const type *x = line;                                                    \
    const bool maximum = job->args->maximum != 0;                            \
    working best = (working)READ(x[0]);                                      \
    *at = 0;                                                                 \
    for (wt_word i = 1; i < job->length && best == best; i++) {              \
      const working v = (working)READ(x[i * job->step]);                     \
      if (v != v || (maximum ? v > best : v < best)) {                       \
        best = v;                                                            \
        *at = i;                                                             \
      }                                                                      \
    }                                                                        \
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
    const float v = maximum ? WT_F32_RUN(max)(x + begin, count) : WT_F32_RUN(min)(x + begin, count);
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
  case WT_##NAME:                         \
    return search_##name;
    WT_DTYPES(X)
#undef X
    default:
      return NULL;
  }
}

/* Writes what was found for an output: its place, and the element there. */
static void store(const job *job, wt_word output, wt_word offset, wt_word at) {
  const wt_arg_reduce_args *args = job->args;
  if (wt_is_present(&args->values)) {
    const wt_word to = wt_offset_of(output, job->outer_dims, job->size, job->values_stride);
    memcpy(wt_element(&args->values, to), wt_element(&args->self, offset + at * job->step),
           wt_dtype_size(args->self.dtype));
  }
  if (wt_is_present(&args->indices)) {
    const wt_word to = wt_offset_of(output, job->outer_dims, job->size, job->indices_stride);
    *(int64_t *)wt_element(&args->indices, to) = at;
  }
}

static void reduce_lines(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const search_fn search = search_of(job);
  (void)thread;
  for (wt_word output = begin; output < end; output++) {
    const wt_word offset = wt_offset_of(output, job->outer_dims, job->size, job->stride);
    wt_word at;
    search(job, wt_element(&job->args->self, offset), &at);
    store(job, output, offset, at);
  }
}

/* ---- float32 lines side by side ------------------------------------------------------------- */
/* Row `row` against the best so far of each column; places are row numbers. */
static void compare_row(float *best, int32_t *place, const float *x, wt_word width, int32_t row,
                        bool maximum) {
  wt_word c = 0;
#if !WT_USE_REFERENCE
  for (; c + 4 <= width; c += 4) {
    const wt_f32x4 v = wt_f32x4_load(x + c), held = wt_f32x4_load(best + c);
    const wt_i32x4 beyond = maximum ? v > held : v < held;
    const wt_i32x4 taken = (beyond | (v != v)) & (held == held);
    wt_f32x4_store(best + c, wt_f32x4_select(taken, v, held));
    wt_i32x4_store(place + c,
                   wt_i32x4_select(taken, wt_i32x4_splat(row), wt_i32x4_load(place + c)));
  }
#endif
  for (; c < width; c++)
    if (best[c] == best[c] && (x[c] != x[c] || (maximum ? x[c] > best[c] : x[c] < best[c]))) {
      best[c] = x[c];
      place[c] = row;
    }
}

static void reduce_columns(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const bool maximum = job->args->maximum != 0;
  (void)thread;
  for (wt_word item = begin; item < end; item++) {
    const wt_word column = item % job->tiles * TILE;
    const wt_word output = item / job->tiles * job->row_width + column;
    const wt_word width = wt_min_word(TILE, job->row_width - column);
    const wt_word offset = wt_offset_of(output, job->outer_dims, job->size, job->stride);
    const float *x = wt_element(&job->args->self, offset);
    float best[TILE];
    int32_t place[TILE] = {0};
    memcpy(best, x, (size_t)width * sizeof *best);
    for (wt_word row = 1; row < job->length; row++)
      compare_row(best, place, x + row * job->step, width, (int32_t)row, maximum);
    for (wt_word c = 0; c < width; c++) store(job, output + c, offset + c, place[c]);
  }
}

static bool lies_in_columns(const job *job) {
  const int inner = job->outer_dims - 1;
  return job->args->self.dtype == WT_FLOAT32 && job->step != 1 && inner >= 0 &&
         job->stride[inner] == 1 && job->size[inner] >= 4 && job->length <= INT32_MAX;
}

/* ---- the kernel ---------------------------------------------------------------------------- */
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
  if (lies_in_columns(&job)) {
    job.row_width = job.size[job.outer_dims - 1];
    job.tiles = (job.row_width + TILE - 1) / TILE;
    wt_parallel_for(outputs / job.row_width * job.tiles,
                    wt_grain(job.length * (int64_t)wt_min_word(TILE, job.row_width)),
                    reduce_columns, &job);
  } else {
    wt_parallel_for(outputs, wt_grain(job.length), reduce_lines, &job);
  }
  return WT_OK;
}
