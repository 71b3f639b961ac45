/* A max pooling as the kernels hand it to their threads. */
#ifndef WASM_TORCH_MAX_POOL_H
#define WASM_TORCH_MAX_POOL_H

#include "pool/windows.h"

typedef struct wt_max_job {
  const wt_tensor *out, *indices, *input; /* indices may be absent */
  const wt_windows *windows;
} wt_max_job;

/* One float32 output position of the plane at `input`; index may be NULL. */
void wt_max_window_f32(const wt_max_job *job, const float *input, wt_window d, wt_window h,
                       wt_window w, float *out, int64_t *index);

/* Runs the job in vectors where it is float32 of a suitable layout; false where it is not. */
bool wt_max_pool_f32(const wt_max_job *job);

#endif
