/* nonzero: the positions of the elements that are not zero, in row-major order. */
#include "index/element.h"

typedef struct nonzero_state {
  const wt_tensor *out;
  wt_word found;
} nonzero_state;

/* Writes one position; false where out is full. */
static bool append(nonzero_state *state, const wt_word *position, wt_word ndim) {
  const wt_tensor *out = state->out;
  if (state->found >= out->size[0]) return false;
  int64_t *row = (int64_t *)out->data + state->found * out->stride[0];
  for (wt_word d = 0; d < ndim; d++) row[d * out->stride[1]] = position[d];
  state->found++;
  return true;
}

/* The row of `self` at `position`, whose last coordinate this function advances. */
WT_INLINE bool scan_row(nonzero_state *state, const wt_tensor *self, const char *row,
                        wt_word *position, wt_word dtype, wt_word bytes) {
  wt_word last = self->ndim - 1, columns = last >= 0 ? self->size[last] : 1;
  wt_word step = last >= 0 ? self->stride[last] * bytes : 0;
  for (wt_word c = 0; c < columns; c++) {
    bool is_set = dtype == WT_INT64 ? *(const int64_t *)(row + c * step) != 0
                                    : wt_element_load(row + c * step, dtype) != 0;
    if (!is_set) continue;
    if (last >= 0) position[last] = c;
    if (!append(state, position, self->ndim)) return false;
  }
  return true;
}

static bool scan_row_any(nonzero_state *state, const wt_tensor *self, const char *row,
                         wt_word *position) {
  switch (self->dtype) {
    case WT_BOOL:
      return scan_row(state, self, row, position, WT_BOOL, 1);
    case WT_FLOAT32:
      return scan_row(state, self, row, position, WT_FLOAT32, 4);
    default:
      return scan_row(state, self, row, position, self->dtype, (wt_word)wt_dtype_size(self->dtype));
  }
}

WT_KERNEL(nonzero, 1) {
  const wt_nonzero_args *args = arguments;
  const wt_tensor *out = &args->out, *self = &args->self;
  if (!wt_dtype_size(self->dtype)) return wt_fail(WT_UNSUPPORTED_DTYPE, self->dtype, 0, 0);
  if (out->dtype != WT_INT64) return wt_fail(WT_UNSUPPORTED_DTYPE, out->dtype, 0, 0);
  if (out->ndim != 2 || out->size[1] != self->ndim) {
    return wt_fail(WT_BAD_ARGUMENT, 0, out->ndim, 0);
  }
  nonzero_state state = {.out = out};
  wt_word position[WT_MAX_DIMS] = {0};
  wt_word last = self->ndim - 1, columns = last >= 0 ? self->size[last] : 1;
  wt_word rows = columns ? self->numel / columns : 0;
  wt_word bytes = (wt_word)wt_dtype_size(self->dtype);
  for (wt_word row = 0; row < rows; row++) {
    wt_word rest = row;
    for (wt_word d = last - 1; d >= 0; d--) {
      position[d] = rest % self->size[d];
      rest /= self->size[d];
    }
    wt_word offset = wt_offset_of(row, last > 0 ? last : 0, self->size, self->stride);
    if (!scan_row_any(&state, self, (const char *)self->data + offset * bytes, position)) {
      return wt_fail(WT_BAD_ARGUMENT, 0, out->size[0], 0);
    }
  }
  return state.found == out->size[0] ? WT_OK : wt_fail(WT_BAD_ARGUMENT, 0, out->size[0], 0);
}
