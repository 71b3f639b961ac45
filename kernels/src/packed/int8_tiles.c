/* The convolution in 8 bits as a product of points by panels. */
#include <stdatomic.h>

#include "packed/int8.h"

#define BLOCK_POINTS 32
#define TILE_POINTS 4

typedef struct int8_job {
  const wt_int8_problem *problem;
  const wt_int8_input *input;
  wt_int8_reading reading;
  wt_word block_points, point_blocks;
  wt_word block_panels, panel_blocks, panels;
  const uint8_t **rows; /* per thread: [tap][block_points] */
  atomic_int status;
} int8_job;

/* The inputs under the taps of a point of the output, and the scale of its sums. */
static float look_up(const int8_job *job, const wt_points *point, const uint8_t **rows) {
  const wt_packed_problem *shape = &job->problem->shape;
  const wt_tensor *input = shape->input;
  const wt_word channels = shape->channels;
  wt_word at[3], last = 0, entry = point->n * input->size[2];
  for (wt_word z = 0; z < shape->kernel[0]; z++)
    for (wt_word y = 0; y < shape->kernel[1]; y++)
      for (wt_word x = 0; x < shape->kernel[2]; x++, rows += job->block_points) {
        const wt_word tap[3] = {z, y, x};
        bool inside = true;
        for (int d = 0; d < 3; d++) {
          at[d] = point->at[d] * shape->stride[d] - shape->pad[d] + tap[d] * shape->dilation[d];
          inside = inside && at[d] >= 0 && at[d] < input->size[2 + d];
        }
        last = ((entry + at[0]) * input->size[3] + at[1]) * input->size[4] + at[2];
        *rows = inside ? job->input->data + last * channels : job->input->zeros;
        if (!inside) last = 0;
      }
  return job->input->scale[job->input->per_point ? last : point->n];
}

/* What the sums of a panel's filters become results with. */
typedef struct finish {
  wt_i32x4 zero_sums[2]; /* what the zero point adds to the sums */
  wt_f32x4 scale[2], bias[2], low, high;
} finish;

static finish finish_of(const int8_job *job, wt_word filter, wt_word width) {
  const wt_int8_problem *problem = job->problem;
  const wt_packed_problem *shape = &problem->shape;
  int32_t sums[WT_PANEL] = {0};
  float scale[WT_PANEL] = {0}, bias[WT_PANEL] = {0};
  for (wt_word f = 0; f < width; f++) {
    /* Modulo 2^32, as the sums are: the difference of the two fits. */
    sums[f] = (int32_t)((uint32_t)problem->weight_sums[filter + f] *
                        (uint32_t)wt_int8_zero(job->reading));
    scale[f] = problem->scale[filter + f];
    if (shape->bias) bias[f] = shape->bias[filter + f];
  }
  finish result = {.low = wt_f32x4_splat(shape->low), .high = wt_f32x4_splat(shape->high)};
  for (int half = 0; half < 2; half++) {
    result.zero_sums[half] = wt_i32x4_load(sums + 4 * half);
    result.scale[half] = wt_f32x4_load(scale + 4 * half);
    result.bias[half] = wt_f32x4_load(bias + 4 * half);
  }
  return result;
}

/* Half a panel's results of one point; residual NULL: there is none. */
WT_INLINE wt_f32x4 finished(const finish *with, int half, const int32_t *sums, wt_f32x4 scale,
                            wt_f32x4 residual) {
  wt_i32x4 exact = wt_i32x4_load(sums + 4 * half) - with->zero_sums[half];
  wt_f32x4 value = wt_f32x4_madd(wt_f32x4_from_i32x4(exact), with->scale[half] * scale,
                                 with->bias[half] + residual);
  return wt_f32x4_pmin(wt_f32x4_pmax(value, with->low), with->high);
}

static void finish_point(const finish *with, const int32_t *sums, float scale, wt_word width,
                         float *out, const float *residual) {
  const wt_f32x4 scales = wt_f32x4_splat(scale), none = {0, 0, 0, 0};
  for (int half = 0; half < 2; half++, out += 4, width -= 4) {
    const float *added = residual ? residual + 4 * half : NULL;
    if (width >= 4) {
      wt_f32x4 more = added ? wt_f32x4_load(added) : none;
      wt_f32x4_store(out, finished(with, half, sums, scales, more));
    } else if (width > 0) {
      wt_f32x4 more = added ? wt_f32x4_load_part(added, (int)width) : none;
      wt_f32x4_store_part(out, finished(with, half, sums, scales, more), (int)width);
    }
  }
}

static void run_block(int8_job *job, const uint8_t **rows, wt_word block, wt_word first_panel,
                      wt_word last_panel) {
  const wt_int8_problem *problem = job->problem;
  const wt_packed_problem *shape = &problem->shape;
  float scale[BLOCK_POINTS], *out[BLOCK_POINTS];
  const float *residual[BLOCK_POINTS];
  const wt_word first = block * job->block_points;
  wt_word count = shape->points - first;
  if (count > job->block_points) count = job->block_points;
  wt_points point = wt_points_from(shape->out, first);
  for (wt_word p = 0; p < count; p++, wt_next_point(shape->out, &point)) {
    out[p] = wt_point_row(shape->out, &point);
    residual[p] = shape->residual ? wt_point_row(shape->residual, &point) : NULL;
    scale[p] = look_up(job, &point, rows + p);
  }
  int32_t sums[TILE_POINTS][WT_PANEL];
  wt_int8_tile tile = {.rows_pitch = job->block_points,
                       .taps = shape->taps,
                       .channels = shape->channels,
                       .sums = sums};
  for (wt_word panel = first_panel; panel < last_panel; panel++) {
    const wt_word filter = panel * WT_PANEL, left = shape->filters - filter;
    const wt_word width = left < WT_PANEL ? left : WT_PANEL;
    const finish with = finish_of(job, filter, width);
    tile.panel = problem->weight + filter * shape->depth;
    for (wt_word p = 0; p < count; p += TILE_POINTS) {
      const wt_word points = count - p < TILE_POINTS ? count - p : TILE_POINTS;
      tile.rows = rows + p;
      wt_int8_run_tile(&tile, points, job->reading);
      for (wt_word i = 0; i < points; i++)
        finish_point(&with, sums[i], scale[p + i], width, out[p + i] + filter,
                     residual[p + i] ? residual[p + i] + filter : NULL);
    }
  }
  if (!shape->activation) return;
  wt_word from = first_panel * WT_PANEL, until = last_panel * WT_PANEL;
  if (until > shape->filters) until = shape->filters;
  for (wt_word p = 0; p < count; p++) {
    int status = wt_activate(shape, out[p] + from, until - from);
    if (status != WT_OK) job->status = status;
  }
}

static void run_blocks(void *context, wt_word begin, wt_word end, int thread) {
  int8_job *job = context;
  const uint8_t **rows =
      job->rows + (size_t)thread * (size_t)(job->problem->shape.taps * job->block_points);
  for (wt_word item = begin; item < end; item++) {
    wt_word first = item % job->panel_blocks * job->block_panels;
    wt_word last =
        first + job->block_panels < job->panels ? first + job->block_panels : job->panels;
    run_block(job, rows, item / job->panel_blocks, first, last);
  }
}

int wt_int8_tiles(const wt_int8_problem *problem, const wt_int8_input *input,
                  wt_int8_reading reading) {
  const int threads = wt_thread_limit();
  const wt_packed_problem *shape = &problem->shape;
  int8_job job = {.problem = problem, .input = input, .reading = reading};
  job.block_points = BLOCK_POINTS;
  job.point_blocks = (shape->points + BLOCK_POINTS - 1) / BLOCK_POINTS;
  job.panels = (shape->filters + WT_PANEL - 1) / WT_PANEL;
  job.block_panels = job.panels;
  const wt_word wanted = 4 * (wt_word)threads;
  if (threads > 1 && job.point_blocks < wanted) {
    wt_word split = (wanted + job.point_blocks - 1) / job.point_blocks;
    job.block_panels = (job.panels + split - 1) / split;
  }
  job.panel_blocks = (job.panels + job.block_panels - 1) / job.block_panels;
  uint64_t rows = (uint64_t)threads * (uint64_t)(shape->taps * job.block_points);
  job.rows = wt_alloc_many(rows, sizeof *job.rows);
  if (!job.rows) return WT_OUT_OF_MEMORY;
  int64_t cost = (int64_t)job.block_points * job.block_panels * WT_PANEL * (shape->depth / 4 + 1);
  wt_parallel_for(job.point_blocks * job.panel_blocks, 1 + (wt_word)(65536 / cost), run_blocks,
                  &job);
  wt_free(job.rows);
  return job.status;
}
