/* The packed convolution in 8 bits: weights and inputs as whole numbers, sums in 32 bits.
 *
 * A weight of filter f is scale[f] * w, w in -127..127. An input is scale * (q - zero), in 255
 * steps whose scale follows from the largest magnitude: of each point where there is one tap (the
 * rows of a linear layer), of each entry of the batch elsewhere. Then out[f] = scale * scale[f] *
 * (sum of q * w - zero * sum of w) + bias[f], where the sums are exact. The weight lies in panels
 * of WT_PANEL filters, zeros behind the last one: [panel][tap][channel / 4][filter][channel % 4].
 * Channels are a multiple of 4.
 */
#ifndef WASM_TORCH_PACKED_INT8_H
#define WASM_TORCH_PACKED_INT8_H

#include "packed/packed.h"

/* Channels of one step of the sum: those that lie side by side in the packed weight. */
#define WT_QUAD 4
/* Terms whose sum surely fits 32 bits: those of a larger depth are refused. */
#define WT_INT8_MOST_DEPTH (INT32_MAX / (127 * 127))

typedef struct wt_int8_problem {
  wt_packed_problem shape; /* its weight is not used */
  const int8_t *weight;
  const float *scale;         /* of each filter */
  const int32_t *weight_sums; /* of each filter */
} wt_int8_problem;

/* The input in 8 bits. */
typedef struct wt_int8_input {
  const uint8_t *data;  /* [point][channel] */
  const uint8_t *zeros; /* a point that stands for zero */
  const float *scale;   /* of each point where per_point, else of each entry */
  bool per_point;
} wt_int8_input;

/* How the target's dot product of 8-bit numbers takes its second operand. Only the relaxed engine
 * has one, and engines differ: the probe tells which reading is exact there. */
typedef enum wt_int8_reading { WT_READ_SIGNED, WT_READ_UNSIGNED, WT_READ_NONE } wt_int8_reading;
wt_int8_reading wt_int8_probe(void);
/* What is added to inputs so that the reading is exact: the zero point, modulo 256. */
static inline int wt_int8_zero(wt_int8_reading reading) {
  return reading == WT_READ_UNSIGNED ? 128 : 0;
}

/* `count` values times `inverse`, rounded to even and limited to -127..127, plus zero. */
void wt_int8_quantize(uint8_t *to, const float *from, wt_word count, float inverse, int zero);
/* The larger of two; NaN where one of them is. */
static inline float wt_int8_larger(float a, float b) { return a >= b || a != a ? a : b; }
/* The largest magnitude; NaN where one of them is. */
float wt_int8_largest(const float *from, wt_word count);

/* sums[p][f] = sum over taps and channels of rows * panel, of 1..4 points and WT_PANEL filters.
 * rows: [tap][pitch] addresses of the points' channels. */
typedef struct wt_int8_tile {
  const uint8_t *const *rows;
  wt_word rows_pitch, taps, channels;
  const int8_t *panel;
  int32_t (*sums)[WT_PANEL];
} wt_int8_tile;
void wt_int8_run_tile(const wt_int8_tile *tile, wt_word points, wt_int8_reading reading);

int wt_int8_tiles(const wt_int8_problem *problem, const wt_int8_input *input,
                  wt_int8_reading reading);

#endif
