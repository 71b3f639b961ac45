/* One-dimensional per-channel tensors (weights, biases, statistics) of any float dtype and stride.
 */
#ifndef WASM_TORCH_NORM_VECTORS_H
#define WASM_TORCH_NORM_VECTORS_H

#include "reduce/elements.h"

/* Whether the tensor is absent, or one-dimensional with `count` elements of a float dtype. */
static inline bool wt_is_vector(const wt_tensor *tensor, wt_word count) {
  if (!wt_is_present(tensor)) return true;
  const wt_element_class class = wt_class_of(tensor->dtype);
  return (class == WT_CLASS_F32 || class == WT_CLASS_F64) && tensor->ndim == 1 &&
         tensor->size[0] == count;
}

/* The vector as doubles; `otherwise` in every place where it is absent. */
static inline void wt_load_vector(double *to, const wt_tensor *from, wt_word count,
                                  double otherwise) {
  if (wt_is_present(from))
    wt_load_doubles(to, (const void *)from->data, from->dtype, from->stride[0], count);
  else
    for (wt_word i = 0; i < count; i++) to[i] = otherwise;
}

/* The same as a row of the working type: doubles or floats. */
static inline void wt_load_row(void *to, bool doubles, const wt_tensor *from, wt_word count,
                               double otherwise) {
  if (doubles) {
    wt_load_vector(to, from, count, otherwise);
  } else if (wt_is_present(from)) {
    wt_load_floats(to, (const void *)from->data, from->dtype, from->stride[0], count);
  } else {
    float *row = to;
    for (wt_word i = 0; i < count; i++) row[i] = (float)otherwise;
  }
}

static inline void wt_store_vector(const wt_tensor *to, const double *from, wt_word count) {
  if (wt_is_present(to)) wt_store_doubles((void *)to->data, to->dtype, to->stride[0], from, count);
}

#endif
