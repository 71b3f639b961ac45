#include "packed/tile.h"

#include "packed/packed.h"

/* The loop over channels is not unrolled: see gemm/tile_template.h. */
WT_INLINE void accumulate(const int points, const int panels, const wt_packed_tile *tile,
                          wt_f32x4 acc[][4][2]) {
  const float *const *rows = tile->rows;
  const float *right = tile->panel;
  const wt_word panel_pitch = tile->panel_pitch;
  for (wt_word t = 0; t < tile->taps; t++, rows += tile->rows_pitch) {
    const float *row[WT_TILE_POINTS];
    WT_UNROLL
    for (int p = 0; p < points; p++) row[p] = rows[p] + tile->first_channel;
    for (wt_word c = tile->channels; c > 0; c--, right += WT_PANEL) {
      wt_f32x4 left[WT_TILE_POINTS];
      if (panels > 1) {
        WT_UNROLL
        for (int p = 0; p < points; p++) left[p] = wt_f32x4_load_splat(row[p]++);
      }
      WT_UNROLL
      for (int n = 0; n < panels; n++) {
        wt_f32x4 right0 = wt_f32x4_load(right + n * panel_pitch);
        wt_f32x4 right1 = wt_f32x4_load(right + n * panel_pitch + 4);
        WT_UNROLL
        for (int p = 0; p < points; p++) {
          wt_f32x4 scalar = panels > 1 ? left[p] : wt_f32x4_load_splat(row[p]++);
          acc[n][p][0] = wt_f32x4_madd(scalar, right0, acc[n][p][0]);
          acc[n][p][1] = wt_f32x4_madd(scalar, right1, acc[n][p][1]);
        }
      }
    }
  }
}

WT_INLINE void store(const int points, const int panels, const wt_packed_tile *tile,
                     wt_f32x4 acc[][4][2]) {
  wt_f32x4 low = wt_f32x4_splat(tile->low), high = wt_f32x4_splat(tile->high);
  WT_UNROLL
  for (int n = 0; n < panels; n++) {
    wt_word at = tile->at + n * WT_PANEL;
    wt_f32x4 bias0 = {0, 0, 0, 0}, bias1 = {0, 0, 0, 0};
    if (tile->bias) {
      bias0 = wt_f32x4_load(tile->bias + n * WT_PANEL);
      bias1 = wt_f32x4_load(tile->bias + n * WT_PANEL + 4);
    }
    WT_UNROLL
    for (int p = 0; p < points; p++) {
      wt_f32x4 v0 = acc[n][p][0] + bias0, v1 = acc[n][p][1] + bias1;
      if (tile->added) {
        v0 += wt_f32x4_load(tile->added[p] + at);
        v1 += wt_f32x4_load(tile->added[p] + at + 4);
      }
      wt_f32x4_store(tile->out[p] + at, wt_f32x4_pmin(wt_f32x4_pmax(v0, low), high));
      wt_f32x4_store(tile->out[p] + at + 4, wt_f32x4_pmin(wt_f32x4_pmax(v1, low), high));
    }
  }
}

#define DEFINE_TILE(points, panels)                                              \
  static WT_NOINLINE void tile_##points##_##panels(const wt_packed_tile *tile) { \
    wt_f32x4 acc[panels][4][2];                                                  \
    memset(acc, 0, sizeof acc);                                                  \
    accumulate(points, panels, tile, acc);                                       \
    store(points, panels, tile, acc);                                            \
  }
DEFINE_TILE(1, 1)
DEFINE_TILE(2, 1)
DEFINE_TILE(3, 1)
DEFINE_TILE(4, 1)
DEFINE_TILE(2, 2)
DEFINE_TILE(1, 4)
#undef DEFINE_TILE

void wt_run_packed_tile(const wt_packed_tile *tile, wt_word points, wt_word panels) {
  switch (points) {
    case 4:
      tile_4_1(tile);
      break;
    case 3:
      tile_3_1(tile);
      break;
    case 2:
      panels == 2 ? tile_2_2(tile) : tile_2_1(tile);
      break;
    default:
      panels == 4 ? tile_1_4(tile) : tile_1_1(tile);
  }
}
