/* Depthwise convolution, channels last: each channel weighs its own taps. */
#include "packed/packed.h"

/* Channels of a pass: its weights stay in the first-level cache. */
#define CHANNELS 64
#define LANES 4

typedef struct depthwise_job {
  const wt_packed_problem *problem;
  const float *zeros;
  const float **rows; /* per thread: [point of a line][tap] */
  wt_word line;       /* points of a line: the last axis of out */
  _Atomic int status;
} depthwise_job;

WT_INLINE wt_f32x4 clamp(const wt_packed_problem *problem, wt_f32x4 v) {
  return wt_f32x4_pmin(wt_f32x4_pmax(v, wt_f32x4_splat(problem->low)),
                       wt_f32x4_splat(problem->high));
}

/* `points` neighbouring results of LANES channels from c on; `pitch` floats lie between them in
 * out. `part`: how many of the lanes exist. */
WT_INLINE void depthwise_points(const wt_packed_problem *problem, const int points,
                                const float *const *rows, wt_word c, int part, float *out,
                                wt_word pitch, const float *residual, wt_word residual_pitch) {
  const wt_word taps = problem->taps, groups = problem->groups;
  const float *weight = problem->weight + c;
  wt_f32x4 acc[4];
  wt_f32x4 start = {0, 0, 0, 0};
  if (problem->bias)
    start = part == LANES ? wt_f32x4_load(problem->bias + c)
                          : wt_f32x4_load_part(problem->bias + c, part);
  WT_UNROLL
  for (int i = 0; i < points; i++) {
    acc[i] = start;
    if (residual)
      acc[i] += part == LANES ? wt_f32x4_load(residual + i * residual_pitch)
                              : wt_f32x4_load_part(residual + i * residual_pitch, part);
  }
  if (part == LANES) {
    for (wt_word t = 0; t < taps; t++, weight += groups) {
      wt_f32x4 w = wt_f32x4_load(weight);
      WT_UNROLL
      for (int i = 0; i < points; i++)
        acc[i] = wt_f32x4_madd(w, wt_f32x4_load(rows[i * taps + t] + c), acc[i]);
    }
    WT_UNROLL
    for (int i = 0; i < points; i++) wt_f32x4_store(out + i * pitch, clamp(problem, acc[i]));
    return;
  }
  for (wt_word t = 0; t < taps; t++, weight += groups) {
    wt_f32x4 w = wt_f32x4_load_part(weight, part);
    WT_UNROLL
    for (int i = 0; i < points; i++)
      acc[i] = wt_f32x4_madd(w, wt_f32x4_load_part(rows[i * taps + t] + c, part), acc[i]);
  }
  WT_UNROLL
  for (int i = 0; i < points; i++)
    wt_f32x4_store_part(out + i * pitch, clamp(problem, acc[i]), part);
}

WT_INLINE void depthwise_channels(const wt_packed_problem *problem, const int points,
                                  const float *const *rows, wt_word first, wt_word last, float *out,
                                  wt_word pitch, const float *residual, wt_word residual_pitch) {
  wt_word c = first;
  for (; c + LANES <= last; c += LANES)
    depthwise_points(problem, points, rows, c, LANES, out + c, pitch,
                     residual ? residual + c : NULL, residual_pitch);
  if (c < last)
    depthwise_points(problem, points, rows, c, (int)(last - c), out + c, pitch,
                     residual ? residual + c : NULL, residual_pitch);
}

/* Whole lines of points along the last axis. */
static void depthwise_lines(void *context, wt_word begin, wt_word end, int thread) {
  depthwise_job *job = context;
  const wt_packed_problem *problem = job->problem;
  const wt_tensor *out = problem->out, *residual = problem->residual;
  const wt_word taps = problem->taps, groups = problem->groups, pitch = out->stride[4];
  const wt_word residual_pitch = residual ? residual->stride[4] : 0;
  const float **rows = job->rows + (size_t)thread * (size_t)(job->line * taps);
  for (wt_word line = begin; line < end; line++) {
    wt_points point = wt_points_from(out, line * job->line);
    float *to = wt_point_row(out, &point);
    const float *added = residual ? wt_point_row(residual, &point) : NULL;
    for (wt_word x = 0; x < job->line; x++) {
      point.at[2] = x;
      wt_tap_rows(problem, &point, job->zeros, rows + x * taps, 1);
    }
    for (wt_word first = 0; first < groups; first += CHANNELS) {
      wt_word last = first + CHANNELS < groups ? first + CHANNELS : groups, x = 0;
      for (; x + 4 <= job->line; x += 4)
        depthwise_channels(problem, 4, rows + x * taps, first, last, to + x * pitch, pitch,
                           added ? added + x * residual_pitch : NULL, residual_pitch);
      for (; x < job->line; x++)
        depthwise_channels(problem, 1, rows + x * taps, first, last, to + x * pitch, pitch,
                           added ? added + x * residual_pitch : NULL, residual_pitch);
    }
    if (!problem->activation) continue;
    for (wt_word x = 0; x < job->line; x++) {
      int status = wt_activate(problem, to + x * pitch, groups);
      if (status != WT_OK) job->status = status;
    }
  }
}

int wt_packed_depthwise(const wt_packed_problem *problem) {
  depthwise_job job = {.problem = problem, .line = problem->out->size[4]};
  uint64_t rows = (uint64_t)wt_thread_limit() * (uint64_t)(job.line * problem->taps);
  uint64_t zeros = (uint64_t)problem->groups * sizeof(float);
  job.rows = wt_alloc_many(rows * sizeof *job.rows + zeros, 1);
  if (!job.rows) return WT_OUT_OF_MEMORY;
  job.zeros = memset(job.rows + rows, 0, zeros);
  int64_t cost = (int64_t)job.line * problem->taps * problem->groups;
  wt_parallel_for(problem->points / job.line, 1 + (wt_word)(32768 / cost), depthwise_lines, &job);
  wt_free(job.rows);
  return job.status;
}
