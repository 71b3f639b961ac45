/* Attention inside the engine: the sizes of a problem, where its matrices lie, and the reference.
 */
#ifndef WASM_TORCH_ATTENTION_H
#define WASM_TORCH_ATTENTION_H

#include "core/core.h"

typedef struct wt_attention_sizes {
  wt_word entries; /* batch entries times heads */
  wt_word heads, group;
  wt_word length, source; /* positions that ask, and that are asked */
  wt_word width, value_width;
} wt_attention_sizes;

/* Element (0, 0) of the matrix of one entry; `heads` of them share a batch entry, and neighbouring
 * `group` of these one matrix. */
static inline void *wt_attention_matrix(const wt_tensor *tensor, wt_word entry, wt_word heads,
                                        wt_word group) {
  wt_word outer = tensor->ndim - 3;
  wt_word offset = wt_offset_of(entry / heads, outer, tensor->size, tensor->stride) +
                   entry % heads / group * tensor->stride[outer];
  return (char *)tensor->data + offset * (wt_word)wt_dtype_size(tensor->dtype);
}

int wt_attention_blocks(const wt_attention_args *args, const wt_attention_sizes *sizes);

/* The scalar reference: whole rows of scores, in double precision. */
int wt_attention_reference(const wt_attention_args *args, const wt_attention_sizes *sizes);

#endif
