#include "reduce/geometry.h"

#include "reduce/elements.h"

typedef struct dimension {
  wt_word size, stride, out_stride;
} dimension;

static wt_word magnitude(wt_word stride) { return stride < 0 ? -stride : stride; }

/* Sorts by descending stride (insertion sort: at most WT_MAX_DIMS), merges, and returns the number
 * of dimensions left. */
static int sort_and_merge(dimension *dims, int count) {
  for (int i = 1; i < count; i++)
    for (int j = i; j > 0 && magnitude(dims[j].stride) > magnitude(dims[j - 1].stride); j--) {
      dimension held = dims[j];
      dims[j] = dims[j - 1];
      dims[j - 1] = held;
    }
  int merged = 0;
  for (int i = 0; i < count; i++) {
    dimension *outer = merged ? &dims[merged - 1] : NULL;
    if (outer && outer->stride == dims[i].stride * dims[i].size &&
        outer->out_stride == dims[i].out_stride * dims[i].size) {
      outer->size *= dims[i].size;
      outer->stride = dims[i].stride;
      outer->out_stride = dims[i].out_stride;
    } else {
      dims[merged++] = dims[i];
    }
  }
  if (merged == 0) dims[merged++] = (dimension){1, 0, 0};
  return merged;
}

bool wt_reduction_of(wt_reduction *reduction, const wt_tensor *out, const wt_tensor *self) {
  if (out->ndim != self->ndim) return false;
  dimension kept[WT_MAX_DIMS], reduced[WT_MAX_DIMS];
  int kept_dims = 0, reduced_dims = 0;
  reduction->outputs = reduction->count = 1;
  for (wt_word d = 0; d < self->ndim; d++) {
    if (out->size[d] == self->size[d]) {
      reduction->outputs *= self->size[d];
      if (self->size[d] != 1)
        kept[kept_dims++] = (dimension){self->size[d], self->stride[d], out->stride[d]};
    } else if (out->size[d] == 1) {
      reduction->count *= self->size[d];
      reduced[reduced_dims++] = (dimension){self->size[d], self->stride[d], 0};
    } else {
      return false;
    }
  }
  reduction->kept_dims = sort_and_merge(kept, kept_dims);
  reduction->reduced_dims = sort_and_merge(reduced, reduced_dims);
  for (int d = 0; d < reduction->kept_dims; d++) {
    reduction->kept_size[d] = kept[d].size;
    reduction->kept_stride[d] = kept[d].stride;
    reduction->kept_out_stride[d] = kept[d].out_stride;
  }
  for (int d = 0; d < reduction->reduced_dims; d++) {
    reduction->reduced_size[d] = reduced[d].size;
    reduction->reduced_stride[d] = reduced[d].stride;
  }
  return true;
}

wt_run_walk wt_run_walk_start(const wt_reduction *reduction, int64_t begin, int64_t end) {
  return (wt_run_walk){reduction, begin, end, 0, 0};
}

bool wt_run_walk_next(wt_run_walk *walk) {
  const wt_reduction *reduction = walk->reduction;
  walk->position += walk->length;
  if (walk->position >= walk->end) return false;
  const int inner = reduction->reduced_dims - 1;
  if (inner == 0) {
    walk->offset = (wt_word)walk->position * reduction->reduced_stride[0];
    walk->length = (wt_word)(walk->end - walk->position);
    return true;
  }
  const wt_word run = reduction->reduced_size[inner];
  const int64_t left = walk->end - walk->position, to_edge = run - walk->position % run;
  walk->offset = wt_offset_of((wt_word)walk->position, reduction->reduced_dims,
                              reduction->reduced_size, reduction->reduced_stride);
  walk->length = (wt_word)(left < to_edge ? left : to_edge);
  return true;
}
