/* searchsorted: for each value the position in a sorted row before which it belongs. */
#include "index/element.h"

/* Whether the sorted element lies before the value; NaN values lie behind everything. */
WT_INLINE bool lies_before(const char *element, const char *value, wt_word dtype, bool right) {
  if (dtype == WT_INT64) {
    int64_t e = *(const int64_t *)element, v = *(const int64_t *)value;
    return right ? e <= v : e < v;
  }
  double e = wt_element_load(element, dtype), v = wt_element_load(value, dtype);
  return right ? !(e > v) : !(e >= v);
}

/* Items are the elements of values, row-major. */
WT_INLINE void search(const wt_searchsorted_args *args, wt_word begin, wt_word end, wt_word dtype) {
  const wt_tensor *out = &args->out, *sorted = &args->sorted;
  const wt_tensor *values = &args->values;
  wt_word last = values->ndim - 1, columns = last >= 0 ? values->size[last] : 1;
  wt_word bytes = (wt_word)wt_dtype_size(dtype), length = sorted->size[sorted->ndim - 1];
  wt_word step = sorted->stride[sorted->ndim - 1] * bytes;
  wt_word out_bytes = (wt_word)wt_dtype_size(out->dtype);
  bool right = args->right != 0;
  for (wt_word p = begin; p < end; p++) {
    wt_word row = p / columns;
    const char *first = (const char *)sorted->data +
                        wt_offset_of(row, sorted->ndim - 1, sorted->size, sorted->stride) * bytes;
    if (sorted->ndim == 1) first = (const char *)sorted->data;
    const char *value = (const char *)values->data +
                        wt_offset_of(p, values->ndim, values->size, values->stride) * bytes;
    wt_word low = 0, high = length;
    while (low < high) {
      wt_word middle = low + (high - low) / 2;
      if (lies_before(first + middle * step, value, dtype, right)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    wt_word at = wt_offset_of(p, values->ndim, values->size, out->stride);
    wt_element_store_integer((char *)out->data + at * out_bytes, out->dtype, low);
  }
}

static void search_range(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const wt_searchsorted_args *args = context;
  wt_word dtype = args->values.dtype;
  if (dtype == WT_FLOAT32) {
    search(args, begin, end, WT_FLOAT32);
  } else {
    search(args, begin, end, dtype);
  }
}

WT_KERNEL(searchsorted, 1) {
  const wt_searchsorted_args *args = arguments;
  const wt_tensor *out = &args->out, *sorted = &args->sorted, *values = &args->values;
  if (!wt_dtype_size(values->dtype) || sorted->dtype != values->dtype) {
    return wt_fail(WT_UNSUPPORTED_DTYPE, values->dtype, 0, 0);
  }
  if (out->dtype != WT_INT64 && out->dtype != WT_INT32) {
    return wt_fail(WT_UNSUPPORTED_DTYPE, out->dtype, 0, 0);
  }
  if (sorted->ndim < 1 || (sorted->ndim != 1 && sorted->ndim != values->ndim)) {
    return wt_fail(WT_BAD_ARGUMENT, 1, sorted->ndim, 0);
  }
  if (out->ndim != values->ndim) return wt_fail(WT_BAD_ARGUMENT, 0, out->ndim, 0);
  for (wt_word d = 0; d < values->ndim; d++) {
    bool is_row = d < values->ndim - 1 && sorted->ndim > 1;
    if (out->size[d] != values->size[d] || (is_row && sorted->size[d] != values->size[d])) {
      return wt_fail(WT_BAD_ARGUMENT, 2, values->size[d], 0);
    }
  }
  wt_parallel_for(values->numel, 2048, search_range, (void *)args);
  return WT_OK;
}
