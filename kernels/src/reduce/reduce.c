/* Reductions over any set of dimensions.
 *
 * Work is cut by the shape alone, never by the number of threads, and partial results are merged in
 * order: a result has the same bits on one thread and on many.
 */
#include <math.h>

#include "reduce/f32_columns.h"
#include "reduce/geometry.h"
#include "reduce/methods.h"

/* Elements of one output from which its reduction is split, where outputs are few. */
#define SPLIT_ELEMENTS 16384
#define FEW_OUTPUTS 32

typedef struct job {
  wt_reduce_plan plan;
  wt_reduction shape;
  const wt_tensor *out, *self;
  wt_word blocks;           /* parts of each output's reduced elements */
  int64_t block_size;       /* elements in a part */
  wt_word tiles;            /* column groups of the innermost kept dimension */
  wt_reduce_state *partial; /* (blocks, outputs) where blocks > 1 */
  wt_reduce_state *states;  /* where the final states go instead of results into out, or NULL */
} job;

static void finish(const job *job, int64_t output, const wt_reduce_state *state) {
  const wt_word offset =
      wt_offset_of(output, job->shape.kept_dims, job->shape.kept_size, job->shape.kept_out_stride);
  if (job->states)
    job->states[offset] = *state;
  else
    wt_reduce_finish(&job->plan, state, job->shape.count, wt_element(job->out, offset));
}

static void finish_or_keep(const job *job, int64_t output, wt_word block,
                           const wt_reduce_state *state) {
  if (job->blocks == 1)
    finish(job, output, state);
  else
    job->partial[block * (wt_word)job->shape.outputs + (wt_word)output] = *state;
}

static wt_run_walk walk_block(const job *job, wt_word block) {
  const int64_t begin = block * job->block_size, end = begin + job->block_size;
  return wt_run_walk_start(&job->shape, begin, end < job->shape.count ? end : job->shape.count);
}

/* ---- rows: one output at a time, along runs of its reduced elements ------------------------ */
static void reduce_rows(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_reduction *shape = &job->shape;
  const wt_word run_stride = shape->reduced_stride[shape->reduced_dims - 1];
  (void)thread;
  for (wt_word item = begin; item < end; item++) {
    const wt_word output = item / job->blocks, block = item % job->blocks;
    const wt_word offset =
        wt_offset_of(output, shape->kept_dims, shape->kept_size, shape->kept_stride);
    wt_reduce_state state = wt_reduce_start(&job->plan);
    for (wt_run_walk walk = walk_block(job, block); wt_run_walk_next(&walk);)
      wt_reduce_run(&job->plan, &state, wt_element(job->self, offset + walk.offset), run_stride,
                    walk.length);
    finish_or_keep(job, output, block, &state);
  }
}

/* ---- columns: neighbouring outputs together, down their reduced elements ------------------- */
static bool has_column_form(const wt_reduce_plan *plan) {
  return plan->dtype == WT_FLOAT32 &&
         (plan->method == WT_METHOD_SUM || plan->method == WT_METHOD_MAX ||
          plan->method == WT_METHOD_MIN || plan->method == WT_METHOD_MOMENTS);
}

static void reduce_float_columns(const job *job, wt_reduce_state *states, wt_word offset,
                                 wt_word width, wt_word block) {
  const wt_word row_stride = job->shape.reduced_stride[job->shape.reduced_dims - 1];
  const wt_reduce_method method = job->plan.method;
  double value[WT_COLUMN_TILE] = {0}, second[WT_COLUMN_TILE] = {0};
  float best[WT_COLUMN_TILE];
  int64_t count = 0;
  for (wt_word c = 0; c < width; c++) best[c] = method == WT_METHOD_MAX ? -INFINITY : INFINITY;
  for (wt_run_walk walk = walk_block(job, block); wt_run_walk_next(&walk);) {
    const float *x = wt_element(job->self, offset + walk.offset);
    const wt_columns columns = {x, row_stride, walk.length, width};
    if (method == WT_METHOD_SUM) wt_f32_columns_sum(value, columns);
    if (method == WT_METHOD_MAX) wt_f32_columns_max(best, columns);
    if (method == WT_METHOD_MIN) wt_f32_columns_min(best, columns);
    if (method == WT_METHOD_MOMENTS) wt_f32_columns_moments(value, second, count, columns);
    count += walk.length;
  }
  const bool extreme = method == WT_METHOD_MAX || method == WT_METHOD_MIN;
  for (wt_word c = 0; c < width; c++)
    states[c] = (wt_reduce_state){extreme ? (double)best[c] : value[c], second[c], 0, count};
}

/* Short stretches of each column in turn, so that the cache lines the columns share stay near. */
static void reduce_any_columns(const job *job, wt_reduce_state *states, wt_word offset,
                               wt_word width, wt_word block) {
  const wt_word row_stride = job->shape.reduced_stride[job->shape.reduced_dims - 1];
  for (wt_word c = 0; c < width; c++) states[c] = wt_reduce_start(&job->plan);
  for (wt_run_walk walk = walk_block(job, block); wt_run_walk_next(&walk);)
    for (wt_word row = 0; row < walk.length; row += WT_COLUMN_ROWS) {
      const wt_word rows = wt_min_word(WT_COLUMN_ROWS, walk.length - row);
      const wt_word first = offset + walk.offset + row * row_stride;
      for (wt_word c = 0; c < width; c++)
        wt_reduce_run(&job->plan, &states[c], wt_element(job->self, first + c), row_stride, rows);
    }
}

static void reduce_columns(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_reduction *shape = &job->shape;
  const wt_word row_width = shape->kept_size[shape->kept_dims - 1];
  (void)thread;
  for (wt_word item = begin; item < end; item++) {
    const wt_word block = item % job->blocks, tile = item / job->blocks % job->tiles;
    const int64_t output =
        (int64_t)(item / job->blocks / job->tiles) * row_width + tile * WT_COLUMN_TILE;
    const wt_word width = wt_min_word(WT_COLUMN_TILE, row_width - tile * WT_COLUMN_TILE);
    const wt_word offset =
        wt_offset_of(output, shape->kept_dims, shape->kept_size, shape->kept_stride);
    wt_reduce_state states[WT_COLUMN_TILE];
    if (has_column_form(&job->plan))
      reduce_float_columns(job, states, offset, width, block);
    else
      reduce_any_columns(job, states, offset, width, block);
    for (wt_word c = 0; c < width; c++) finish_or_keep(job, output + c, block, &states[c]);
  }
}

/* ---- the kernel ---------------------------------------------------------------------------- */
static void merge_blocks(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  (void)thread;
  for (wt_word output = begin; output < end; output++) {
    wt_reduce_state state = job->partial[output];
    for (wt_word block = 1; block < job->blocks; block++)
      wt_reduce_merge(&job->plan, &state,
                      &job->partial[block * (wt_word)job->shape.outputs + output]);
    finish(job, output, &state);
  }
}

static bool lies_in_columns(const wt_reduction *shape) {
  const int inner = shape->kept_dims - 1;
  return shape->kept_stride[inner] == 1 && shape->kept_size[inner] >= 4 && shape->count > 1 &&
         shape->reduced_stride[shape->reduced_dims - 1] != 1;
}

static void split(job *job, int64_t groups, int64_t width) {
  const int64_t count = job->shape.count;
  const int64_t block_size = SPLIT_ELEMENTS / width > 64 ? SPLIT_ELEMENTS / width : 64;
  const bool is_split = groups < FEW_OUTPUTS && count >= 2 * block_size;
  job->blocks = is_split ? (wt_word)((count + block_size - 1) / block_size) : 1;
  job->block_size = is_split ? block_size : count;
}

static int run(job *job) {
  if (job->shape.outputs == 0) return WT_OK;
  const bool columns = lies_in_columns(&job->shape);
  const wt_word row_width = job->shape.kept_size[job->shape.kept_dims - 1];
  int64_t groups = job->shape.outputs, width = 1;
  job->tiles = 1;
  if (columns) {
    job->tiles = (row_width + WT_COLUMN_TILE - 1) / WT_COLUMN_TILE;
    groups = job->shape.outputs / row_width * job->tiles;
    width = wt_min_word(row_width, WT_COLUMN_TILE);
  }
  split(job, groups, width);
  if (job->blocks > 1) {
    job->partial =
        wt_alloc_many((uint64_t)job->blocks * (uint64_t)job->shape.outputs, sizeof *job->partial);
    if (!job->partial) return WT_OUT_OF_MEMORY;
  }
  wt_parallel_for((wt_word)(groups * job->blocks), wt_grain(job->block_size * width),
                  columns ? reduce_columns : reduce_rows, job);
  if (job->blocks > 1) {
    wt_parallel_for((wt_word)job->shape.outputs, wt_grain(job->blocks), merge_blocks, job);
    wt_free(job->partial);
  }
  return WT_OK;
}

int wt_reduce_moments(wt_reduce_state *states, const wt_tensor *shape, const wt_tensor *self) {
  job job = {.out = shape, .self = self, .states = states};
  wt_reduce_args args = {.out = *shape, .self = *self, .op = WT_REDUCE_var};
  args.out.dtype = WT_FLOAT64;
  const int status = wt_reduce_plan_of(&job.plan, &args);
  if (status != WT_OK) return status;
  if (!wt_reduction_of(&job.shape, shape, self)) return wt_fail(WT_BAD_ARGUMENT, 1, shape->ndim, 0);
  return run(&job);
}

WT_KERNEL(reduce, 1) {
  const wt_reduce_args *args = arguments;
  job job = {.out = &args->out, .self = &args->self};
  const int status = wt_reduce_plan_of(&job.plan, args);
  if (status != WT_OK) return status;
  if (!wt_reduction_of(&job.shape, &args->out, &args->self))
    return wt_fail(WT_BAD_ARGUMENT, 1, args->out.ndim, 0);
  return run(&job);
}
