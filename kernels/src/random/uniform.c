/* Dense uniform numbers: 24 bits of each word, scaled to [from, to) with a single rounding. */
#include <math.h>

#include "random/generator.h"
#include "simd.h"

#define BLOCK 512

float wt_scale_uniform_f32(float x, float from, float to) { return fmaf(x, to - from, from); }

double wt_scale_uniform_f64(double x, double from, double to) {
  return from == 0 ? x * to : fma(x, to - from, from);
}

static void scale_block(const uint32_t *words, float *out, wt_word count, float from, float to) {
  for (wt_word i = 0; i < count; i++) {
    float value = wt_scale_uniform_f32((float)(words[i] & 0xffffffu) * 0x1p-24f, from, to);
    out[i] = value == to ? from : value; /* rounding may reach the excluded bound */
  }
}

#if !WT_USE_REFERENCE
/* Four values in float64: the product of 24-bit factors is exact there, so that only a sum exactly
 * between two float32 values may round twice. `halfway` collects such lanes. */
WT_INLINE wt_f32x4 scale_four(wt_i32x4 bits, wt_f64x2 range, wt_f64x2 from, wt_i64x2 *halfway) {
  wt_f64x2 low = wt_f64x2_from_i32_low(bits);
  wt_f64x2 high = wt_f64x2_from_i32_low(__builtin_shufflevector(bits, bits, 2, 3, 0, 1));
  low = low * range + from;
  high = high * range + from;
  const wt_i64x2 rest = wt_i64x2_splat(0x1fffffff), middle = wt_i64x2_splat(0x10000000);
  *halfway |= (((wt_i64x2)low & rest) == middle) | (((wt_i64x2)high & rest) == middle);
  return wt_f32x4_from_f64x2(low, high);
}

/* With `from` 0 there is only a product, which float32 rounds once. */
static void scale_block_from_zero(const uint32_t *words, float *out, wt_word count, float to) {
  wt_i32x4 mask = wt_i32x4_splat(0xffffff);
  wt_f32x4 unit = wt_f32x4_splat(0x1p-24f), bound = wt_f32x4_splat(to);
  wt_word i = 0;
  for (; i + 4 <= count; i += 4) {
    wt_f32x4 x = wt_f32x4_from_i32x4(wt_i32x4_load(words + i) & mask) * unit * bound;
    wt_f32x4_store(out + i, wt_f32x4_select(x == bound, wt_f32x4_splat(0), x));
  }
  scale_block(words + i, out + i, count - i, 0, to);
}

static void scale_block_f32x4(const uint32_t *words, float *out, wt_word count, float from,
                              float to) {
  wt_f64x2 range = wt_f64x2_splat((double)(to - from) * 0x1p-24);
  wt_f64x2 start = wt_f64x2_splat(from);
  wt_i32x4 mask = wt_i32x4_splat(0xffffff);
  wt_f32x4 bound = wt_f32x4_splat(to), first = wt_f32x4_splat(from);
  wt_word i = 0;
  for (; i + 4 <= count; i += 4) {
    wt_i64x2 halfway = {0, 0};
    wt_f32x4 values = scale_four(wt_i32x4_load(words + i) & mask, range, start, &halfway);
    wt_f32x4_store(out + i, wt_f32x4_select(values == bound, first, values));
    if (wt_any((wt_i32x4)halfway)) scale_block(words + i, out + i, 4, from, to);
  }
  scale_block(words + i, out + i, count - i, from, to);
}
#endif

void wt_fill_uniform_f32(wt_generator *generator, float *out, wt_word count, float from, float to) {
  uint32_t words[BLOCK];
  for (wt_word i = 0; i < count; i += BLOCK) {
    wt_word size = count - i < BLOCK ? count - i : BLOCK;
    wt_generator_draw(generator, words, size);
#if WT_USE_REFERENCE
    scale_block(words, out + i, size, from, to);
#else
    if (from == 0) {
      scale_block_from_zero(words, out + i, size, to);
    } else {
      scale_block_f32x4(words, out + i, size, from, to);
    }
#endif
  }
}
