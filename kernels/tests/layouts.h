/* Tensors of random layout over their own exact memory, so that ASan sees every step outside. */
#ifndef WASM_TORCH_LAYOUTS_H
#define WASM_TORCH_LAYOUTS_H

#include "check.h"

typedef enum layout { LAYOUT_CONTIGUOUS, LAYOUT_PERMUTED, LAYOUT_STEPPED, LAYOUT_COUNT } layout;

/* PERMUTED: the dimensions lie in random order; STEPPED: and only every second element is used.
 * Free with layout_free. */
static inline wt_tensor layout_tensor(check_random *random, int dtype, int ndim,
                                      const wt_word *size, layout kind) {
  wt_tensor tensor = {.dtype = dtype, .ndim = ndim, .numel = 1};
  int order[WT_MAX_DIMS];
  for (int d = 0; d < ndim; d++) order[d] = d;
  for (int d = ndim - 1; d > 0 && kind != LAYOUT_CONTIGUOUS; d--) {
    int other = (int)check_integer(random, 0, d), held = order[d];
    order[d] = order[other];
    order[other] = held;
  }
  wt_word stride = kind == LAYOUT_STEPPED ? 2 : 1;
  for (int d = ndim - 1; d >= 0; d--) {
    tensor.size[order[d]] = size[order[d]];
    tensor.stride[order[d]] = stride;
    stride *= size[order[d]];
    tensor.numel *= size[order[d]];
  }
  const wt_word elements = kind == LAYOUT_STEPPED && stride > 0 ? stride - 1 : stride;
  tensor.data = (wt_word)calloc((size_t)elements + (elements == 0), wt_dtype_size(dtype));
  return tensor;
}

static inline layout layout_any(check_random *random) {
  return (layout)check_integer(random, 0, LAYOUT_COUNT - 1);
}

static inline void layout_free(wt_tensor *tensor) { free((void *)tensor->data); }

/* The relative precision of results of a dtype that come from some hundred operations. */
static inline double layout_tolerance(int dtype) {
  switch (dtype) {
    case WT_FLOAT16:
      return 2e-3;
    case WT_BFLOAT16:
      return 1.6e-2;
    case WT_FLOAT32:
      return 1e-5;
    default:
      return 1e-12;
  }
}

#endif
