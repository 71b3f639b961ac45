/* The tensors of an optimizer step, walked together in spans of contiguous working elements.
 *
 * All tensors have one shape; the optional ones may be absent. Where every tensor is dense, of one
 * layout and of the working type, spans are the memory itself; otherwise elements are converted
 * into buffers and back. float16, bfloat16 and float32 are worked on as float, float64 as double.
 */
#ifndef WASM_TORCH_OPTIM_SPANS_H
#define WASM_TORCH_OPTIM_SPANS_H

#include "reduce/elements.h"

#define WT_SPAN_TENSORS 5
/* Elements converted at a time where a span is not the memory itself. */
#define WT_SPAN_CHUNK 128

/* Updates `count` elements of each tensor in place; absent tensors are NULL. `spans` holds floats
 * or doubles. */
typedef void (*wt_span_fn)(const void *settings, void *const *spans, wt_word count);

/* `tensors` in the order in which `update` takes them; the first is never absent. The gradient, at
 * place 1, is read only. Returns a status. */
int wt_update_spans(int count, const wt_tensor *const *tensors, wt_span_fn floats,
                    wt_span_fn doubles, const void *settings);

#endif
