/* Element types: sizes, and the 16-bit floats. */
#include <string.h>

#include "core/core.h"

size_t wt_dtype_size(wt_word dtype) {
  switch (dtype) {
#define X(NAME, name, code, ctype, bytes) \
  case code:                              \
    return bytes;
    WT_DTYPES(X)
#undef X
  }
  return 0;
}

static float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* binary16 (IEEE 754): 1 sign, 5 exponent (bias 15), 10 fraction bits. Placed where float32 keeps
 * exponent and fraction, the number reads 2^-112 times its value, subnormals included. */
float wt_half_to_float(uint16_t bits) {
  uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
  uint32_t magnitude = (uint32_t)(bits & 0x7fffu) << 13;
  uint32_t finite = bits_of_float(float_of_bits(magnitude) * 0x1p112f);
  bool special = magnitude >= 31u << 23; /* infinity or NaN */
  return float_of_bits(sign | (special ? magnitude | 0x7f800000u : finite));
}

uint16_t wt_float_to_half(float value) {
  uint32_t bits = bits_of_float(value);
  uint32_t sign = bits >> 16 & 0x8000u;
  uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t half;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u | (magnitude >> 13 & 0x3ffu);
  } else if (magnitude >= bits_of_float(65520.0f)) { /* halfway from the largest to 2^16 */
    half = 0x7c00u;
  } else if (magnitude < bits_of_float(0x1p-14f)) {
    /* A half subnormal counts units of 2^-24, which is the spacing of floats in [0.5, 1): the
     * addition rounds. */
    half = bits_of_float(float_of_bits(magnitude) + 0.5f) - bits_of_float(0.5f);
  } else {
    uint32_t odd = magnitude >> 13 & 1;
    half = (magnitude - (112u << 23) + 0xfffu + odd) >> 13;
  }
  return (uint16_t)(sign | half);
}

/* bfloat16 is the upper half of a float32. */
float wt_bfloat16_to_float(uint16_t bits) { return float_of_bits((uint32_t)bits << 16); }

uint16_t wt_float_to_bfloat16(float value) {
  uint32_t bits = bits_of_float(value);
  if (value != value) return 0x7fc0u;
  return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}
