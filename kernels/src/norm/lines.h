/* The lines of tensors of one shape along a dimension: where each starts, and the threads' buffers
 * for lines that cannot be worked on in place. */
#ifndef WASM_TORCH_NORM_LINES_H
#define WASM_TORCH_NORM_LINES_H

#include "reduce/elements.h"

#define WT_LINE_TENSORS 3

typedef struct wt_lines {
  wt_word length, count; /* elements in a line, lines */
  int outer_dims;
  wt_word size[WT_MAX_DIMS];
  wt_word stride[WT_LINE_TENSORS][WT_MAX_DIMS]; /* of each tensor, without the line's dimension */
  wt_word step[WT_LINE_TENSORS];                /* of each tensor, along the line */
} wt_lines;

/* False where dim is out of range or the tensors differ in shape. A scalar is one line of 1. */
static inline bool wt_lines_of(wt_lines *lines, int tensors, const wt_tensor *const *tensor,
                               wt_word dim) {
  const wt_tensor *first = tensor[0];
  if (dim < 0 || dim >= (first->ndim ? first->ndim : 1)) return false;
  *lines = (wt_lines){.length = 1, .count = 1, .step = {1, 1, 1}};
  for (int t = 0; t < tensors; t++)
    if (tensor[t]->ndim != first->ndim) return false;
  for (wt_word d = 0; d < first->ndim; d++) {
    const bool along = d == dim;
    const int outer = along ? 0 : lines->outer_dims++;
    if (along)
      lines->length = first->size[d];
    else
      lines->count *= lines->size[outer] = first->size[d];
    for (int t = 0; t < tensors; t++) {
      if (tensor[t]->size[d] != first->size[d]) return false;
      *(along ? &lines->step[t] : &lines->stride[t][outer]) = tensor[t]->stride[d];
    }
  }
  return true;
}

static inline wt_word wt_line_offset(const wt_lines *lines, int tensor, wt_word line) {
  return wt_offset_of(line, lines->outer_dims, lines->size, lines->stride[tensor]);
}

/* Whether neighbouring lines lie side by side in every tensor, at least four of them. */
static inline bool wt_lines_side_by_side(const wt_lines *lines, int tensors) {
  const int inner = lines->outer_dims - 1;
  if (inner < 0 || lines->size[inner] < 4) return false;
  for (int t = 0; t < tensors; t++)
    if (lines->stride[t][inner] != 1) return false;
  return true;
}

#endif
