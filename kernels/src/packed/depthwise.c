/* Depthwise convolution, channels last: each channel weighs its own taps. */
#include "packed/packed.h"

/* Channels of a pass: its weights stay in the first-level cache. */
#define CHANNELS 64
#define LANES 4
/* Neighbouring points that are computed together. */
#define POINTS 4

typedef struct depthwise_job {
  const wt_packed_problem *problem;
  const float *zeros;
  const float **rows;                /* per thread: [point][tap] of the points that share a pass */
  wt_word line;                      /* points of a line: the last axis of out */
  wt_word first_inside, last_inside; /* of a line: points whose taps all lie inside, along it */
  _Atomic int status;
} depthwise_job;

/* What becomes of sums: rows of out and of the residual (or NULL), their points `pitch` apart. */
typedef struct target {
  float *out;
  wt_word out_pitch;
  const float *residual;
  wt_word residual_pitch;
} target;

WT_INLINE wt_f32x4 load_lanes(const float *from, const int lanes) {
  return lanes == LANES ? wt_f32x4_load(from) : wt_f32x4_load_part(from, lanes);
}

WT_INLINE void start_sums(const wt_packed_problem *problem, const int points, wt_word c,
                          const int lanes, const target *to, wt_f32x4 acc[POINTS]) {
  wt_f32x4 start = {0, 0, 0, 0};
  if (problem->bias) start = load_lanes(problem->bias + c, lanes);
  WT_UNROLL
  for (int i = 0; i < points; i++) {
    acc[i] = start;
    if (to->residual) acc[i] += load_lanes(to->residual + i * to->residual_pitch + c, lanes);
  }
}

WT_INLINE void store_sums(const wt_packed_problem *problem, const int points, wt_word c,
                          const int lanes, const target *to, const wt_f32x4 acc[POINTS]) {
  wt_f32x4 low = wt_f32x4_splat(problem->low), high = wt_f32x4_splat(problem->high);
  WT_UNROLL
  for (int i = 0; i < points; i++) {
    wt_f32x4 v = wt_f32x4_pmin(wt_f32x4_pmax(acc[i], low), high);
    float *out = to->out + i * to->out_pitch + c;
    if (lanes == LANES)
      wt_f32x4_store(out, v);
    else
      wt_f32x4_store_part(out, v, lanes);
  }
}

/* ---- any taps, by the addresses of each point's ---------------------------------------------- */
WT_INLINE void sum_lanes(const wt_packed_problem *problem, const int points,
                         const float *const *rows, wt_word c, const int lanes, const target *to) {
  const wt_word taps = problem->taps, groups = problem->groups;
  const float *weight = problem->weight + c;
  wt_f32x4 acc[POINTS];
  start_sums(problem, points, c, lanes, to, acc);
  for (wt_word t = 0; t < taps; t++, weight += groups) {
    wt_f32x4 w = load_lanes(weight, lanes);
    WT_UNROLL
    for (int i = 0; i < points; i++)
      acc[i] = wt_f32x4_madd(w, load_lanes(rows[i * taps + t] + c, lanes), acc[i]);
  }
  store_sums(problem, points, c, lanes, to, acc);
}

WT_INLINE void sum_channels(const wt_packed_problem *problem, const int points,
                            const float *const *rows, wt_word c, wt_word last, const target *to) {
  for (; c + LANES <= last; c += LANES) sum_lanes(problem, points, rows, c, LANES, to);
  switch (last - c) {
    case 1:
      sum_lanes(problem, points, rows, c, 1, to);
      break;
    case 2:
      sum_lanes(problem, points, rows, c, 2, to);
      break;
    case 3:
      sum_lanes(problem, points, rows, c, 3, to);
      break;
    default:
      break;
  }
}

/* Points first..last-1 of a line that begins at `point`. */
static void sum_points(const depthwise_job *job, wt_points point, const float **rows, wt_word first,
                       wt_word last, wt_word c, wt_word last_channel, target to) {
  const wt_packed_problem *problem = job->problem;
  for (wt_word x = first; x < last;) {
    wt_word points = x + POINTS <= last ? POINTS : 1;
    for (wt_word i = 0; i < points; i++) {
      point.at[2] = x + i;
      wt_tap_rows(problem, &point, job->zeros, rows + i * problem->taps, 1);
    }
    target at = to;
    at.out += x * to.out_pitch;
    if (at.residual) at.residual += x * to.residual_pitch;
    if (points == POINTS)
      sum_channels(problem, POINTS, rows, c, last_channel, &at);
    else
      sum_channels(problem, 1, rows, c, last_channel, &at);
    x += points;
  }
}

/* ---- the common sizes, whose taps along a line overlap --------------------------------------- */
/* POINTS points from the one whose first taps are at from[y], y of kernel[1] lines (NULL: outside).
 * Each input is loaded once for all points that weigh it. */
WT_INLINE void sum_overlapping(const wt_packed_problem *problem, const int width, const int step,
                               const float *const *from, wt_word pitch, wt_word c,
                               const target *to) {
  const wt_word groups = problem->groups;
  wt_f32x4 acc[POINTS];
  start_sums(problem, POINTS, c, LANES, to, acc);
  const float *weight = problem->weight + c;
  for (wt_word y = 0; y < problem->kernel[1]; y++, weight += width * groups) {
    if (!from[y]) continue;
    const float *at = from[y] + c;
    wt_f32x4 w[5];
    WT_UNROLL
    for (int x = 0; x < width; x++) w[x] = wt_f32x4_load(weight + x * groups);
    WT_UNROLL
    for (int j = 0; j < (POINTS - 1) * step + width; j++, at += pitch) {
      wt_f32x4 value = wt_f32x4_load(at);
      WT_UNROLL
      for (int i = 0; i < POINTS; i++)
        if (j - i * step >= 0 && j - i * step < width)
          acc[i] = wt_f32x4_madd(w[j - i * step], value, acc[i]);
    }
  }
  store_sums(problem, POINTS, c, LANES, to, acc);
}

#define DEFINE_OVERLAPPING(width, step)                                                     \
  static WT_NOINLINE void overlapping_##width##_##step(                                     \
      const wt_packed_problem *problem, const float *const *from, wt_word pitch, wt_word c, \
      wt_word last, const target *to) {                                                     \
    for (; c + LANES <= last; c += LANES)                                                   \
      sum_overlapping(problem, width, step, from, pitch, c, to);                            \
  }
DEFINE_OVERLAPPING(3, 1)
DEFINE_OVERLAPPING(3, 2)
DEFINE_OVERLAPPING(5, 1)
DEFINE_OVERLAPPING(5, 2)
#undef DEFINE_OVERLAPPING

typedef void (*overlapping)(const wt_packed_problem *, const float *const *, wt_word, wt_word,
                            wt_word, const target *);

static overlapping choose_overlapping(const wt_packed_problem *problem) {
  if (problem->kernel[0] != 1 || problem->kernel[1] > 5 || problem->dilation[2] != 1 ||
      problem->groups % LANES != 0)
    return NULL;
  wt_word width = problem->kernel[2], step = problem->stride[2];
  if (width == 3) return step == 1 ? overlapping_3_1 : step == 2 ? overlapping_3_2 : NULL;
  if (width == 5) return step == 1 ? overlapping_5_1 : step == 2 ? overlapping_5_2 : NULL;
  return NULL;
}

/* The points of a line whose taps lie inside along it, POINTS at a time; returns where it stops. */
static wt_word sum_inside(const depthwise_job *job, overlapping sum, const wt_points *line,
                          wt_word c, wt_word last_channel, target to) {
  const wt_packed_problem *problem = job->problem;
  const wt_tensor *input = problem->input;
  const float *from[5];
  const wt_word plane = line->at[0] * problem->stride[0] - problem->pad[0];
  const bool inside = plane >= 0 && plane < input->size[2];
  for (wt_word y = 0; y < problem->kernel[1]; y++) {
    wt_word at = line->at[1] * problem->stride[1] - problem->pad[1] + y * problem->dilation[1];
    from[y] = inside && at >= 0 && at < input->size[3]
                  ? (const float *)input->data + line->n * input->stride[0] +
                        plane * input->stride[2] + at * input->stride[3]
                  : NULL;
  }
  const wt_word pitch = input->stride[4];
  wt_word x = job->first_inside;
  for (; x + POINTS <= job->last_inside; x += POINTS) {
    const float *first[5];
    wt_word at = x * problem->stride[2] - problem->pad[2];
    for (wt_word y = 0; y < problem->kernel[1]; y++)
      first[y] = from[y] ? from[y] + at * pitch : NULL;
    target shifted = to;
    shifted.out += x * to.out_pitch;
    if (to.residual) shifted.residual += x * to.residual_pitch;
    sum(problem, first, pitch, c, last_channel, &shifted);
  }
  return x;
}

/* ---- lines ----------------------------------------------------------------------------------- */
static void depthwise_lines(void *context, wt_word begin, wt_word end, int thread) {
  depthwise_job *job = context;
  const wt_packed_problem *problem = job->problem;
  const wt_tensor *out = problem->out, *residual = problem->residual;
  const wt_word groups = problem->groups;
  const float **rows = job->rows + thread * POINTS * problem->taps;
  const overlapping sum = choose_overlapping(problem);
  for (wt_word line = begin; line < end; line++) {
    wt_points point = wt_points_from(out, line * job->line);
    target to = {.out = wt_point_row(out, &point), .out_pitch = out->stride[4]};
    if (residual) {
      to.residual = wt_point_row(residual, &point);
      to.residual_pitch = residual->stride[4];
    }
    for (wt_word c = 0; c < groups; c += CHANNELS) {
      wt_word last = c + CHANNELS < groups ? c + CHANNELS : groups, x = 0;
      if (sum) {
        sum_points(job, point, rows, 0, job->first_inside, c, last, to);
        x = sum_inside(job, sum, &point, c, last, to);
      }
      sum_points(job, point, rows, x, job->line, c, last, to);
    }
    if (!problem->activation) continue;
    for (wt_word x = 0; x < job->line; x++) {
      int status = wt_activate(problem, to.out + x * to.out_pitch, groups);
      if (status != WT_OK) job->status = status;
    }
  }
}

int wt_packed_depthwise(const wt_packed_problem *problem) {
  depthwise_job job = {.problem = problem, .line = problem->out->size[4]};
  const wt_word stride = problem->stride[2], pad = problem->pad[2];
  const wt_word reach = (problem->kernel[2] - 1) * problem->dilation[2];
  job.first_inside = (pad + stride - 1) / stride;
  if (job.first_inside > job.line) job.first_inside = job.line;
  wt_word room = problem->input->size[4] - 1 - reach + pad; /* of the last such point's offset */
  job.last_inside = room < 0 ? 0 : room / stride + 1;
  if (job.last_inside > job.line) job.last_inside = job.line;
  uint64_t rows = (uint64_t)wt_thread_limit() * (uint64_t)(POINTS * problem->taps);
  uint64_t zeros = (uint64_t)problem->groups * sizeof(float);
  job.rows = wt_alloc_many(rows * sizeof *job.rows + zeros, 1);
  if (!job.rows) return WT_OUT_OF_MEMORY;
  job.zeros = memset(job.rows + rows, 0, zeros);
  int64_t cost = (int64_t)job.line * problem->taps * problem->groups;
  wt_parallel_for(problem->points / job.line, 1 + (wt_word)(32768 / cost), depthwise_lines, &job);
  wt_free(job.rows);
  return job.status;
}
