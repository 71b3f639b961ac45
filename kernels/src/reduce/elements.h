/* Lines of elements: any dtype and stride, read into and written from one of three working types.
 *
 * float16, bfloat16 and float32 are worked on as float, float64 as double, integers and bool as
 * int64. A line is `count` elements, `stride` elements apart.
 */
#ifndef WASM_TORCH_ELEMENTS_H
#define WASM_TORCH_ELEMENTS_H

#include "core/core.h"

typedef enum wt_element_class {
  WT_CLASS_F32,
  WT_CLASS_F64,
  WT_CLASS_I64,
  WT_CLASS_NONE
} wt_element_class;

wt_element_class wt_class_of(wt_word dtype);

/* float and double lines are read from float dtypes and integers alike; int64 lines from integers
 * and bool alone. */
void wt_load_floats(float *to, const void *from, wt_word dtype, wt_word stride, wt_word count);
void wt_load_doubles(double *to, const void *from, wt_word dtype, wt_word stride, wt_word count);
void wt_load_integers(int64_t *to, const void *from, wt_word dtype, wt_word stride, wt_word count);

/* float and double lines are written to float dtypes alone, int64 lines to every dtype. */
void wt_store_floats(void *to, wt_word dtype, wt_word stride, const float *from, wt_word count);
void wt_store_doubles(void *to, wt_word dtype, wt_word stride, const double *from, wt_word count);
void wt_store_integers(void *to, wt_word dtype, wt_word stride, const int64_t *from, wt_word count);

/* Elements that differ from zero; NaN does. */
int64_t wt_count_nonzero(const void *from, wt_word dtype, wt_word stride, wt_word count);

static inline double wt_load_double(const void *from, wt_word dtype) {
  double value = 0;
  wt_load_doubles(&value, from, dtype, 1, 1);
  return value;
}

/* Address of the element `offset` elements behind the tensor's first. */
static inline void *wt_element(const wt_tensor *tensor, wt_word offset) {
  return (char *)tensor->data + offset * (wt_word)wt_dtype_size(tensor->dtype);
}

static inline wt_word wt_min_word(wt_word a, wt_word b) { return a < b ? a : b; }

/* Items a thread should take at once, so that its work is about 16 k elements. */
static inline wt_word wt_grain(int64_t elements_per_item) {
  return elements_per_item >= 16384 ? 1 : (wt_word)(16384 / (elements_per_item + 1)) + 1;
}

#endif
