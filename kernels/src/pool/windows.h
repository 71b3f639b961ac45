/* Pooling windows: which input positions each output position covers.
 *
 * Every pooling kernel, adaptive or not, runs over these tables, one per spatial dimension.
 */
#ifndef WASM_TORCH_WINDOWS_H
#define WASM_TORCH_WINDOWS_H

#include "core/core.h"

#ifndef WT_USE_REFERENCE
#define WT_USE_REFERENCE 0
#endif

typedef struct wt_window {
  wt_word start;  /* first input position; start >= end: the window is empty */
  wt_word end;    /* one past the last, inside the input */
  wt_word extent; /* positions that count in an average that includes padding */
} wt_window;

/* The windows of the outputs of all three dimensions, and the distance between their taps. */
typedef struct wt_windows {
  wt_window *table[3]; /* table[d][o] is the window of output position o */
  wt_word dilation[3];
} wt_windows;

typedef struct wt_pool_geometry {
  wt_word kernel[3], stride[3], pad[3], dilation[3];
} wt_pool_geometry;

/* Reads the geometry fields that the pooling argument structs share. */
#define WT_POOL_GEOMETRY_OF(args)                             \
  {                                                           \
    {(args)->kernel0, (args)->kernel1, (args)->kernel2},      \
        {(args)->stride0, (args)->stride1, (args)->stride2},  \
        {(args)->pad0, (args)->pad1, (args)->pad2}, {         \
      (args)->dilation0, (args)->dilation1, (args)->dilation2 \
    }                                                         \
  }

/* Tables for an input and an output (N, C, D, H, W); free with wt_windows_free. */
int wt_windows_of_geometry(wt_windows *windows, const wt_tensor *input, const wt_tensor *out,
                           const wt_pool_geometry *geometry);
int wt_windows_adaptive(wt_windows *windows, const wt_tensor *input, const wt_tensor *out);
void wt_windows_free(wt_windows *windows);

/* How an average divides: by `override` where not 0, else by the extents or the real positions. */
typedef struct wt_divisor {
  wt_word override;
  bool include_pad;
} wt_divisor;

static inline double wt_divisor_of(const wt_divisor *divisor, wt_window d, wt_window h,
                                   wt_window w) {
  if (divisor->override) return (double)divisor->override;
  if (divisor->include_pad) return (double)d.extent * (double)h.extent * (double)w.extent;
  return (double)(d.end - d.start) * (double)(h.end - h.start) * (double)(w.end - w.start);
}

/* Whether input and out are both (N, C, D, H, W) and agree in N and C. */
bool wt_pool_shapes_match(const wt_tensor *input, const wt_tensor *out);

/* Items worth handing to a thread at once, given the outputs of one item. */
static inline wt_word wt_pool_grain(wt_word outputs) { return 4096 / (outputs + 1) + 1; }

#endif
