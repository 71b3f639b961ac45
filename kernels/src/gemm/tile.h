/* Template (see gemm/element.h): the register tile of matrix products, and packing for it.
 *
 * The left operand comes in tiles of WT_TILE_ROWS rows, laid out [depth][WT_TILE_ROWS]; the right
 * one in panels of COLUMNS columns, laid out [depth][COLUMNS]. Both are then read with rising
 * addresses from one pointer each. On x86 the accumulators of 4 x 2 vectors, the two vectors of a
 * panel and one broadcast scalar fit the 16 registers and cover the latency of the multiply-add.
 */
#include "gemm/gemm.h"

/* What a tile starts from and where it goes: out = alpha * product, plus out where `accumulate`,
 * plus row_bias[r] where given. Rows of out lie row_stride apart, columns are dense. */
typedef struct FN(wt_tile_target) {
  T *out;
  wt_word row_stride;
  const T *row_bias;
  T alpha;
  bool accumulate;
} FN(wt_tile_target);

/* One tile of `rows` x COLUMNS. left_stride 0: a packed tile; else rows that far apart. */
void FN(wt_tile)(wt_word rows, wt_word depth, const T *left, wt_word left_stride, const T *right,
                 const FN(wt_tile_target) * target);

/* A tile of which only `columns` columns exist, or whose columns lie column_stride apart. */
void FN(wt_tile_partial)(wt_word rows, wt_word columns, wt_word depth, const T *left,
                         wt_word left_stride, const T *right, const FN(wt_tile_target) * target,
                         wt_word column_stride);

/* Packs `rows` <= WT_TILE_ROWS lines into a tile, `columns` <= COLUMNS into a panel; zeros behind:
 * to[d * width + i] = from[d * depth_stride + i * line_stride]. */
void FN(wt_pack_tile)(T *to, const T *from, wt_word depth, wt_word rows, wt_word depth_stride,
                      wt_word row_stride);
void FN(wt_pack_panel)(T *to, const T *from, wt_word depth, wt_word columns, wt_word depth_stride,
                       wt_word column_stride);
