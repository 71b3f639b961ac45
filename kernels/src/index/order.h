/* Elements as unsigned keys that sort as torch sorts: NaN greatest, -0 equal to +0. */
#ifndef WASM_TORCH_ORDER_H
#define WASM_TORCH_ORDER_H

#include "index/element.h"

#define WT_SIGN64 ((uint64_t)1 << 63)

/* Bits of the key; the bits above are zero. */
static inline int wt_order_bits(wt_word dtype) { return 8 * (int)wt_dtype_size(dtype); }

/* Float bits as an unsigned key: zero is at `sign`, magnitudes lie below or above it. */
WT_INLINE uint64_t wt_order_of_float_bits(uint64_t bits, uint64_t sign, uint64_t infinity) {
  uint64_t magnitude = bits & (sign - 1);
  if (magnitude > infinity) return sign | (sign - 1);
  if (magnitude == 0) return sign;
  return bits & sign ? sign - magnitude : sign + magnitude;
}

WT_INLINE uint64_t wt_order_key(const void *p, wt_word dtype) {
  switch (dtype) {
    case WT_FLOAT32: {
      uint32_t bits;
      memcpy(&bits, p, 4);
      return wt_order_of_float_bits(bits, 0x80000000u, 0x7f800000u);
    }
    case WT_FLOAT64: {
      uint64_t bits;
      memcpy(&bits, p, 8);
      return wt_order_of_float_bits(bits, WT_SIGN64, 0x7ff0000000000000u);
    }
    case WT_FLOAT16:
      return wt_order_of_float_bits(*(const uint16_t *)p, 0x8000u, 0x7c00u);
    case WT_BFLOAT16:
      return wt_order_of_float_bits(*(const uint16_t *)p, 0x8000u, 0x7f80u);
    case WT_INT64:
      return (uint64_t)*(const int64_t *)p ^ WT_SIGN64;
    case WT_INT32:
      return (uint32_t)*(const int32_t *)p ^ 0x80000000u;
    case WT_INT16:
      return (uint64_t)(*(const int16_t *)p + 0x8000);
    case WT_INT8:
      return (uint64_t)(*(const int8_t *)p + 0x80);
    default:
      return *(const uint8_t *)p;
  }
}

/* Keys of the first `count` elements, `stride` bytes apart; descending keys are inverted. */
static inline void wt_order_keys(uint64_t *keys, const char *elements, wt_word count,
                                 wt_word stride, wt_word dtype, bool descending) {
  int bits = wt_order_bits(dtype);
  uint64_t invert = !descending ? 0 : bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
  if (dtype == WT_FLOAT32) {
    for (wt_word i = 0; i < count; i++) {
      keys[i] = wt_order_key(elements + i * stride, WT_FLOAT32) ^ invert;
    }
  } else {
    for (wt_word i = 0; i < count; i++) {
      keys[i] = wt_order_key(elements + i * stride, dtype) ^ invert;
    }
  }
}

/* Sorts keys, and indices with them, ascending and stable. The spare arrays hold `count` entries
 * each; the result is in keys and indices. */
void wt_order_sort(uint64_t *keys, uint32_t *indices, uint64_t *spare_keys, uint32_t *spare_indices,
                   wt_word count, int bits);

#endif
