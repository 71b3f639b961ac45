#include "pool/windows.h"

static wt_word min_word(wt_word a, wt_word b) { return a < b ? a : b; }

bool wt_pool_shapes_match(const wt_tensor *input, const wt_tensor *out) {
  return input->ndim == 5 && out->ndim == 5 && input->size[0] == out->size[0] &&
         input->size[1] == out->size[1] && input->dtype == out->dtype;
}

/* One allocation holds the tables of the three dimensions, one behind the other. */
static int allocate(wt_windows *windows, const wt_tensor *out) {
  uint64_t count = (uint64_t)out->size[2] + (uint64_t)out->size[3] + (uint64_t)out->size[4];
  windows->table[0] = wt_alloc_many(count ? count : 1, sizeof(wt_window));
  if (!windows->table[0]) return WT_OUT_OF_MEMORY;
  windows->table[1] = windows->table[0] + out->size[2];
  windows->table[2] = windows->table[1] + out->size[3];
  return WT_OK;
}

void wt_windows_free(wt_windows *windows) { wt_free(windows->table[0]); }

int wt_windows_of_geometry(wt_windows *windows, const wt_tensor *input, const wt_tensor *out,
                           const wt_pool_geometry *geometry) {
  for (int d = 0; d < 3; d++) {
    if (geometry->kernel[d] <= 0) return wt_fail(WT_BAD_ARGUMENT, d, geometry->kernel[d], 0);
    if (geometry->stride[d] <= 0) return wt_fail(WT_BAD_ARGUMENT, d, geometry->stride[d], 0);
    if (geometry->dilation[d] <= 0) return wt_fail(WT_BAD_ARGUMENT, d, geometry->dilation[d], 0);
    if (geometry->pad[d] < 0) return wt_fail(WT_BAD_ARGUMENT, d, geometry->pad[d], 0);
  }
  int status = allocate(windows, out);
  if (status) return status;
  for (int d = 0; d < 3; d++) {
    wt_word size = input->size[2 + d], pad = geometry->pad[d], dilation = geometry->dilation[d];
    windows->dilation[d] = dilation;
    for (wt_word o = 0; o < out->size[2 + d]; o++) {
      wt_word first = o * geometry->stride[d] - pad;
      wt_word last = first + (geometry->kernel[d] - 1) * dilation + 1;
      wt_word skipped = first < 0 ? (-first + dilation - 1) / dilation : 0;
      windows->table[d][o] = (wt_window){.start = first + skipped * dilation,
                                         .end = min_word(last, size),
                                         .extent = min_word(last, size + pad) - first};
    }
  }
  return WT_OK;
}

/* Output o of O covers floor(o * I / O) up to ceil((o + 1) * I / O), as in torch. */
int wt_windows_adaptive(wt_windows *windows, const wt_tensor *input, const wt_tensor *out) {
  int status = allocate(windows, out);
  if (status) return status;
  for (int d = 0; d < 3; d++) {
    int64_t inputs = input->size[2 + d], outputs = out->size[2 + d];
    windows->dilation[d] = 1;
    for (int64_t o = 0; o < outputs; o++) {
      wt_word start = (wt_word)(o * inputs / outputs);
      wt_word end = (wt_word)(((o + 1) * inputs + outputs - 1) / outputs);
      windows->table[d][o] = (wt_window){.start = start, .end = end, .extent = end - start};
    }
  }
  return WT_OK;
}
