/* What kernels may use of the engine: memory, the thread pool, error reports. */
#ifndef WASM_TORCH_CORE_H
#define WASM_TORCH_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wasm_torch/abi.h"

/* ---- memory -------------------------------------------------------------------------------- */
/* Aligned to 64 bytes. Returns NULL where memory does not suffice and records the failure, so that
 * a kernel simply returns WT_OUT_OF_MEMORY. Only the calling thread allocates: take scratch before
 * wt_parallel_for, one slice per thread. */
void *wt_alloc(size_t bytes);
/* The same for count * bytes, which may exceed the address space: then it does not suffice. */
void *wt_alloc_many(uint64_t count, uint64_t bytes);
void wt_free(void *block);

/* ---- threads ------------------------------------------------------------------------------- */
/* fn(context, begin, end, thread) handles the items begin..end-1; thread is in
 * 0..wt_thread_limit()-1 and no two calls run at once with the same thread number. */
typedef void (*wt_range_fn)(void *context, wt_word begin, wt_word end, int thread);

/* Splits 0..count-1 into chunks of at least `grain` items, handed out dynamically; returns when all
 * are done. Each chunk begins at a multiple of `grain`. One call of fn takes everything, in the
 * calling thread and with its number, when there is but one chunk or one thread, or when a job is
 * running already (so jobs may nest). */
void wt_parallel_for(wt_word count, wt_word grain, wt_range_fn fn, void *context);

/* Upper bound of the thread numbers of a job started now; at least 1. */
int wt_thread_limit(void);

/* ---- errors -------------------------------------------------------------------------------- */
/* Records the detail of a failure and returns `status`. Safe from any thread; the first wins until
 * the host reads it. A kernel whose workers may fail keeps an _Atomic int and returns it. */
int wt_fail(int status, int64_t detail0, int64_t detail1, int64_t detail2);

/* ---- dtypes -------------------------------------------------------------------------------- */
/* Bytes of one element, 0 for an unknown code. */
size_t wt_dtype_size(wt_word dtype);
float wt_half_to_float(uint16_t bits);
uint16_t wt_float_to_half(float value); /* rounds to nearest even */
float wt_bfloat16_to_float(uint16_t bits);
uint16_t wt_float_to_bfloat16(float value); /* rounds to nearest even */

/* ---- shapes -------------------------------------------------------------------------------- */
static inline bool wt_is_present(const wt_tensor *tensor) { return tensor->ndim >= 0; }

/* Whether the elements lie densely in row-major order. */
static inline bool wt_is_contiguous(const wt_tensor *tensor) {
  wt_word expected = 1;
  for (wt_word d = tensor->ndim - 1; d >= 0; d--) {
    if (tensor->size[d] != 1 && tensor->stride[d] != expected) return false;
    expected *= tensor->size[d];
  }
  return true;
}

/* Offset in elements, by `stride`, of the position `index`, counted in row-major order of `size`.
 */
static inline wt_word wt_offset_of(wt_word index, wt_word ndim, const wt_word *size,
                                   const wt_word *stride) {
  wt_word offset = 0;
  for (wt_word d = ndim - 1; d > 0; d--) {
    offset += index % size[d] * stride[d];
    index /= size[d];
  }
  return ndim > 0 ? offset + index * stride[0] : 0;
}

#endif
