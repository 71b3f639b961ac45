/* Template: the definitions of gemm/tile.h. */
#include "gemm/tile.h"

#include "gemm/transpose_template.h"

/* acc[r][..] += sum over depth of left[.][r] * right[.][..], for the first `rows` rows.
 *
 * The loop is not unrolled further: clang would gather the loads of several steps before their
 * products, and V8 would then spill. One step's bookkeeping hides behind its eight products. */
WT_INLINE void FN(tile_accumulate)(const int rows, wt_word depth, const T *left, const T *right,
                                   V acc[WT_TILE_ROWS][2]) {
  for (; depth > 0; depth--) {
    V right0 = LOAD(right), right1 = LOAD(right + LANES);
    WT_UNROLL
    for (int r = 0; r < rows; r++) {
      V scalar = LOAD_SPLAT(left + r);
      acc[r][0] = MADD(scalar, right0, acc[r][0]);
      acc[r][1] = MADD(scalar, right1, acc[r][1]);
    }
    left += WT_TILE_ROWS;
    right += COLUMNS;
  }
}

/* The same with left rows where they lie: row r at left + r * row_stride, dense along the depth. */
WT_INLINE void FN(tile_accumulate_rows)(const int rows, wt_word depth, const T *left,
                                        wt_word row_stride, const T *right,
                                        V acc[WT_TILE_ROWS][2]) {
  const T *row[WT_TILE_ROWS];
  WT_UNROLL
  for (int r = 0; r < rows; r++) row[r] = left + r * row_stride;
  for (; depth > 0; depth--) {
    V right0 = LOAD(right), right1 = LOAD(right + LANES);
    WT_UNROLL
    for (int r = 0; r < rows; r++) {
      V scalar = LOAD_SPLAT(row[r]);
      acc[r][0] = MADD(scalar, right0, acc[r][0]);
      acc[r][1] = MADD(scalar, right1, acc[r][1]);
      row[r]++;
    }
    right += COLUMNS;
  }
}

WT_INLINE void FN(tile_store)(const int rows, const FN(wt_tile_target) * target,
                              V acc[WT_TILE_ROWS][2]) {
  if (target->alpha != (T)1) {
    V alpha = SPLAT(target->alpha);
    WT_UNROLL
    for (int r = 0; r < rows; r++) {
      acc[r][0] *= alpha;
      acc[r][1] *= alpha;
    }
  }
  if (target->row_bias) {
    WT_UNROLL
    for (int r = 0; r < rows; r++) {
      V bias = LOAD_SPLAT(target->row_bias + r);
      acc[r][0] += bias;
      acc[r][1] += bias;
    }
  }
  T *out = target->out;
  if (target->accumulate) {
    WT_UNROLL
    for (int r = 0; r < rows; r++) {
      STORE(out, LOAD(out) + acc[r][0]);
      STORE(out + LANES, LOAD(out + LANES) + acc[r][1]);
      out += target->row_stride;
    }
  } else {
    WT_UNROLL
    for (int r = 0; r < rows; r++) {
      STORE(out, acc[r][0]);
      STORE(out + LANES, acc[r][1]);
      out += target->row_stride;
    }
  }
}

#define WT_DEFINE_TILE(rows)                                                                     \
  static WT_NOINLINE void FN(tile_##rows)(wt_word depth, const T *left, const T *right,          \
                                          const FN(wt_tile_target) * target) {                   \
    V acc[WT_TILE_ROWS][2] = {{{0}}};                                                            \
    FN(tile_accumulate)(rows, depth, left, right, acc);                                          \
    FN(tile_store)(rows, target, acc);                                                           \
  }                                                                                              \
  static WT_NOINLINE void FN(tile_rows_##rows)(wt_word depth, const T *left, wt_word row_stride, \
                                               const T *right,                                   \
                                               const FN(wt_tile_target) * target) {              \
    V acc[WT_TILE_ROWS][2] = {{{0}}};                                                            \
    FN(tile_accumulate_rows)(rows, depth, left, row_stride, right, acc);                         \
    FN(tile_store)(rows, target, acc);                                                           \
  }
WT_DEFINE_TILE(1)
WT_DEFINE_TILE(2)
WT_DEFINE_TILE(3)
WT_DEFINE_TILE(4)
#undef WT_DEFINE_TILE

void FN(wt_tile)(wt_word rows, wt_word depth, const T *left, wt_word left_stride, const T *right,
                 const FN(wt_tile_target) * target) {
  if (left_stride == 0) {
    switch (rows) {
      case 4:
        FN(tile_4)(depth, left, right, target);
        break;
      case 3:
        FN(tile_3)(depth, left, right, target);
        break;
      case 2:
        FN(tile_2)(depth, left, right, target);
        break;
      default:
        FN(tile_1)(depth, left, right, target);
    }
  } else {
    switch (rows) {
      case 4:
        FN(tile_rows_4)(depth, left, left_stride, right, target);
        break;
      case 3:
        FN(tile_rows_3)(depth, left, left_stride, right, target);
        break;
      case 2:
        FN(tile_rows_2)(depth, left, left_stride, right, target);
        break;
      default:
        FN(tile_rows_1)(depth, left, left_stride, right, target);
    }
  }
}

void FN(wt_tile_partial)(wt_word rows, wt_word columns, wt_word depth, const T *left,
                         wt_word left_stride, const T *right, const FN(wt_tile_target) * target,
                         wt_word column_stride) {
  T whole[WT_TILE_ROWS * COLUMNS];
  FN(wt_tile_target) inner = *target;
  inner.out = whole;
  inner.row_stride = COLUMNS;
  inner.accumulate = false;
  FN(wt_tile)(rows, depth, left, left_stride, right, &inner);
  for (wt_word r = 0; r < rows; r++)
    for (wt_word c = 0; c < columns; c++) {
      T *out = target->out + r * target->row_stride + c * column_stride;
      *out = target->accumulate ? *out + whole[r * COLUMNS + c] : whole[r * COLUMNS + c];
    }
}

/* Packs `count` <= width lines into one strip [depth][width], zeros behind the last line:
 * to[d * width + i] = from[d * depth_stride + i * line_stride]. */
WT_INLINE void FN(pack_strip)(const int width, T *to, const T *from, wt_word depth, wt_word count,
                              wt_word depth_stride, wt_word line_stride) {
  wt_word d = 0;
  if (count == width && line_stride == 1) {
    for (; d < depth; d++, from += depth_stride, to += width) {
      WT_UNROLL
      for (int i = 0; i < width; i += LANES) STORE(to + i, LOAD(from + i));
    }
    return;
  }
  if (count == width && depth_stride == 1) {
    for (; d + LANES <= depth; d += LANES, to += LANES * width) {
      WT_UNROLL
      for (int i = 0; i < width; i += LANES)
        FN(transpose_block)(to + i, width, from + i * line_stride + d, line_stride);
    }
  }
  for (; d < depth; d++, to += width) {
    for (wt_word i = 0; i < count; i++) to[i] = from[d * depth_stride + i * line_stride];
    for (wt_word i = count; i < width; i++) to[i] = 0;
  }
}

void FN(wt_pack_tile)(T *to, const T *from, wt_word depth, wt_word rows, wt_word depth_stride,
                      wt_word row_stride) {
  FN(pack_strip)(WT_TILE_ROWS, to, from, depth, rows, depth_stride, row_stride);
}
void FN(wt_pack_panel)(T *to, const T *from, wt_word depth, wt_word columns, wt_word depth_stride,
                       wt_word column_stride) {
  FN(pack_strip)(COLUMNS, to, from, depth, columns, depth_stride, column_stride);
}
