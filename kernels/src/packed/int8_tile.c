#include "packed/int8.h"

#if defined(__wasm_relaxed_simd__)
/* a: signed; b: as the engine reads it. */
WT_INLINE wt_i32x4 dot_add(wt_i32x4 weights, wt_i32x4 inputs, wt_i32x4 sum) {
  return (wt_i32x4)wasm_i32x4_relaxed_dot_i8x16_i7x16_add((v128_t)weights, (v128_t)inputs,
                                                          (v128_t)sum);
}

WT_INLINE wt_i32x4 load_splat(const uint8_t *p) { return (wt_i32x4)wasm_v128_load32_splat(p); }

/* Products of the extremes, which show both the sign of the second operand and whether sums of two
 * are cut to 16 bits. The operands are volatile, or the compiler would fold the answer. */
wt_int8_reading wt_int8_probe(void) {
  static const int8_t weights[3] = {127, -127, 1};
  static const uint8_t inputs[4] = {255, 254, 1, 129};
  bool is_signed = true, is_unsigned = true;
  for (int w = 0; w < 3; w++)
    for (int i = 0; i < 4; i++) {
      volatile int32_t a = (uint8_t)weights[w] * 0x01010101, b = (int32_t)(inputs[i] * 0x01010101u);
      wt_i32x4 sum = dot_add(wt_i32x4_splat(a), wt_i32x4_splat(b), wt_i32x4_splat(7));
      is_signed &= sum[0] == 7 + 4 * weights[w] * (int8_t)inputs[i];
      is_unsigned &= sum[0] == 7 + 4 * weights[w] * inputs[i];
    }
  return is_unsigned ? WT_READ_UNSIGNED : is_signed ? WT_READ_SIGNED : WT_READ_NONE;
}

WT_INLINE void sum_points(const int points, const wt_int8_tile *tile) {
  wt_i32x4 acc[4][2];
  memset(acc, 0, sizeof acc);
  const uint8_t *const *rows = tile->rows;
  const int8_t *panel = tile->panel;
  for (wt_word t = 0; t < tile->taps; t++, rows += tile->rows_pitch) {
    const uint8_t *row[4];
    WT_UNROLL
    for (int p = 0; p < points; p++) row[p] = rows[p];
    for (wt_word c = tile->channels; c > 0; c -= WT_QUAD, panel += WT_PANEL * WT_QUAD) {
      wt_i32x4 low = wt_i32x4_load(panel), high = wt_i32x4_load(panel + 16);
      WT_UNROLL
      for (int p = 0; p < points; p++) {
        wt_i32x4 input = load_splat(row[p]);
        row[p] += WT_QUAD;
        acc[p][0] = dot_add(low, input, acc[p][0]);
        acc[p][1] = dot_add(high, input, acc[p][1]);
      }
    }
  }
  WT_UNROLL
  for (int p = 0; p < points; p++) {
    wt_i32x4_store(tile->sums[p], acc[p][0]);
    wt_i32x4_store(tile->sums[p] + 4, acc[p][1]);
  }
}

#define DEFINE_TILE(points) \
  static WT_NOINLINE void relaxed_##points(const wt_int8_tile *tile) { sum_points(points, tile); }
DEFINE_TILE(1)
DEFINE_TILE(2)
DEFINE_TILE(3)
DEFINE_TILE(4)
#undef DEFINE_TILE

static void run_relaxed(const wt_int8_tile *tile, wt_word points) {
  switch (points) {
    case 4:
      relaxed_4(tile);
      break;
    case 3:
      relaxed_3(tile);
      break;
    case 2:
      relaxed_2(tile);
      break;
    default:
      relaxed_1(tile);
  }
}
#else
wt_int8_reading wt_int8_probe(void) { return WT_READ_NONE; }
#endif

#if defined(__wasm_simd128__)
/* Products of 16-bit numbers, which every engine has: neighbouring pairs come added. */
WT_INLINE void sum_pair_of_points(const int points, const wt_int8_tile *tile) {
  wt_i32x4 acc[2][4]; /* pairs of channels of two filters each */
  memset(acc, 0, sizeof acc);
  const uint8_t *const *rows = tile->rows;
  const int8_t *panel = tile->panel;
  for (wt_word t = 0; t < tile->taps; t++, rows += tile->rows_pitch) {
    const uint8_t *row[2];
    WT_UNROLL
    for (int p = 0; p < points; p++) row[p] = rows[p];
    for (wt_word c = tile->channels; c > 0; c -= WT_QUAD, panel += WT_PANEL * WT_QUAD) {
      v128_t input[2];
      WT_UNROLL
      for (int p = 0; p < points; p++) {
        input[p] = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(row[p]));
        row[p] += WT_QUAD;
      }
      WT_UNROLL
      for (int pair = 0; pair < 4; pair++) {
        v128_t weights = wasm_i16x8_load8x8(panel + 8 * pair);
        WT_UNROLL
        for (int p = 0; p < points; p++)
          acc[p][pair] += (wt_i32x4)wasm_i32x4_dot_i16x8(weights, input[p]);
      }
    }
  }
  WT_UNROLL
  for (int p = 0; p < points; p++) {
    WT_UNROLL
    for (int half = 0; half < 2; half++) {
      wt_i32x4 a = acc[p][2 * half], b = acc[p][2 * half + 1];
      wt_i32x4 even = __builtin_shufflevector(a, b, 0, 2, 4, 6);
      wt_i32x4 odd = __builtin_shufflevector(a, b, 1, 3, 5, 7);
      wt_i32x4_store(tile->sums[p] + 4 * half, even + odd);
    }
  }
}

static WT_NOINLINE void portable_1(const wt_int8_tile *tile) { sum_pair_of_points(1, tile); }
static WT_NOINLINE void portable_2(const wt_int8_tile *tile) { sum_pair_of_points(2, tile); }

static void run_portable(const wt_int8_tile *whole, wt_word points) {
  wt_int8_tile tile = *whole;
  for (wt_word p = 0; p < points; p += 2, tile.rows += 2, tile.sums += 2)
    points - p > 1 ? portable_2(&tile) : portable_1(&tile);
}
#else
static void run_portable(const wt_int8_tile *tile, wt_word points) {
  memset(tile->sums, 0, (size_t)points * sizeof *tile->sums);
  const int8_t *panel = tile->panel;
  for (wt_word t = 0; t < tile->taps; t++)
    for (wt_word c = 0; c < tile->channels; c += WT_QUAD, panel += WT_PANEL * WT_QUAD)
      for (wt_word p = 0; p < points; p++) {
        const int8_t *row = (const int8_t *)tile->rows[t * tile->rows_pitch + p] + c;
        for (int f = 0; f < WT_PANEL; f++)
          for (int i = 0; i < WT_QUAD; i++) tile->sums[p][f] += row[i] * panel[f * WT_QUAD + i];
      }
}
#endif

void wt_int8_run_tile(const wt_int8_tile *tile, wt_word points, wt_int8_reading reading) {
#if defined(__wasm_relaxed_simd__)
  if (reading != WT_READ_NONE) {
    run_relaxed(tile, points);
    return;
  }
#endif
  (void)reading;
  run_portable(tile, points);
}

/* ---- quantizing ------------------------------------------------------------------------------ */
static int8_t quantized(float value, float inverse) {
  float scaled = __builtin_nearbyintf(value * inverse);
  return (int8_t)(scaled > 127 ? 127 : scaled > -127 ? scaled : -127); /* NaN: -127 */
}

void wt_int8_quantize(uint8_t *to, const float *from, wt_word count, float inverse, int zero) {
  wt_word i = 0;
#if defined(__wasm_simd128__)
  const wt_f32x4 factor = wt_f32x4_splat(inverse), limit = wt_f32x4_splat(127);
  const v128_t offset = wasm_i8x16_splat((int8_t)zero);
  for (; i + 16 <= count; i += 16) {
    v128_t whole[4];
    WT_UNROLL
    for (int k = 0; k < 4; k++) {
      wt_f32x4 v = wt_f32x4_nearest(wt_f32x4_load(from + i + 4 * k) * factor);
      v = wt_f32x4_pmin(limit, wt_f32x4_pmax(-limit, v));
      whole[k] = wasm_i32x4_trunc_sat_f32x4((v128_t)v);
    }
    v128_t low = wasm_i16x8_narrow_i32x4(whole[0], whole[1]);
    v128_t high = wasm_i16x8_narrow_i32x4(whole[2], whole[3]);
    wasm_v128_store(to + i, wasm_i8x16_add(wasm_i8x16_narrow_i16x8(low, high), offset));
  }
#endif
  for (; i < count; i++) to[i] = (uint8_t)(quantized(from[i], inverse) + zero);
}

float wt_int8_largest(const float *from, wt_word count) {
  wt_f32x4 largest[2] = {{0, 0, 0, 0}, {0, 0, 0, 0}};
  wt_word i = 0;
  for (; i + 8 <= count; i += 8) WT_UNROLL
  for (int k = 0; k < 2; k++)
    largest[k] = wt_f32x4_maximum(largest[k], wt_f32x4_abs(wt_f32x4_load(from + i + 4 * k)));
  for (; i + 4 <= count; i += 4)
    largest[0] = wt_f32x4_maximum(largest[0], wt_f32x4_abs(wt_f32x4_load(from + i)));
  if (i < count)
    largest[0] =
        wt_f32x4_maximum(largest[0], wt_f32x4_abs(wt_f32x4_load_part(from + i, (int)(count - i))));
  wt_f32x4 both = wt_f32x4_maximum(largest[0], largest[1]);
  float result = both[0];
  for (int k = 1; k < 4; k++) result = wt_int8_larger(result, both[k]);
  return result;
}
