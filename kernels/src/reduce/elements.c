#include "reduce/elements.h"

wt_element_class wt_class_of(wt_word dtype) {
  switch (dtype) {
    case WT_FLOAT16:
    case WT_BFLOAT16:
    case WT_FLOAT32:
      return WT_CLASS_F32;
    case WT_FLOAT64:
      return WT_CLASS_F64;
    case WT_UINT8:
    case WT_INT8:
    case WT_INT16:
    case WT_INT32:
    case WT_INT64:
    case WT_BOOL:
      return WT_CLASS_I64;
    default:
      return WT_CLASS_NONE;
  }
}

#define READ_PLAIN(x) (x)
#define READ_BOOL(x) ((x) != 0)

/* The stride of 1 is spelled out so that compilers vectorise that loop. */
#define LOAD_CASE(NAME, ctype, READ, working)                                        \
  case WT_##NAME: {                                                                  \
    const ctype *source = from;                                                      \
    if (stride == 1)                                                                 \
      for (wt_word i = 0; i < count; i++) to[i] = (working)READ(source[i]);          \
    else                                                                             \
      for (wt_word i = 0; i < count; i++) to[i] = (working)READ(source[i * stride]); \
    return;                                                                          \
  }
#define LOAD_INTEGER_CASES(working)              \
  LOAD_CASE(UINT8, uint8_t, READ_PLAIN, working) \
  LOAD_CASE(INT8, int8_t, READ_PLAIN, working)   \
  LOAD_CASE(INT16, int16_t, READ_PLAIN, working) \
  LOAD_CASE(INT32, int32_t, READ_PLAIN, working) \
  LOAD_CASE(INT64, int64_t, READ_PLAIN, working) \
  LOAD_CASE(BOOL, uint8_t, READ_BOOL, working)
#define LOAD_FLOAT_CASES(working)                         \
  LOAD_CASE(FLOAT16, uint16_t, wt_half_to_float, working) \
  LOAD_CASE(FLOAT32, float, READ_PLAIN, working)          \
  LOAD_CASE(FLOAT64, double, READ_PLAIN, working)         \
  LOAD_CASE(BFLOAT16, uint16_t, wt_bfloat16_to_float, working)

void wt_load_floats(float *to, const void *from, wt_word dtype, wt_word stride, wt_word count) {
  switch (dtype) {
    LOAD_FLOAT_CASES(float)
    LOAD_INTEGER_CASES(float)
  }
}

void wt_load_doubles(double *to, const void *from, wt_word dtype, wt_word stride, wt_word count) {
  switch (dtype) {
    LOAD_FLOAT_CASES(double)
    LOAD_INTEGER_CASES(double)
  }
}

void wt_load_integers(int64_t *to, const void *from, wt_word dtype, wt_word stride, wt_word count) {
  switch (dtype) { LOAD_INTEGER_CASES(int64_t) }
}

#define WRITE_BOOL(x) ((x) != 0)
#define WRITE_FLOAT16(x) wt_float_to_half((float)(x))
#define WRITE_BFLOAT16(x) wt_float_to_bfloat16((float)(x))

#define STORE_CASE(NAME, ctype, WRITE)                                              \
  case WT_##NAME: {                                                                 \
    ctype *target = to;                                                             \
    for (wt_word i = 0; i < count; i++) target[i * stride] = (ctype)WRITE(from[i]); \
    return;                                                                         \
  }
#define STORE_FLOAT_CASES                      \
  STORE_CASE(FLOAT16, uint16_t, WRITE_FLOAT16) \
  STORE_CASE(FLOAT32, float, READ_PLAIN)       \
  STORE_CASE(FLOAT64, double, READ_PLAIN)      \
  STORE_CASE(BFLOAT16, uint16_t, WRITE_BFLOAT16)

void wt_store_floats(void *to, wt_word dtype, wt_word stride, const float *from, wt_word count) {
  switch (dtype) { STORE_FLOAT_CASES }
}

void wt_store_doubles(void *to, wt_word dtype, wt_word stride, const double *from, wt_word count) {
  switch (dtype) { STORE_FLOAT_CASES }
}

void wt_store_integers(void *to, wt_word dtype, wt_word stride, const int64_t *from,
                       wt_word count) {
  switch (dtype) {
    STORE_FLOAT_CASES
    STORE_CASE(UINT8, uint8_t, READ_PLAIN)
    STORE_CASE(INT8, int8_t, READ_PLAIN)
    STORE_CASE(INT16, int16_t, READ_PLAIN)
    STORE_CASE(INT32, int32_t, READ_PLAIN)
    STORE_CASE(INT64, int64_t, READ_PLAIN)
    STORE_CASE(BOOL, uint8_t, WRITE_BOOL)
  }
}

/* `mask` drops the sign bit of floats, whose zero has two signs. */
#define DEFINE_COUNT(bits)                                                                \
  static int64_t count_nonzero_u##bits(const uint##bits##_t *source, uint##bits##_t mask, \
                                       wt_word stride, wt_word count) {                   \
    int64_t nonzero = 0;                                                                  \
    if (stride == 1)                                                                      \
      for (wt_word i = 0; i < count; i++) nonzero += (source[i] & mask) != 0;             \
    else                                                                                  \
      for (wt_word i = 0; i < count; i++) nonzero += (source[i * stride] & mask) != 0;    \
    return nonzero;                                                                       \
  }
DEFINE_COUNT(8)
DEFINE_COUNT(16)
DEFINE_COUNT(32)
DEFINE_COUNT(64)

int64_t wt_count_nonzero(const void *from, wt_word dtype, wt_word stride, wt_word count) {
  switch (dtype) {
    case WT_BOOL:
    case WT_UINT8:
    case WT_INT8:
      return count_nonzero_u8(from, 0xff, stride, count);
    case WT_INT16:
      return count_nonzero_u16(from, 0xffff, stride, count);
    case WT_FLOAT16:
    case WT_BFLOAT16:
      return count_nonzero_u16(from, 0x7fff, stride, count);
    case WT_INT32:
      return count_nonzero_u32(from, 0xffffffffu, stride, count);
    case WT_FLOAT32:
      return count_nonzero_u32(from, 0x7fffffffu, stride, count);
    case WT_INT64:
      return count_nonzero_u64(from, UINT64_MAX, stride, count);
    case WT_FLOAT64:
      return count_nonzero_u64(from, UINT64_MAX >> 1, stride, count);
    default:
      return 0;
  }
}
