/* Weights of a model file in their places: the file keeps some as 16-bit floats, and hosts unpack
 * it where it lies, at the end of the block that takes the weights. */
#include <string.h>

#include "core/core.h"

/* Elements that are read before any is written over them. */
enum { GROUP = 16 };

/* What wt_half_to_float computes, in a form that compilers turn into vectors. */
static inline uint32_t half_bits(uint32_t half) {
  uint32_t magnitude = (half & 0x7fffu) << 13, finite;
  float scaled;
  memcpy(&scaled, &magnitude, sizeof scaled);
  scaled *= 0x1p112f;
  memcpy(&finite, &scaled, sizeof finite);
  uint32_t special = magnitude >= 31u << 23 ? 0x7f800000u : 0; /* scaling kept the fraction */
  return (half & 0x8000u) << 16 | finite | special;
}

static void widen_halves(const uint16_t *from, uint32_t *to) {
  for (int i = 0; i < GROUP; i++) to[i] = half_bits(from[i]);
}

static void widen_bfloat16s(const uint16_t *from, uint32_t *to) {
  for (int i = 0; i < GROUP; i++) to[i] = (uint32_t)from[i] << 16;
}

WT_EXPORT("wt_unpack") void wt_unpack(wt_word out, wt_word in, wt_word count, wt_word dtype) {
  if (dtype != WT_FLOAT16 && dtype != WT_BFLOAT16) {
    memmove((void *)out, (const void *)in, (size_t)count * wt_dtype_size(dtype));
    return;
  }
  void (*widen)(const uint16_t *, uint32_t *) =
      dtype == WT_FLOAT16 ? widen_halves : widen_bfloat16s;
  const uint16_t *from = (const uint16_t *)in;
  float *to = (float *)out;
  for (wt_word at = 0; at < count; at += GROUP) {
    wt_word length = count - at < GROUP ? count - at : GROUP;
    uint16_t narrow[GROUP] = {0};
    uint32_t wide[GROUP];
    memcpy(narrow, from + at, (size_t)length * sizeof *narrow);
    widen(narrow, wide);
    memcpy(to + at, wide, (size_t)length * sizeof *wide);
  }
}
