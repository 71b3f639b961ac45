/* Attention without the matrix of scores: a block of queries passes over blocks of keys and keeps,
 * row by row, the largest score so far, the sum of exponentials relative to it and their mix of
 * values, which are rescaled where a larger score comes (M. Milakov and N. Gimelshein, "Online
 * normalizer calculation for softmax", 2018; T. Dao et al., "FlashAttention", 2022).
 *
 * Both products of a block run on gemm's register tiles. Few queries, as when a text is continued
 * token by token, would not pay for packing the keys: they are read where they lie.
 */
#include "attention/attention.h"

#include <math.h>

#include "gemm/gemm.h"
#include "reduce/f32_runs.h"

#define WT_ELEMENT f32
#include "gemm/element.h"
#include "gemm/tile.h"
enum { PANEL = COLUMNS };
#include "gemm/element_end.h"

/* Queries and keys of a block, and elements of its queries, at most. */
enum { BLOCK_ROWS = 64, BLOCK_KEYS = 128, FEW_ROWS_KEYS = 512, QUERY_ELEMENTS = 32768 };

typedef struct job {
  const wt_attention_args *args;
  wt_attention_sizes sizes;
  wt_word block_rows, block_keys, row_blocks;
  wt_word mixed_width; /* value_width up to whole panels */
  bool in_place;       /* keys and values are read where they lie */
  float *scratch;
  uint64_t scratch_floats; /* of one thread */
} job;

/* One block of queries, and a thread's buffers. */
typedef struct block {
  const float *query, *key, *value;
  const char *mask;
  float *out;
  wt_word row, rows;       /* the first one, and how many */
  float *packed_query;     /* tiles [width][WT_TILE_ROWS], or dense rows where in_place */
  float *panels;           /* of keys or of values */
  float *scores;           /* rows, block_keys apart */
  float *mixed;            /* rows, mixed_width apart */
  float peaks[BLOCK_ROWS]; /* largest score of each row so far */
  double sums[BLOCK_ROWS]; /* of exponentials relative to it */
} block;

static wt_word rounded_up(wt_word count, wt_word step) { return (count + step - 1) / step * step; }

static const wt_word *inner_strides(const wt_tensor *tensor) {
  return tensor->stride + tensor->ndim - 2;
}

/* ---- products ------------------------------------------------------------------------------- */
static void pack_query(const job *job, block *b) {
  const wt_word *stride = inner_strides(&job->args->query), width = job->sizes.width;
  for (wt_word r = 0; r < b->rows; r += job->in_place ? 1 : WT_TILE_ROWS) {
    const float *from = b->query + r * stride[0];
    float *to = b->packed_query + r * width;
    if (job->in_place)
      for (wt_word e = 0; e < width; e++) to[e] = from[e * stride[1]];
    else
      wt_pack_tile_f32(to, from, width, b->rows - r < WT_TILE_ROWS ? b->rows - r : WT_TILE_ROWS,
                       stride[1], stride[0]);
  }
}

/* out = alpha * row @ right, plus out where `accumulate`; one row, so without memory of its own. */
static void multiply_row(float *out, wt_word columns, const float *row, wt_word depth,
                         const float *right, wt_word row_stride, wt_word column_stride,
                         double alpha, bool accumulate) {
  const wt_gemm_problem problem = {.batch = 1,
                                   .rows = 1,
                                   .columns = columns,
                                   .depth = depth,
                                   .out = {out, 0, 1, 1},
                                   .a = {(float *)row, 0, 1, 1},
                                   .b = {(float *)right, 0, row_stride, column_stride},
                                   .bias = {accumulate ? out : NULL, 0, 1, 1},
                                   .alpha = alpha,
                                   .beta = 1};
  wt_gemm_f32(&problem);
}

/* scores = scale * q k^T for `count` keys; behind them, up to a whole panel, anything. */
static void score_keys(const job *job, block *b, wt_word first, wt_word count) {
  const wt_word *stride = inner_strides(&job->args->key), width = job->sizes.width;
  const float *key = b->key + first * stride[0];
  if (job->in_place) {
    for (wt_word r = 0; r < b->rows; r++)
      multiply_row(b->scores + r * job->block_keys, count, b->packed_query + r * width, width, key,
                   stride[1], stride[0], job->args->scale, false);
    return;
  }
  wt_tile_target_f32 target = {.row_stride = job->block_keys, .alpha = (float)job->args->scale};
  for (wt_word c = 0; c < count; c += PANEL) {
    wt_pack_panel_f32(b->panels, key + c * stride[0], width, count - c < PANEL ? count - c : PANEL,
                      stride[1], stride[0]);
    for (wt_word r = 0; r < b->rows; r += WT_TILE_ROWS) {
      target.out = b->scores + r * job->block_keys + c;
      wt_tile_f32(b->rows - r < WT_TILE_ROWS ? b->rows - r : WT_TILE_ROWS, width,
                  b->packed_query + r * width, 0, b->panels, &target);
    }
  }
}

/* mixed += weights @ v for `count` keys; the first ones set it. */
static void mix_values(const job *job, block *b, wt_word first, wt_word count) {
  const wt_word *stride = inner_strides(&job->args->value);
  const float *value = b->value + first * stride[0];
  if (job->in_place) {
    for (wt_word r = 0; r < b->rows; r++)
      multiply_row(b->mixed + r * job->mixed_width, job->sizes.value_width,
                   b->scores + r * job->block_keys, count, value, stride[0], stride[1], 1,
                   first > 0);
    return;
  }
  wt_tile_target_f32 target = {.row_stride = job->mixed_width, .alpha = 1, .accumulate = first > 0};
  for (wt_word c = 0; c < job->sizes.value_width; c += PANEL) {
    wt_word columns = job->sizes.value_width - c < PANEL ? job->sizes.value_width - c : PANEL;
    wt_pack_panel_f32(b->panels, value + c * stride[1], count, columns, stride[0], stride[1]);
    for (wt_word r = 0; r < b->rows; r += WT_TILE_ROWS) {
      target.out = b->mixed + r * job->mixed_width + c;
      wt_tile_f32(b->rows - r < WT_TILE_ROWS ? b->rows - r : WT_TILE_ROWS, count,
                  b->scores + r * job->block_keys, job->block_keys, b->panels, &target);
    }
  }
}

/* ---- softmax -------------------------------------------------------------------------------- */
static void mask_row(float *scores, wt_word count, const void *mask, bool booleans,
                     wt_word stride) {
  const float *numbers = mask;
  const uint8_t *allowed = mask;
  if (booleans && stride == 1)
    for (wt_word i = 0; i < count; i++) scores[i] = allowed[i] ? scores[i] : -INFINITY;
  else if (booleans)
    for (wt_word i = 0; i < count; i++) scores[i] = allowed[i * stride] ? scores[i] : -INFINITY;
  else if (stride == 1)
    for (wt_word i = 0; i < count; i++) scores[i] += numbers[i];
  else
    for (wt_word i = 0; i < count; i++) scores[i] += numbers[i * stride];
}

/* Scores become weights relative to the row's largest score so far, to which what was gathered
 * before is rescaled. */
static void weigh_keys(const job *job, block *b, wt_word first, wt_word count) {
  const wt_tensor *mask = &job->args->mask;
  for (wt_word r = 0; r < b->rows; r++) {
    float *scores = b->scores + r * job->block_keys, *mixed = b->mixed + r * job->mixed_width;
    wt_word seen = job->args->causal ? b->row + r + 1 - first : count;
    seen = seen < 0 ? 0 : seen > count ? count : seen;
    if (b->mask) {
      const wt_word *stride = inner_strides(mask);
      wt_word offset = (b->row + r) * stride[0] + first * stride[1];
      mask_row(scores, seen, b->mask + offset * (wt_word)wt_dtype_size(mask->dtype),
               mask->dtype == WT_BOOL, stride[1]);
    }
    const float before = b->peaks[r], peak = WT_F32_RUN(max)(scores, seen);
    b->peaks[r] = peak > before || peak != peak ? peak : before;
    /* Where nothing was seen yet, all weights are exp(-inf - 0) = 0. */
    const float base = b->peaks[r] == -INFINITY ? 0 : b->peaks[r];
    const double sum = WT_F32_RUN(exp_sum)(scores, scores, seen, base);
    for (wt_word i = seen; i < count; i++) scores[i] = 0;
    const float factor = expf(before - base);
    b->sums[r] = b->sums[r] * (double)factor + sum;
    if (first > 0 && factor != 1)
      for (wt_word c = 0; c < job->mixed_width; c++) mixed[c] *= factor;
  }
}

/* ---- a block of queries -----------------------------------------------------------------------
 */
static void finish(const job *job, const block *b) {
  const wt_word *stride = inner_strides(&job->args->out);
  for (wt_word r = 0; r < b->rows; r++) {
    float *out = b->out + (b->row + r) * stride[0];
    const float *mixed = b->mixed + r * job->mixed_width;
    const float factor = b->sums[r] == 0 ? 0 : (float)(1 / b->sums[r]);
    for (wt_word c = 0; c < job->sizes.value_width; c++) out[c * stride[1]] = mixed[c] * factor;
  }
}

static void attend(const job *job, block *b) {
  for (wt_word r = 0; r < b->rows; r++) {
    b->peaks[r] = -INFINITY;
    b->sums[r] = 0;
  }
  wt_word source = job->sizes.source;
  if (job->args->causal && b->row + b->rows < source) source = b->row + b->rows;
  if (source == 0)
    for (wt_word i = 0; i < b->rows * job->mixed_width; i++) b->mixed[i] = 0;
  pack_query(job, b);
  for (wt_word first = 0; first < source; first += job->block_keys) {
    wt_word count = source - first < job->block_keys ? source - first : job->block_keys;
    score_keys(job, b, first, count);
    weigh_keys(job, b, first, count);
    mix_values(job, b, first, count);
  }
  finish(job, b);
}

static void attend_blocks(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_attention_args *args = job->args;
  const wt_word heads = job->sizes.heads, group = job->sizes.group;
  float *scratch = job->scratch + (size_t)thread * job->scratch_floats;
  block b;
  b.scores = scratch;
  b.mixed = b.scores + job->block_rows * job->block_keys;
  b.packed_query = b.mixed + job->block_rows * job->mixed_width;
  b.panels = b.packed_query + job->block_rows * job->sizes.width;
  for (wt_word item = begin; item < end; item++) {
    wt_word entry = item / job->row_blocks;
    b.row = item % job->row_blocks * job->block_rows;
    b.rows = job->sizes.length - b.row;
    if (b.rows > job->block_rows) b.rows = job->block_rows;
    b.query = wt_attention_matrix(&args->query, entry, heads, 1);
    b.query += b.row * inner_strides(&args->query)[0];
    b.key = wt_attention_matrix(&args->key, entry, heads, group);
    b.value = wt_attention_matrix(&args->value, entry, heads, group);
    b.mask = wt_is_present(&args->mask) ? wt_attention_matrix(&args->mask, entry, heads, 1) : NULL;
    b.out = wt_attention_matrix(&args->out, entry, heads, 1);
    attend(job, &b);
  }
}

/* ---- the kernel -------------------------------------------------------------------------------
 */
/* Smaller blocks where the threads would have too few of them, or rows are long. */
static void choose_blocks(job *job, int threads) {
  const wt_attention_sizes *sizes = &job->sizes;
  const wt_attention_args *args = job->args;
  const wt_word widest = sizes->width > sizes->value_width ? sizes->width : sizes->value_width;
  job->in_place = sizes->length < WT_TILE_ROWS && sizes->value_width > 1 &&
                  inner_strides(&args->key)[1] == 1 && inner_strides(&args->value)[1] == 1;
  wt_word keys = job->in_place ? FEW_ROWS_KEYS : BLOCK_KEYS, rows = BLOCK_ROWS;
  while (keys > PANEL && keys / 2 >= sizes->source) keys /= 2;
  while (
      rows > WT_TILE_ROWS &&
      (rows / 2 >= sizes->length || (int64_t)rows * widest > QUERY_ELEMENTS ||
       (rows > 16 && sizes->entries * ((sizes->length + rows - 1) / rows) < 2 * (wt_word)threads)))
    rows /= 2;
  job->block_rows = rows;
  job->block_keys = keys;
  job->row_blocks = (sizes->length + rows - 1) / rows;
  job->mixed_width = rounded_up(sizes->value_width, PANEL);
  const wt_word deepest = sizes->width > keys ? sizes->width : keys; /* of a panel */
  job->scratch_floats = (uint64_t)rows * (uint64_t)(keys + job->mixed_width + sizes->width) +
                        (uint64_t)deepest * PANEL;
}

int wt_attention_blocks(const wt_attention_args *args, const wt_attention_sizes *sizes) {
  const int threads = wt_thread_limit();
  job job = {.args = args, .sizes = *sizes};
  choose_blocks(&job, threads);
  job.scratch = wt_alloc_many((uint64_t)threads, job.scratch_floats * sizeof(float));
  if (!job.scratch) return WT_OUT_OF_MEMORY;
  const int64_t cost =
      (int64_t)job.block_rows * (sizes->source + 1) * (sizes->width + sizes->value_width);
  wt_parallel_for(sizes->entries * job.row_blocks, 1 + (wt_word)(65536 / (cost + 1)), attend_blocks,
                  &job);
  wt_free(job.scratch);
  return WT_OK;
}
