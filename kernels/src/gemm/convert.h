/* Lines of elements into the type that products are computed in, and back. */
#ifndef WASM_TORCH_CONVERT_H
#define WASM_TORCH_CONVERT_H

#include "core/core.h"

/* The computing type: float32 for itself and the half types, float64, int32 for the integers up to
 * 32 bits (whose results wrap around alike), int64; -1 for bool and unknown codes. */
wt_word wt_compute_dtype(wt_word dtype);

/* to[i] = from[i * stride], to in the computing type of `dtype`. */
void wt_widen(void *to, const void *from, wt_word dtype, wt_word stride, wt_word count);
/* to[i * stride] = from[i], from in the computing type of `dtype`. */
void wt_narrow(void *to, wt_word dtype, wt_word stride, const void *from, wt_word count);

#endif
