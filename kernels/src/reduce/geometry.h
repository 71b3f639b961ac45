/* The shape of a reduction: which dimensions are kept, which are reduced, merged where they can be.
 *
 * Both groups are ordered from the largest stride to the smallest and adjacent dimensions that lie
 * densely in one another become one, so that the innermost dimension is the longest run in memory.
 */
#ifndef WASM_TORCH_REDUCE_GEOMETRY_H
#define WASM_TORCH_REDUCE_GEOMETRY_H

#include "core/core.h"

typedef struct wt_reduction {
  int kept_dims, reduced_dims; /* each at least 1; a missing group is one dimension of size 1 */
  wt_word kept_size[WT_MAX_DIMS], kept_stride[WT_MAX_DIMS], kept_out_stride[WT_MAX_DIMS];
  wt_word reduced_size[WT_MAX_DIMS], reduced_stride[WT_MAX_DIMS];
  int64_t outputs; /* product of the kept sizes */
  int64_t count;   /* product of the reduced sizes */
} wt_reduction;

/* out has the rank of self, and each of its sizes is self's or 1. False where that is not so. */
bool wt_reduction_of(wt_reduction *reduction, const wt_tensor *out, const wt_tensor *self);

/* A walk over positions begin..end-1 of the reduced dimensions, one run of the innermost at a time:
 *   for (wt_run_walk walk = wt_run_walk_start(r, begin, end); wt_run_walk_next(&walk);)
 *     use(walk.offset, walk.length);  (elements walk.offset + i * innermost stride)
 */
typedef struct wt_run_walk {
  const wt_reduction *reduction;
  int64_t position, end;
  wt_word offset, length;
} wt_run_walk;

wt_run_walk wt_run_walk_start(const wt_reduction *reduction, int64_t begin, int64_t end);
bool wt_run_walk_next(wt_run_walk *walk);

#endif
