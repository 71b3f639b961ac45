/* The packed convolution as a product of points by panels.
 *
 * A work item is a block of points and a range of panels of one group. It looks up its points once,
 * then takes panel by panel: of each, a piece of the depth stays in the first-level cache while all
 * the block's tiles run past it. Sums of pieces are kept in out.
 */
#include "packed/packed.h"
#include "packed/tile.h"

/* Depth of a piece: its part of a panel and of four rows fit the first-level cache. */
#define PIECE 512
#define BLOCK_POINTS 64
/* Inputs of fewer channels are gathered into one row a point, for a tap alone is too short a sum.
 */
#define FEW_CHANNELS 16

typedef struct tiles_job {
  const wt_packed_problem *problem;
  wt_word block_points, point_blocks;
  wt_word block_panels, panel_blocks, panels; /* of one group */
  bool gather;
  wt_word taps, channels; /* as the tiles see them */
  const float *zeros;
  char *scratch; /* per thread */
  uint64_t scratch_bytes;
  _Atomic int status;
} tiles_job;

/* A thread's part of the scratch. */
typedef struct tables {
  const float **rows;  /* [tap][block_points] */
  float **out;         /* [block_points] */
  const float **added; /* [block_points] */
  float *wide;         /* [PIECE][WT_PANEL]: a piece of a narrow panel */
  float *gathered;     /* [block_points][depth] */
} tables;

static tables tables_of(const tiles_job *job, int thread) {
  char *at = job->scratch + (size_t)thread * (size_t)job->scratch_bytes;
  const size_t points = (size_t)job->block_points;
  tables t = {.rows = (const float **)at};
  t.out = (float **)(t.rows + (size_t)job->taps * points);
  t.added = (const float **)(t.out + points);
  t.wide = (float *)(t.added + points);
  t.gathered = t.wide + PIECE * WT_PANEL;
  return t;
}

static uint64_t bytes_of_tables(const tiles_job *job) {
  const uint64_t points = (uint64_t)job->block_points;
  uint64_t pointers = (uint64_t)job->taps * points + 2 * points;
  uint64_t floats = PIECE * WT_PANEL + (job->gather ? points * (uint64_t)job->problem->depth : 0);
  uint64_t bytes = pointers * sizeof(void *) + floats * sizeof(float);
  return (bytes + 63) / 64 * 64;
}

WT_INLINE void copy_run(float *to, const float *from, wt_word count) {
  wt_word i = 0;
  for (; i + 4 <= count; i += 4) wt_f32x4_store(to + i, wt_f32x4_load(from + i));
  for (; i < count; i++) to[i] = from[i];
}

/* What one line of taps reads of a group, side by side; the taps lie `step` apart in the input, and
 * the first of them at position x of the line `from`. */
static float *gather_line(const wt_packed_problem *problem, float *to, const float *from, wt_word x,
                          wt_word group) {
  const wt_word width = problem->kernel[2], channels = problem->channels;
  const wt_word dilation = problem->dilation[2], pitch = problem->input->stride[4];
  const wt_word size = problem->input->size[4];
  if (from && x >= 0 && x + (width - 1) * dilation < size && dilation * pitch == channels) {
    copy_run(to, from + x * pitch + group * channels, width * channels);
    return to + width * channels;
  }
  for (wt_word i = 0; i < width; i++, x += dilation, to += channels)
    if (from && x >= 0 && x < size)
      copy_run(to, from + x * pitch + group * channels, channels);
    else
      for (wt_word c = 0; c < channels; c++) to[c] = 0;
  return to;
}

/* Copies what the taps read of a point: one row, as long as the depth. */
static void gather_point(const wt_packed_problem *problem, const wt_points *point, wt_word group,
                         float *to) {
  const wt_tensor *input = problem->input;
  const float *base = (const float *)input->data + point->n * input->stride[0];
  for (wt_word z = 0; z < problem->kernel[0]; z++)
    for (wt_word y = 0; y < problem->kernel[1]; y++) {
      wt_word i = point->at[0] * problem->stride[0] - problem->pad[0] + z * problem->dilation[0];
      wt_word j = point->at[1] * problem->stride[1] - problem->pad[1] + y * problem->dilation[1];
      bool inside = i >= 0 && i < input->size[2] && j >= 0 && j < input->size[3];
      const float *line = inside ? base + i * input->stride[2] + j * input->stride[3] : NULL;
      to = gather_line(problem, to, line, point->at[2] * problem->stride[2] - problem->pad[2],
                       group);
    }
}

/* Looks up the block's points, or gathers them. */
static void fill_tables(const tiles_job *job, const tables *t, wt_word group, wt_word first,
                        wt_word count) {
  const wt_packed_problem *problem = job->problem;
  wt_points point = wt_points_from(problem->out, first);
  for (wt_word p = 0; p < count; p++, wt_next_point(problem->out, &point)) {
    t->out[p] = wt_point_row(problem->out, &point);
    if (problem->residual) t->added[p] = wt_point_row(problem->residual, &point);
    if (!job->gather) {
      wt_tap_rows(problem, &point, job->zeros, t->rows + p, job->block_points);
    } else {
      float *row = t->gathered + p * problem->depth;
      gather_point(problem, &point, group, row);
      t->rows[p] = row;
    }
  }
}

/* A piece of a panel of `width` < WT_PANEL filters as one of WT_PANEL. */
static const float *widen(float *wide, const float *panel, wt_word depth, wt_word width) {
  float *to = wide;
  for (wt_word d = 0; d < depth; d++, to += WT_PANEL, panel += width)
    for (wt_word f = 0; f < WT_PANEL; f++) to[f] = f < width ? panel[f] : 0;
  return wide;
}

/* One tile of a narrow panel: its results pass through a whole one. */
static void run_narrow_tile(const wt_packed_tile *whole, wt_word points, wt_word width) {
  float results[WT_TILE_POINTS][WT_PANEL], added[WT_TILE_POINTS][WT_PANEL] = {{0}};
  float bias[WT_PANEL] = {0};
  float *out_rows[WT_TILE_POINTS];
  const float *added_rows[WT_TILE_POINTS];
  for (wt_word p = 0; p < points; p++) {
    out_rows[p] = results[p];
    added_rows[p] = added[p];
    for (wt_word f = 0; whole->added && f < width; f++)
      added[p][f] = whole->added[p][whole->at + f];
  }
  for (wt_word f = 0; whole->bias && f < width; f++) bias[f] = whole->bias[f];
  wt_packed_tile tile = *whole;
  tile.out = out_rows;
  tile.added = added_rows;
  tile.bias = bias;
  tile.at = 0;
  wt_run_packed_tile(&tile, points, 1);
  for (wt_word p = 0; p < points; p++)
    for (wt_word f = 0; f < width; f++) whole->out[p][whole->at + f] = results[p][f];
}

/* A piece of one or more panels over all points of the block. */
static void run_piece(wt_packed_tile tile, wt_word count, wt_word panels, wt_word width) {
  const float *const *rows = tile.rows, *const *added = tile.added;
  float *const *out = tile.out;
  for (wt_word p = 0; p < count; p += WT_TILE_POINTS) {
    wt_word points = count - p < WT_TILE_POINTS ? count - p : WT_TILE_POINTS;
    tile.rows = rows + p;
    tile.out = out + p;
    tile.added = added ? added + p : NULL;
    if (width == WT_PANEL)
      wt_run_packed_tile(&tile, points, panels);
    else
      run_narrow_tile(&tile, points, width);
  }
}

/* `panels` panels from `panel` on, of which the last may be narrow if it is alone. */
static void run_panels(const tiles_job *job, const tables *t, wt_word group, wt_word panel,
                       wt_word panels, wt_word count) {
  const wt_packed_problem *problem = job->problem;
  const wt_word filter = panel * WT_PANEL, channels = job->channels;
  const wt_word left = problem->filters - filter, width = left < WT_PANEL ? left : WT_PANEL;
  const float *weight = problem->weight + (group * problem->filters + filter) * problem->depth;
  wt_packed_tile tile = {.rows_pitch = job->block_points,
                         .panel_pitch = problem->depth * WT_PANEL,
                         .out = t->out,
                         .added = problem->residual ? t->added : NULL,
                         .at = group * problem->filters + filter,
                         .bias = problem->bias,
                         .low = -__builtin_inff(),
                         .high = __builtin_inff()};
  if (tile.bias) tile.bias += tile.at;
  /* A piece is a few whole taps, or some channels of one. */
  const wt_word step_taps = channels < PIECE ? PIECE / channels : 1;
  for (wt_word tap = 0; tap < job->taps; tap += step_taps)
    for (wt_word c = 0; c < channels; c += PIECE) {
      tile.taps = job->taps - tap < step_taps ? job->taps - tap : step_taps;
      tile.channels = channels - c < PIECE ? channels - c : PIECE;
      tile.first_channel = job->gather ? c : group * channels + c;
      tile.rows = t->rows + tap * job->block_points;
      wt_word depth_at = tap * channels + c;
      tile.panel = weight + depth_at * width;
      if (width < WT_PANEL)
        tile.panel = widen(t->wide, tile.panel, tile.taps * tile.channels, width);
      if (depth_at + tile.taps * tile.channels == problem->depth) {
        tile.low = problem->low;
        tile.high = problem->high;
      }
      run_piece(tile, count, panels, width);
      tile.bias = NULL;
      tile.added = (const float *const *)t->out;
    }
}

static void run_blocks(void *context, wt_word begin, wt_word end, int thread) {
  tiles_job *job = context;
  const wt_packed_problem *problem = job->problem;
  tables t = tables_of(job, thread);
  wt_word looked_up = -1;
  for (wt_word item = begin; item < end; item++) {
    wt_word block = item / job->panel_blocks, first_panel = item % job->panel_blocks;
    wt_word group = block % problem->groups, first = block / problem->groups * job->block_points;
    wt_word count = problem->points - first;
    if (count > job->block_points) count = job->block_points;
    if (block != looked_up) {
      fill_tables(job, &t, group, first, count);
      looked_up = block;
    }
    first_panel *= job->block_panels;
    wt_word last_panel = first_panel + job->block_panels;
    if (last_panel > job->panels) last_panel = job->panels;
    const wt_word whole = problem->filters / WT_PANEL, together = wt_tile_panels(count);
    for (wt_word panel = first_panel; panel < last_panel;) {
      wt_word panels = panel + together <= last_panel && panel + together <= whole ? together : 1;
      run_panels(job, &t, group, panel, panels, count);
      panel += panels;
    }
    if (!problem->activation) continue;
    wt_word at = first_panel * WT_PANEL, until = last_panel * WT_PANEL;
    if (until > problem->filters) until = problem->filters;
    for (wt_word p = 0; p < count; p++) {
      int status = wt_activate(problem, t.out[p] + group * problem->filters + at, until - at);
      if (status != WT_OK) job->status = status;
    }
  }
}

/* Blocks of points, and of panels where the threads would otherwise have too few of them. */
static void choose_blocks(tiles_job *job, int threads) {
  const wt_packed_problem *problem = job->problem;
  wt_word blocks = (problem->points + BLOCK_POINTS - 1) / BLOCK_POINTS;
  wt_word even = (problem->points + blocks - 1) / blocks; /* blocks of about one size */
  job->block_points = (even + WT_TILE_POINTS - 1) / WT_TILE_POINTS * WT_TILE_POINTS;
  job->point_blocks = (problem->points + job->block_points - 1) / job->block_points;
  job->panels = (problem->filters + WT_PANEL - 1) / WT_PANEL;
  job->block_panels = job->panels;
  wt_word items = job->point_blocks * problem->groups, wanted = 4 * (wt_word)threads;
  if (threads > 1 && items < wanted) {
    wt_word split = (wanted + items - 1) / items;
    job->block_panels = (job->panels + split - 1) / split;
    if (job->block_panels < 4) job->block_panels = job->panels < 4 ? job->panels : 4;
  }
  job->panel_blocks = (job->panels + job->block_panels - 1) / job->block_panels;
}

int wt_packed_tiles(const wt_packed_problem *problem) {
  const int threads = wt_thread_limit();
  tiles_job job = {.problem = problem,
                   .gather = problem->taps > 1 && problem->channels < FEW_CHANNELS};
  job.taps = job.gather ? 1 : problem->taps;
  job.channels = job.gather ? problem->depth : problem->channels;
  choose_blocks(&job, threads);
  job.scratch_bytes = bytes_of_tables(&job);
  size_t zeros = (size_t)problem->input->size[1] * sizeof(float);
  job.scratch = wt_alloc_many((uint64_t)threads * job.scratch_bytes + zeros, 1);
  if (!job.scratch) return WT_OUT_OF_MEMORY;
  job.zeros = memset(job.scratch + (size_t)threads * (size_t)job.scratch_bytes, 0, zeros);
  int64_t cost = (int64_t)job.block_points * job.block_panels * WT_PANEL * (problem->depth + 1);
  wt_parallel_for(job.point_blocks * problem->groups * job.panel_blocks,
                  1 + (wt_word)(65536 / cost), run_blocks, &job);
  wt_free(job.scratch);
  return job.status;
}
