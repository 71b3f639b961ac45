/* Four neighbouring outputs of a dense row at a time. */
#ifndef WASM_TORCH_POOL_VECTORS_H
#define WASM_TORCH_POOL_VECTORS_H

#include "pool/windows.h"
#include "simd.h"

/* p[0], p[step], p[2 * step], p[3 * step]; reads nothing behind the last. */
WT_INLINE wt_f32x4 wt_pool_load_four(const float *p, wt_word step) {
  if (step == 1) return wt_f32x4_load(p);
  if (step == 2) {
    return __builtin_shufflevector(wt_f32x4_load(p), wt_f32x4_load(p + 3), 0, 2, 5, 7);
  }
  return (wt_f32x4){p[0], p[step], p[2 * step], p[3 * step]};
}

/* Outputs begin..end-1 of a row have windows of one width, `step` apart; none or at least four. */
typedef struct wt_span {
  wt_word begin, end, step;
} wt_span;

/* The span of full windows: those at the edges may be clipped. */
static inline wt_span wt_uniform_span(const wt_window *table, wt_word count) {
  wt_word width = 0, begin = 0;
  for (wt_word o = 0; o < count; o++) {
    if (table[o].extent == table[o].end - table[o].start && table[o].extent > width) {
      width = table[o].extent;
      begin = o;
    }
  }
  wt_span span = {begin, begin, 1};
  if (begin + 1 < count) span.step = table[begin + 1].start - table[begin].start;
  while (span.end < count && table[span.end].end - table[span.end].start == width &&
         table[span.end].extent == width &&
         table[span.end].start == table[begin].start + (span.end - begin) * span.step) {
    span.end++;
  }
  if (width == 0 || span.end - span.begin < 4) span.begin = span.end = 0;
  return span;
}

#endif
