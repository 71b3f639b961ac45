/* The register tile of the packed convolution: a few points by a few panels. */
#ifndef WASM_TORCH_PACKED_TILE_H
#define WASM_TORCH_PACKED_TILE_H

#include "core/core.h"

/* Points and panels of the tile: two vectors for each pair fill the registers. */
#define WT_TILE_POINTS 4

/* out[point][filter] = bias + added + sum over taps and channels of row * panel, then clamped. */
typedef struct wt_packed_tile {
  const float *const *rows; /* [tap][rows_pitch]: the points' inputs under each tap */
  wt_word rows_pitch, first_channel, channels, taps;
  const float *panel; /* [tap][channel][WT_PANEL] of the first panel */
  wt_word panel_pitch;
  float *const *out; /* a row for each point, at the first panel's filter: out[point] + at */
  const float *const *added; /* the same of what is added, or NULL */
  wt_word at;
  const float *bias; /* of the first panel, or NULL */
  float low, high;
} wt_packed_tile;

/* points 1..WT_TILE_POINTS. Panels: as many as wt_tile_panels(points) says, or 1. */
void wt_run_packed_tile(const wt_packed_tile *tile, wt_word points, wt_word panels);

/* With few points, several panels at a time cover the latency of the multiply-add. */
static inline wt_word wt_tile_panels(wt_word points) {
  return points == 1 ? 4 : points == 2 ? 2 : 1;
}

#endif
