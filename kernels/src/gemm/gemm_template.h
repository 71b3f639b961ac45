/* Template (see gemm/element.h): the blocked matrix product.
 *
 * b is packed into panels once, by all threads; then blocks of out are handed out dynamically. A
 * block passes over its depth in steps of WT_DEPTH_BLOCK: it packs its rows of a where they do not
 * already lie dense along the depth, keeps one panel of b in the first-level cache and runs the
 * rows' tiles past it.
 */
#include "gemm/tile.h"

#include "gemm/small_template.h"
#include "gemm/vector_template.h"

typedef struct FN(gemm_job) {
  const wt_gemm_problem *problem;
  /* The slab: entries, columns and depth that are packed at a time. */
  wt_word first_entry, entries;
  wt_word first_column, columns;
  wt_word first_depth, depth;
  wt_word block_rows, block_columns;
  bool pack_rows;
  T *panels;  /* [entries or 1][panel][depth][COLUMNS] */
  T *scratch; /* per thread: packed tiles of one block and depth step */
  wt_word panel_count, packed_entries, row_blocks, column_blocks;
} FN(gemm_job);

static void FN(gemm_pack_panels)(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const FN(gemm_job) *job = context;
  const wt_matrix *b = &job->problem->b;
  for (wt_word item = begin; item < end; item++) {
    wt_word entry = item / job->panel_count, column = item % job->panel_count * COLUMNS;
    wt_word count = job->columns - column < COLUMNS ? job->columns - column : COLUMNS;
    const T *from = (const T *)b->data + (job->first_entry + entry) * b->batch_stride +
                    job->first_depth * b->row_stride +
                    (job->first_column + column) * b->column_stride;
    FN(wt_pack_panel)(job->panels + item * job->depth * COLUMNS, from, job->depth, count,
                      b->row_stride, b->column_stride);
  }
}

/* out = beta * bias, or zero where there is none: what a product of depth 0 leaves. */
static void FN(gemm_start_block)(const wt_gemm_problem *problem, T *out, const T *bias,
                                 wt_word rows, wt_word columns) {
  T beta = FROM_DOUBLE(problem->beta);
  for (wt_word r = 0; r < rows; r++) {
    T *to = out + r * problem->out.row_stride;
    const T *from = bias ? bias + r * problem->bias.row_stride : NULL;
    for (wt_word c = 0; c < columns; c++)
      to[c * problem->out.column_stride] =
          from ? beta * from[c * problem->bias.column_stride] : (T)0;
  }
}

static const T *FN(gemm_bias_at)(const wt_gemm_problem *problem, wt_word entry, wt_word row,
                                 wt_word column) {
  const wt_matrix *bias = &problem->bias;
  if (!bias->data) return NULL;
  return (const T *)bias->data + entry * bias->batch_stride + row * bias->row_stride +
         column * bias->column_stride;
}

/* One depth step of one block: tiles of a against panels of b. `depth_at` counts in the slab. */
static void FN(gemm_multiply_block)(const FN(gemm_job) * job, const T *panels, const T *a,
                                    T *packed_tiles, wt_word rows, wt_word columns,
                                    wt_word depth_at, wt_word depth, FN(wt_tile_target) target) {
  const wt_gemm_problem *problem = job->problem;
  T *out = target.out;
  if (job->pack_rows)
    for (wt_word r = 0; r < rows; r += WT_TILE_ROWS)
      FN(wt_pack_tile)(packed_tiles + r * depth, a + r * problem->a.row_stride, depth,
                       rows - r < WT_TILE_ROWS ? rows - r : WT_TILE_ROWS, problem->a.column_stride,
                       problem->a.row_stride);
  wt_word left_stride = job->pack_rows ? 0 : problem->a.row_stride;
  for (wt_word c = 0; c < columns; c += COLUMNS) {
    const T *panel = panels + c * job->depth + depth_at * COLUMNS;
    wt_word width = columns - c < COLUMNS ? columns - c : COLUMNS;
    for (wt_word r = 0; r < rows; r += WT_TILE_ROWS) {
      wt_word height = rows - r < WT_TILE_ROWS ? rows - r : WT_TILE_ROWS;
      const T *left = job->pack_rows ? packed_tiles + r * depth : a + r * problem->a.row_stride;
      target.out = out + r * problem->out.row_stride + c * problem->out.column_stride;
      if (width == COLUMNS && problem->out.column_stride == 1)
        FN(wt_tile)(height, depth, left, left_stride, panel, &target);
      else
        FN(wt_tile_partial)(height, width, depth, left, left_stride, panel, &target,
                            problem->out.column_stride);
    }
  }
}

static void FN(gemm_blocks)(void *context, wt_word begin, wt_word end, int thread) {
  const FN(gemm_job) *job = context;
  const wt_gemm_problem *problem = job->problem;
  T *packed_tiles = NULL;
  if (job->pack_rows)
    packed_tiles =
        job->scratch + (size_t)thread * (size_t)(job->block_rows + WT_TILE_ROWS) * WT_DEPTH_BLOCK;
  for (wt_word item = begin; item < end; item++) {
    wt_word column = item % job->column_blocks * job->block_columns;
    wt_word row = item / job->column_blocks % job->row_blocks * job->block_rows;
    wt_word entry = item / job->column_blocks / job->row_blocks;
    wt_word columns = job->columns - column, rows = problem->rows - row;
    if (columns > job->block_columns) columns = job->block_columns;
    if (rows > job->block_rows) rows = job->block_rows;
    const T *panels =
        job->panels +
        ((job->packed_entries == 1 ? 0 : entry) * job->panel_count * COLUMNS + column) * job->depth;
    entry += job->first_entry;
    const T *a = (const T *)problem->a.data + entry * problem->a.batch_stride +
                 row * problem->a.row_stride + job->first_depth * problem->a.column_stride;
    column += job->first_column;
    T *out = (T *)problem->out.data + entry * problem->out.batch_stride +
             row * problem->out.row_stride + column * problem->out.column_stride;
    FN(wt_tile_target)
    target = {.out = out,
              .row_stride = problem->out.row_stride,
              .row_bias = NULL,
              .alpha = FROM_DOUBLE(problem->alpha),
              .accumulate = job->first_depth > 0};
    const T *bias = FN(gemm_bias_at)(problem, entry, row, column);
    if (bias && job->first_depth == 0) {
      FN(gemm_start_block)(problem, out, bias, rows, columns);
      target.accumulate = true;
    }
    for (wt_word d = 0; d < job->depth; d += WT_DEPTH_BLOCK) {
      wt_word depth = job->depth - d < WT_DEPTH_BLOCK ? job->depth - d : WT_DEPTH_BLOCK;
      FN(gemm_multiply_block)(job, panels, a + d * problem->a.column_stride, packed_tiles, rows,
                              columns, d, depth, target);
      target.accumulate = true;
    }
  }
}

/* Blocks of at most 64 x 512, smaller where the threads would otherwise have too few of them. */
static void FN(gemm_choose_blocks)(FN(gemm_job) * job, int threads) {
  const wt_gemm_problem *problem = job->problem;
  wt_word rows = 64, columns = 512;
  while (rows / 2 >= problem->rows && rows > WT_TILE_ROWS) rows /= 2;
  while (columns / 2 >= job->columns && columns > COLUMNS) columns /= 2;
  for (;;) {
    job->row_blocks = (problem->rows + rows - 1) / rows;
    job->column_blocks = (job->columns + columns - 1) / columns;
    bool enough =
        threads == 1 || job->row_blocks * job->column_blocks * job->entries >= 4 * (wt_word)threads;
    bool small = (int64_t)rows * columns * job->depth < 65536;
    if (enough || small) break;
    if (columns > 2 * rows && columns > COLUMNS)
      columns /= 2;
    else if (rows > 2 * WT_TILE_ROWS)
      rows /= 2;
    else
      break;
  }
  job->block_rows = rows;
  job->block_columns = columns;
}

static void FN(gemm_run_slab)(FN(gemm_job) * job, int threads) {
  job->panel_count = (job->columns + COLUMNS - 1) / COLUMNS;
  FN(gemm_choose_blocks)(job, threads);
  wt_word pack_grain = 1 + 65536 / (job->depth * COLUMNS);
  wt_parallel_for(job->packed_entries * job->panel_count, pack_grain, FN(gemm_pack_panels), job);
  int64_t cost = (int64_t)job->block_rows * job->block_columns * job->depth;
  wt_word block_grain = 1 + (wt_word)(65536 / cost);
  wt_parallel_for(job->entries * job->row_blocks * job->column_blocks, block_grain, FN(gemm_blocks),
                  job);
}

/* Elements of packed panels held at a time, and depth of a slab. */
#define WT_SLAB_ELEMENTS (2 << 20)
#define WT_SLAB_DEPTH 16384

static int FN(gemm_blocked)(const wt_gemm_problem *problem) {
  wt_word depth = problem->depth < WT_SLAB_DEPTH ? problem->depth : WT_SLAB_DEPTH;
  wt_word padded = (problem->columns + COLUMNS - 1) / COLUMNS * COLUMNS;
  wt_word columns = WT_SLAB_ELEMENTS / depth / COLUMNS * COLUMNS;
  if (columns > padded) columns = padded;
  bool shared = problem->b.batch_stride == 0;
  wt_word entries = WT_SLAB_ELEMENTS / depth / columns;
  if (shared || entries > problem->batch) entries = problem->batch;
  int threads = wt_thread_limit();
  FN(gemm_job) job = {.problem = problem, .packed_entries = shared ? 1 : entries};
  /* Tiles mark packed rows by a stride of 0, which broadcast rows have too. */
  job.pack_rows = problem->a.column_stride != 1 || problem->a.row_stride == 0;
  size_t panel_bytes = (size_t)(job.packed_entries * columns * depth) * sizeof(T);
  size_t scratch_bytes =
      job.pack_rows ? (size_t)threads * (64 + WT_TILE_ROWS) * WT_DEPTH_BLOCK * sizeof(T) : 0;
  job.panels = wt_alloc(panel_bytes + scratch_bytes);
  if (!job.panels) return WT_OUT_OF_MEMORY;
  job.scratch = (T *)((char *)job.panels + panel_bytes);
  for (job.first_entry = 0; job.first_entry < problem->batch; job.first_entry += entries) {
    job.entries = problem->batch - job.first_entry;
    if (job.entries > entries) job.entries = entries;
    job.packed_entries = shared ? 1 : job.entries;
    for (job.first_column = 0; job.first_column < problem->columns; job.first_column += columns) {
      job.columns = problem->columns - job.first_column;
      if (job.columns > columns) job.columns = columns;
      for (job.first_depth = 0; job.first_depth < problem->depth; job.first_depth += depth) {
        job.depth = problem->depth - job.first_depth;
        if (job.depth > depth) job.depth = depth;
        FN(gemm_run_slab)(&job, threads);
      }
    }
  }
  wt_free(job.panels);
  return WT_OK;
}

static void FN(gemm_swap)(wt_matrix *matrix) {
  wt_word stride = matrix->row_stride;
  matrix->row_stride = matrix->column_stride;
  matrix->column_stride = stride;
}

/* out^T = b^T @ a^T: the same product, where out is dense along its rows, or a single column. */
static wt_gemm_problem FN(gemm_transposed)(const wt_gemm_problem *problem) {
  wt_gemm_problem other = *problem;
  other.rows = problem->columns;
  other.columns = problem->rows;
  other.a = problem->b;
  other.b = problem->a;
  FN(gemm_swap)(&other.a);
  FN(gemm_swap)(&other.b);
  FN(gemm_swap)(&other.out);
  FN(gemm_swap)(&other.bias);
  return other;
}

int FN(wt_gemm)(const wt_gemm_problem *given) {
  wt_gemm_problem problem = *given;
  if (problem.beta == 0) problem.bias.data = NULL;
  if (problem.batch == 0 || problem.rows == 0 || problem.columns == 0) return WT_OK;
  /* As BLAS: a factor of zero leaves the operands unread. */
  if (problem.alpha == 0) problem.depth = 0;
  if (problem.depth == 0) {
    for (wt_word entry = 0; entry < problem.batch; entry++)
      FN(gemm_start_block)(&problem, (T *)problem.out.data + entry * problem.out.batch_stride,
                           FN(gemm_bias_at)(&problem, entry, 0, 0), problem.rows, problem.columns);
    return WT_OK;
  }
  if ((int64_t)problem.rows * problem.columns * problem.depth <= WT_SMALL_PRODUCT)
    return FN(gemm_small)(&problem);
  bool transpose = problem.columns == 1 || (problem.rows > 1 && problem.out.column_stride != 1 &&
                                            problem.out.row_stride == 1);
  if (transpose) problem = FN(gemm_transposed)(&problem);
  if (problem.rows == 1 && FN(gemm_vector_applies)(&problem)) return FN(gemm_vector)(&problem);
  return FN(gemm_blocked)(&problem);
}

#undef WT_SLAB_ELEMENTS
#undef WT_SLAB_DEPTH
#undef WT_SMALL_PRODUCT
