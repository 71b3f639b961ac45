/* Moves: conversion between dtypes and strided copies. */
#include "pointwise/row.h"

#include <math.h>
#include <string.h>

#if defined(__clang__)
#define PLAIN_LOOP _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define PLAIN_LOOP
#endif

/* ---- element conversions -------------------------------------------------------------------- */
/* Float to integer truncates. What does not fit gives what x86 gives: the most negative integer of
 * the conversion's width, which is 32 bits for narrow targets, then cut to the target. */
static int64_t float_to_int64(double x) {
  return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}
static int32_t float_to_int32(double x) {
  return x > -0x1p31 - 1 && x < 0x1p31 ? (int32_t)x : INT32_MIN;
}
static float to_float(double x) { return (float)x; }

/* DEFINE_MOVE(name, target type, source type, conversion of `x`) */
#define DEFINE_MOVE(name, target_type, source_type, conversion) \
  static void name(const wt_block *block) {                     \
    char *target = block->target;                               \
    const char *source = block->source;                         \
    for (wt_word j = 0; j < block->n1; j++) {                   \
      char *to = target + j * block->target_stride1;            \
      const char *from = source + j * block->source_stride1;    \
      PLAIN_LOOP for (wt_word i = 0; i < block->n0; i++) {      \
        source_type x;                                          \
        memcpy(&x, from, sizeof x);                             \
        target_type y = (target_type)(conversion);              \
        memcpy(to, &y, sizeof y);                               \
        to += block->target_stride0;                            \
        from += block->source_stride0;                          \
      }                                                         \
    }                                                           \
  }

/* The same with a loop that the compiler vectorises, for dense rows of frequent conversions. */
#define DEFINE_FAST_MOVE(name, target_type, source_type, conversion)                      \
  DEFINE_MOVE(name##_strided, target_type, source_type, conversion)                       \
  static void name(const wt_block *block) {                                               \
    if (block->target_stride0 != sizeof(target_type) ||                                   \
        block->source_stride0 != sizeof(source_type)) {                                   \
      name##_strided(block);                                                              \
      return;                                                                             \
    }                                                                                     \
    for (wt_word j = 0; j < block->n1; j++) {                                             \
      target_type *restrict to =                                                          \
          (target_type *)((char *)block->target + j * block->target_stride1);             \
      const source_type *restrict from =                                                  \
          (const source_type *)((const char *)block->source + j * block->source_stride1); \
      for (wt_word i = 0; i < block->n0; i++) {                                           \
        source_type x = from[i];                                                          \
        to[i] = (target_type)(conversion);                                                \
      }                                                                                   \
    }                                                                                     \
  }

/* From any dtype to the compute types. */
DEFINE_FAST_MOVE(float32_from_float16, float, uint16_t, wt_half_to_float(x))
DEFINE_FAST_MOVE(float32_from_bfloat16, float, uint16_t, wt_bfloat16_to_float(x))
DEFINE_MOVE(float64_from_float16, double, uint16_t, wt_half_to_float(x))
DEFINE_MOVE(float64_from_bfloat16, double, uint16_t, wt_bfloat16_to_float(x))
DEFINE_FAST_MOVE(float64_from_float32, double, float, x)
DEFINE_FAST_MOVE(int64_from_uint8, int64_t, uint8_t, x)
DEFINE_MOVE(int64_from_int8, int64_t, int8_t, x)
DEFINE_MOVE(int64_from_int16, int64_t, int16_t, x)
DEFINE_FAST_MOVE(int64_from_int32, int64_t, int32_t, x)
/* And back. */
DEFINE_FAST_MOVE(float16_from_float32, uint16_t, float, wt_float_to_half(x))
DEFINE_FAST_MOVE(bfloat16_from_float32, uint16_t, float, wt_float_to_bfloat16(x))
DEFINE_MOVE(uint8_from_float64, uint8_t, double, float_to_int32(x))
DEFINE_MOVE(int8_from_float64, int8_t, double, float_to_int32(x))
DEFINE_MOVE(int16_from_float64, int16_t, double, float_to_int32(x))
DEFINE_MOVE(int32_from_float64, int32_t, double, float_to_int32(x))
DEFINE_MOVE(int64_from_float64, int64_t, double, float_to_int64(x))
DEFINE_MOVE(float16_from_float64, uint16_t, double, wt_float_to_half(to_float(x)))
DEFINE_FAST_MOVE(float32_from_float64, float, double, x)
DEFINE_MOVE(bool_from_float64, uint8_t, double, x != 0)
DEFINE_MOVE(bfloat16_from_float64, uint16_t, double, wt_float_to_bfloat16(to_float(x)))
DEFINE_FAST_MOVE(uint8_from_int64, uint8_t, int64_t, x)
DEFINE_MOVE(int8_from_int64, int8_t, int64_t, x)
DEFINE_MOVE(int16_from_int64, int16_t, int64_t, x)
DEFINE_FAST_MOVE(int32_from_int64, int32_t, int64_t, x)
DEFINE_MOVE(float16_from_int64, uint16_t, int64_t, wt_float_to_half((float)x))
DEFINE_FAST_MOVE(float32_from_int64, float, int64_t, x)
DEFINE_MOVE(float64_from_int64, double, int64_t, x)
DEFINE_MOVE(bool_from_int64, uint8_t, int64_t, x != 0)
DEFINE_MOVE(bfloat16_from_int64, uint16_t, int64_t, wt_float_to_bfloat16((float)x))
/* Frequent pairs without a detour through the compute types. */
DEFINE_FAST_MOVE(float32_from_uint8, float, uint8_t, x)
DEFINE_MOVE(bool_from_uint8, uint8_t, uint8_t, x != 0)
DEFINE_FAST_MOVE(bool_from_float32, uint8_t, float, x != 0)

/* ---- copies of equal dtypes ----------------------------------------------------------------- */
/* A 4-byte block whose source runs along dimension 1 and whose target runs along dimension 0, in
 * squares of 4 x 4. Returns how many of n0 and n1 it covered. */
static void transpose_words(const wt_block *block, wt_word *done0, wt_word *done1) {
  *done0 = block->n0 & ~(wt_word)3;
  *done1 = block->n1 & ~(wt_word)3;
  for (wt_word j = 0; j < *done1; j += 4) {
    for (wt_word i = 0; i < *done0; i += 4) {
      const char *from = (const char *)block->source + i * block->source_stride0 + j * 4;
      char *to = (char *)block->target + i * 4 + j * block->target_stride1;
      wt_f32x4 rows[4];
      for (int k = 0; k < 4; k++) rows[k] = wt_f32x4_load(from + k * block->source_stride0);
      wt_f32x4_transpose(rows);
      for (int k = 0; k < 4; k++) wt_f32x4_store(to + k * block->target_stride1, rows[k]);
    }
  }
}

DEFINE_MOVE(copy_strided_1, uint8_t, uint8_t, x)
DEFINE_MOVE(copy_strided_2, uint16_t, uint16_t, x)
DEFINE_MOVE(copy_strided_4, uint32_t, uint32_t, x)
DEFINE_MOVE(copy_strided_8, uint64_t, uint64_t, x)

/* A call of memcpy costs more than copying a short row does. */
static void copy_row(char *to, const char *from, wt_word bytes) {
  if (bytes < 16 || bytes > 512) {
    memcpy(to, from, (size_t)bytes);
    return;
  }
  for (wt_word i = 0; i + 16 <= bytes; i += 16) wt_u8x16_store(to + i, wt_u8x16_load(from + i));
  wt_u8x16_store(to + bytes - 16, wt_u8x16_load(from + bytes - 16));
}

/* Rows that are dense in both, or one element repeated over a dense target. */
static bool copy_dense(const wt_block *block, wt_word element) {
  if (block->target_stride0 != element) return false;
  if (block->source_stride0 != element && block->source_stride0 != 0) return false;
  wt_word bytes = block->n0 * element;
  for (wt_word j = 0; j < block->n1; j++) {
    char *to = (char *)block->target + j * block->target_stride1;
    const char *from = (const char *)block->source + j * block->source_stride1;
    if (block->source_stride0 == element) {
      if (to != from) copy_row(to, from, bytes);
      continue;
    }
    char pattern[WT_SPLAT_BYTES];
    wt_splat(pattern, from, (size_t)element);
    wt_word i = 0;
    for (; i + WT_SPLAT_BYTES <= bytes; i += WT_SPLAT_BYTES)
      memcpy(to + i, pattern, WT_SPLAT_BYTES);
    memcpy(to + i, pattern, (size_t)(bytes - i));
  }
  return true;
}

static void copy_1(const wt_block *block) {
  if (!copy_dense(block, 1)) copy_strided_1(block);
}
static void copy_2(const wt_block *block) {
  if (!copy_dense(block, 2)) copy_strided_2(block);
}
static void copy_8(const wt_block *block) {
  if (!copy_dense(block, 8)) copy_strided_8(block);
}
static void copy_4(const wt_block *block) {
  if (copy_dense(block, 4)) return;
  wt_block rest = *block;
  if (block->target_stride0 == 4 && block->source_stride1 == 4) {
    wt_word done0, done1;
    transpose_words(block, &done0, &done1);
    rest.n0 = done0;
    rest.n1 -= done1;
    rest.target = (char *)block->target + done1 * block->target_stride1;
    rest.source = (const char *)block->source + done1 * block->source_stride1;
    copy_strided_4(&rest);
    rest = *block;
    rest.n0 -= done0;
    rest.target = (char *)block->target + done0 * block->target_stride0;
    rest.source = (const char *)block->source + done0 * block->source_stride0;
  }
  copy_strided_4(&rest);
}

wt_move wt_move_raw(size_t element) {
  return element == 1 ? copy_1 : element == 2 ? copy_2 : element == 4 ? copy_4 : copy_8;
}

/* ---- lookup --------------------------------------------------------------------------------- */
static const wt_move moves[WT_DTYPE_COUNT][WT_DTYPE_COUNT] = {
    [WT_UINT8] = {[WT_UINT8] = copy_1,
                  [WT_BOOL] = copy_1,
                  [WT_INT64] = uint8_from_int64,
                  [WT_FLOAT64] = uint8_from_float64},
    [WT_INT8] = {[WT_INT8] = copy_1,
                 [WT_BOOL] = copy_1,
                 [WT_INT64] = int8_from_int64,
                 [WT_FLOAT64] = int8_from_float64},
    [WT_INT16] =
        {[WT_INT16] = copy_2, [WT_INT64] = int16_from_int64, [WT_FLOAT64] = int16_from_float64},
    [WT_INT32] =
        {[WT_INT32] = copy_4, [WT_INT64] = int32_from_int64, [WT_FLOAT64] = int32_from_float64},
    [WT_INT64] = {[WT_UINT8] = int64_from_uint8,
                  [WT_INT8] = int64_from_int8,
                  [WT_INT16] = int64_from_int16,
                  [WT_INT32] = int64_from_int32,
                  [WT_INT64] = copy_8,
                  [WT_FLOAT64] = int64_from_float64,
                  [WT_BOOL] = int64_from_uint8},
    [WT_FLOAT16] = {[WT_FLOAT16] = copy_2,
                    [WT_FLOAT32] = float16_from_float32,
                    [WT_INT64] = float16_from_int64,
                    [WT_FLOAT64] = float16_from_float64},
    [WT_BFLOAT16] = {[WT_BFLOAT16] = copy_2,
                     [WT_FLOAT32] = bfloat16_from_float32,
                     [WT_INT64] = bfloat16_from_int64,
                     [WT_FLOAT64] = bfloat16_from_float64},
    [WT_FLOAT32] = {[WT_UINT8] = float32_from_uint8,
                    [WT_BOOL] = float32_from_uint8,
                    [WT_INT64] = float32_from_int64,
                    [WT_FLOAT16] = float32_from_float16,
                    [WT_FLOAT32] = copy_4,
                    [WT_FLOAT64] = float32_from_float64,
                    [WT_BFLOAT16] = float32_from_bfloat16},
    [WT_FLOAT64] = {[WT_INT64] = float64_from_int64,
                    [WT_FLOAT16] = float64_from_float16,
                    [WT_FLOAT32] = float64_from_float32,
                    [WT_FLOAT64] = copy_8,
                    [WT_BFLOAT16] = float64_from_bfloat16},
    [WT_BOOL] = {[WT_BOOL] = copy_1,
                 [WT_UINT8] = bool_from_uint8,
                 [WT_INT64] = bool_from_int64,
                 [WT_FLOAT32] = bool_from_float32,
                 [WT_FLOAT64] = bool_from_float64},
};

wt_move wt_move_between(int target, int source) {
  if ((unsigned)target >= WT_DTYPE_COUNT || (unsigned)source >= WT_DTYPE_COUNT) return NULL;
  return moves[target][source];
}

/* ---- splats --------------------------------------------------------------------------------- */
void wt_splat(void *splat, const void *value, size_t element) {
  char bytes[8];
  memcpy(bytes, value, element);
  for (size_t i = 0; i < WT_SPLAT_BYTES; i += element) memcpy((char *)splat + i, bytes, element);
}

void wt_splat_scalar(void *splat, const wt_scalar *scalar, int dtype) {
  bool floating = wt_is_float(dtype);
  const void *source = floating ? (const void *)&scalar->f : (const void *)&scalar->i;
  char element[8];
  wt_move move = wt_move_between(dtype, floating ? WT_FLOAT64 : WT_INT64);
  move(&(wt_block){.target = element, .source = source, .n0 = 1, .n1 = 1});
  wt_splat(splat, element, wt_dtype_size(dtype));
}
