/* The attention kernel: checks, and the choice of a solver. */
#include "attention/attention.h"

/* Whether a tensor is `like` in its outer dimensions, but for the heads, and of these sizes. */
static bool has_shape(const wt_tensor *tensor, const wt_tensor *like, wt_word heads, wt_word rows,
                      wt_word columns) {
  const wt_word ndim = like->ndim;
  if (tensor->ndim != ndim) return false;
  for (wt_word d = 0; d < ndim - 3; d++)
    if (tensor->size[d] != like->size[d]) return false;
  return tensor->size[ndim - 3] == heads && tensor->size[ndim - 2] == rows &&
         tensor->size[ndim - 1] == columns;
}

WT_KERNEL(attention, 1) {
  const wt_attention_args *args = arguments;
  const wt_tensor *out = &args->out, *query = &args->query, *key = &args->key;
  const wt_tensor *const tensors[] = {out, query, key, &args->value};
  for (int i = 0; i < 4; i++) {
    if (tensors[i]->dtype != WT_FLOAT32)
      return wt_fail(WT_UNSUPPORTED_DTYPE, tensors[i]->dtype, 0, 0);
    if (tensors[i]->ndim < 3 || tensors[i]->ndim != out->ndim)
      return wt_fail(WT_BAD_ARGUMENT, i + 1, tensors[i]->ndim, 0);
  }
  const wt_word last = out->ndim - 1, key_heads = key->size[last - 2];
  wt_attention_sizes sizes = {.entries = 1,
                              .heads = out->size[last - 2],
                              .length = out->size[last - 1],
                              .source = key->size[last - 1],
                              .width = query->size[last],
                              .value_width = out->size[last]};
  if (!has_shape(query, out, sizes.heads, sizes.length, sizes.width))
    return wt_fail(WT_BAD_ARGUMENT, 2, query->size[last], 0);
  if (key_heads < 1 || sizes.heads % key_heads != 0 ||
      !has_shape(key, out, key_heads, sizes.source, sizes.width))
    return wt_fail(WT_BAD_ARGUMENT, 3, key_heads, 0);
  if (!has_shape(&args->value, out, key_heads, sizes.source, sizes.value_width))
    return wt_fail(WT_BAD_ARGUMENT, 4, args->value.size[last], 0);
  if (wt_is_present(&args->mask)) {
    if (args->mask.dtype != WT_BOOL && args->mask.dtype != WT_FLOAT32)
      return wt_fail(WT_UNSUPPORTED_DTYPE, args->mask.dtype, 0, 0);
    if (!has_shape(&args->mask, out, sizes.heads, sizes.length, sizes.source))
      return wt_fail(WT_BAD_ARGUMENT, 5, args->mask.ndim, 0);
  }
  for (wt_word d = 0; d <= last - 2; d++) sizes.entries *= out->size[d];
  sizes.group = sizes.heads / key_heads;
  if (sizes.entries == 0 || sizes.length == 0 || sizes.value_width == 0) return WT_OK;
#if WT_USE_REFERENCE
  return wt_attention_reference(args, &sizes);
#else
  return wt_attention_blocks(args, &sizes);
#endif
}
