/* One element of any dtype: loads, stores and combinations that indexing and pooling share.
 *
 * The functions are inlined: called with a constant dtype they reduce to one load or store.
 */
#ifndef WASM_TORCH_ELEMENT_H
#define WASM_TORCH_ELEMENT_H

#include <math.h>
#include <string.h>

#include "core/core.h"
#include "simd.h"

static inline bool wt_is_floating(wt_word dtype) {
  return dtype == WT_FLOAT32 || dtype == WT_FLOAT64 || dtype == WT_FLOAT16 || dtype == WT_BFLOAT16;
}

/* The element as a double; int64 beyond 2^53 is rounded. */
WT_INLINE double wt_element_load(const void *p, wt_word dtype) {
  switch (dtype) {
    case WT_FLOAT32:
      return *(const float *)p;
    case WT_FLOAT64:
      return *(const double *)p;
    case WT_FLOAT16:
      return wt_half_to_float(*(const uint16_t *)p);
    case WT_BFLOAT16:
      return wt_bfloat16_to_float(*(const uint16_t *)p);
    case WT_INT64:
      return (double)*(const int64_t *)p;
    case WT_INT32:
      return *(const int32_t *)p;
    case WT_INT16:
      return *(const int16_t *)p;
    case WT_INT8:
      return *(const int8_t *)p;
    default:
      return *(const uint8_t *)p;
  }
}

/* Rounds to the dtype: floats to nearest even, integers towards zero. */
WT_INLINE void wt_element_store(void *p, wt_word dtype, double value) {
  switch (dtype) {
    case WT_FLOAT32:
      *(float *)p = (float)value;
      break;
    case WT_FLOAT64:
      *(double *)p = value;
      break;
    case WT_FLOAT16:
      *(uint16_t *)p = wt_float_to_half((float)value);
      break;
    case WT_BFLOAT16:
      *(uint16_t *)p = wt_float_to_bfloat16((float)value);
      break;
    case WT_INT64:
      *(int64_t *)p = (int64_t)value;
      break;
    case WT_INT32:
      *(int32_t *)p = (int32_t)(int64_t)value;
      break;
    case WT_INT16:
      *(int16_t *)p = (int16_t)(int64_t)value;
      break;
    case WT_INT8:
      *(int8_t *)p = (int8_t)(int64_t)value;
      break;
    case WT_BOOL:
      *(uint8_t *)p = value != 0;
      break;
    default:
      *(uint8_t *)p = (uint8_t)(int64_t)value;
      break;
  }
}

/* The element of an integral dtype, exactly. */
WT_INLINE int64_t wt_element_load_integer(const void *p, wt_word dtype) {
  switch (dtype) {
    case WT_INT64:
      return *(const int64_t *)p;
    case WT_INT32:
      return *(const int32_t *)p;
    case WT_INT16:
      return *(const int16_t *)p;
    case WT_INT8:
      return *(const int8_t *)p;
    default:
      return *(const uint8_t *)p;
  }
}

/* Stores an integer in any dtype; integral ones keep its low bits. */
WT_INLINE void wt_element_store_integer(void *p, wt_word dtype, int64_t value) {
  switch (dtype) {
    case WT_INT64:
      *(int64_t *)p = value;
      break;
    case WT_INT32:
      *(int32_t *)p = (int32_t)value;
      break;
    case WT_INT16:
      *(int16_t *)p = (int16_t)value;
      break;
    case WT_INT8:
      *(int8_t *)p = (int8_t)value;
      break;
    case WT_UINT8:
      *(uint8_t *)p = (uint8_t)value;
      break;
    case WT_BOOL:
      *(uint8_t *)p = value != 0;
      break;
    case WT_FLOAT32:
      *(float *)p = (float)value;
      break;
    case WT_FLOAT16:
      *(uint16_t *)p = wt_float_to_half((float)value);
      break;
    case WT_BFLOAT16:
      *(uint16_t *)p = wt_float_to_bfloat16((float)value);
      break;
    default:
      *(double *)p = (double)value;
      break;
  }
}

/* Copies one element of 1, 2, 4 or 8 bytes. */
WT_INLINE void wt_element_copy(void *to, const void *from, size_t bytes) {
  switch (bytes) {
    case 1:
      memcpy(to, from, 1);
      break;
    case 2:
      memcpy(to, from, 2);
      break;
    case 4:
      memcpy(to, from, 4);
      break;
    default:
      memcpy(to, from, 8);
      break;
  }
}

/* Whether `a` replaces `b` as a running maximum: it is greater, or it is NaN. */
WT_INLINE bool wt_element_exceeds(const void *a, const void *b, wt_word dtype) {
  if (dtype == WT_INT64) return *(const int64_t *)a > *(const int64_t *)b;
  double x = wt_element_load(a, dtype);
  return x > wt_element_load(b, dtype) || x != x;
}

WT_INLINE double wt_combine_real(double a, double b, wt_word mode) {
  switch (mode) {
    case WT_SCATTER_add:
      return a + b;
    case WT_SCATTER_multiply:
      return a * b;
    case WT_SCATTER_amax:
      return a != a || a > b ? a : b;
    case WT_SCATTER_amin:
      return a != a || a < b ? a : b;
    default:
      return b;
  }
}

WT_INLINE int64_t wt_combine_integer(int64_t a, int64_t b, wt_word mode) {
  switch (mode) {
    case WT_SCATTER_add:
      return (int64_t)((uint64_t)a + (uint64_t)b);
    case WT_SCATTER_multiply:
      return (int64_t)((uint64_t)a * (uint64_t)b);
    case WT_SCATTER_amax:
      return a > b ? a : b;
    case WT_SCATTER_amin:
      return a < b ? a : b;
    default:
      return b;
  }
}

/* *target = *target (mode) *source, rounded to the dtype; mode is a wt_scatter_mode. A float32 sum
 * or product formed in double and rounded once equals the float32 operation. */
WT_INLINE void wt_element_combine(void *target, const void *source, wt_word dtype, wt_word mode) {
  if (dtype == WT_FLOAT32 && mode == WT_SCATTER_add) {
    *(float *)target += *(const float *)source;
  } else if (wt_is_floating(dtype)) {
    double a = wt_element_load(target, dtype), b = wt_element_load(source, dtype);
    wt_element_store(target, dtype, wt_combine_real(a, b, mode));
  } else {
    int64_t a = wt_element_load_integer(target, dtype);
    int64_t b = wt_element_load_integer(source, dtype);
    wt_element_store_integer(target, dtype, wt_combine_integer(a, b, mode));
  }
}

#endif
