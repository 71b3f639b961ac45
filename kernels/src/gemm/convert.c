#include "gemm/convert.h"

wt_word wt_compute_dtype(wt_word dtype) {
  switch (dtype) {
    case WT_FLOAT16:
    case WT_BFLOAT16:
    case WT_FLOAT32:
      return WT_FLOAT32;
    case WT_FLOAT64:
      return WT_FLOAT64;
    case WT_UINT8:
    case WT_INT8:
    case WT_INT16:
    case WT_INT32:
      return WT_INT32;
    case WT_INT64:
      return WT_INT64;
    default:
      return -1;
  }
}

#define WT_SAME(x) (x)
#define WT_WIDEN(code, from_type, to_type, convert)                                \
  case code: {                                                                     \
    const from_type *source = from;                                                \
    to_type *target = to;                                                          \
    if (stride == 1)                                                               \
      for (wt_word i = 0; i < count; i++) target[i] = convert(source[i]);          \
    else                                                                           \
      for (wt_word i = 0; i < count; i++) target[i] = convert(source[i * stride]); \
    break;                                                                         \
  }

void wt_widen(void *to, const void *from, wt_word dtype, wt_word stride, wt_word count) {
  switch (dtype) {
    WT_WIDEN(WT_FLOAT16, uint16_t, float, wt_half_to_float)
    WT_WIDEN(WT_BFLOAT16, uint16_t, float, wt_bfloat16_to_float)
    WT_WIDEN(WT_FLOAT32, float, float, WT_SAME)
    WT_WIDEN(WT_FLOAT64, double, double, WT_SAME)
    WT_WIDEN(WT_UINT8, uint8_t, int32_t, WT_SAME)
    WT_WIDEN(WT_INT8, int8_t, int32_t, WT_SAME)
    WT_WIDEN(WT_INT16, int16_t, int32_t, WT_SAME)
    WT_WIDEN(WT_INT32, int32_t, int32_t, WT_SAME)
    WT_WIDEN(WT_INT64, int64_t, int64_t, WT_SAME)
    default:
      break;
  }
}

#define WT_NARROW(code, to_type, from_type, convert)                                        \
  case code: {                                                                              \
    const from_type *source = from;                                                         \
    to_type *target = to;                                                                   \
    if (stride == 1)                                                                        \
      for (wt_word i = 0; i < count; i++) target[i] = (to_type)convert(source[i]);          \
    else                                                                                    \
      for (wt_word i = 0; i < count; i++) target[i * stride] = (to_type)convert(source[i]); \
    break;                                                                                  \
  }

void wt_narrow(void *to, wt_word dtype, wt_word stride, const void *from, wt_word count) {
  switch (dtype) {
    WT_NARROW(WT_FLOAT16, uint16_t, float, wt_float_to_half)
    WT_NARROW(WT_BFLOAT16, uint16_t, float, wt_float_to_bfloat16)
    WT_NARROW(WT_FLOAT32, float, float, WT_SAME)
    WT_NARROW(WT_FLOAT64, double, double, WT_SAME)
    WT_NARROW(WT_UINT8, uint8_t, uint32_t, WT_SAME)
    WT_NARROW(WT_INT8, int8_t, uint32_t, WT_SAME)
    WT_NARROW(WT_INT16, int16_t, uint32_t, WT_SAME)
    WT_NARROW(WT_INT32, int32_t, int32_t, WT_SAME)
    WT_NARROW(WT_INT64, int64_t, int64_t, WT_SAME)
    default:
      break;
  }
}
