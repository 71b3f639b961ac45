/* gather and scatter: elements chosen along one dimension by an index of the tensors' own rank. */
#include <stdatomic.h>

#include "index/element.h"

/* Both kernels walk the positions of `index` as (row, step along dim, column), where columns are
 * the innermost dimension and rows all others but dim. Where dim is innermost there is one column.
 * Threads take ranges of row * columns + column, so no two write to the same slice along dim. */
typedef struct walk {
  const wt_tensor *index;
  const wt_tensor *target; /* the tensor whose dimension `dim` is chosen by the index */
  const wt_tensor *other;  /* the tensor of the index's positions: gather's out, scatter's src */
  wt_word dim, mode;
  wt_word columns;
  wt_word ndim; /* dimensions of a row */
  wt_word size[WT_MAX_DIMS];
  wt_word index_stride[WT_MAX_DIMS], target_stride[WT_MAX_DIMS], other_stride[WT_MAX_DIMS];
  atomic_int status;
} walk;

static void plan(walk *w) {
  const wt_tensor *index = w->index;
  wt_word last = index->ndim - 1;
  bool has_columns = index->ndim > 0 && w->dim != last;
  w->columns = has_columns ? index->size[last] : 1;
  for (wt_word d = 0; d < index->ndim; d++) {
    if (d == w->dim || (has_columns && d == last)) continue;
    w->size[w->ndim] = index->size[d];
    w->index_stride[w->ndim] = index->stride[d];
    w->target_stride[w->ndim] = w->target->stride[d];
    w->other_stride[w->ndim] = w->other->stride[d];
    w->ndim++;
  }
}

/* A stretch of columns begin..end-1 of one row: where its first elements lie. */
typedef struct stretch {
  const char *index;
  char *target, *other;
  wt_word columns;
  wt_word index_step, target_step, other_step; /* bytes between columns */
  wt_word index_next, target_next, other_next; /* bytes between steps along dim */
} stretch;

static stretch stretch_at(const walk *w, wt_word row, wt_word column, wt_word columns) {
  const wt_tensor *index = w->index;
  wt_word bytes = (wt_word)wt_dtype_size(w->target->dtype);
  wt_word last = index->ndim - 1;
  wt_word index_bytes = (wt_word)wt_dtype_size(index->dtype);
  stretch s = {.columns = columns};
  if (index->ndim > 0) {
    s.index_next = index->stride[w->dim] * index_bytes;
    s.target_next = w->target->stride[w->dim] * bytes;
    s.other_next = w->other->stride[w->dim] * bytes;
  }
  if (index->ndim > 0 && w->dim != last) {
    s.index_step = index->stride[last] * index_bytes;
    s.target_step = w->target->stride[last] * bytes;
    s.other_step = w->other->stride[last] * bytes;
  }
  s.index = (const char *)index->data +
            wt_offset_of(row, w->ndim, w->size, w->index_stride) * index_bytes +
            column * s.index_step;
  s.target = (char *)w->target->data +
             wt_offset_of(row, w->ndim, w->size, w->target_stride) * bytes + column * s.target_step;
  s.other = (char *)w->other->data + wt_offset_of(row, w->ndim, w->size, w->other_stride) * bytes +
            column * s.other_step;
  return s;
}

/* Handles one stretch; `kind` is a constant: whether to gather, copy or combine by `mode`. */
typedef enum walk_kind { KIND_GATHER, KIND_COPY, KIND_COMBINE } walk_kind;

WT_INLINE bool run_stretch(walk *w, const stretch *s, walk_kind kind, wt_word dtype, size_t bytes,
                           wt_word mode) {
  wt_word steps = w->index->ndim > 0 ? w->index->size[w->dim] : 1;
  wt_word limit = w->target->ndim > 0 ? w->target->size[w->dim] : 1;
  wt_word index_dtype = w->index->dtype;
  for (wt_word step = 0; step < steps; step++) {
    const char *index = s->index + step * s->index_next;
    char *other = s->other + step * s->other_next;
    for (wt_word c = 0; c < s->columns; c++) {
      int64_t chosen = wt_element_load_integer(index + c * s->index_step, index_dtype);
      if (chosen < 0 || chosen >= limit) {
        atomic_store(&w->status, wt_fail(WT_INDEX_OUT_OF_RANGE, chosen, w->dim, limit));
        return false;
      }
      char *target = s->target + (wt_word)chosen * s->target_next + c * s->target_step;
      char *element = other + c * s->other_step;
      if (kind == KIND_GATHER) {
        wt_element_copy(element, target, bytes);
      } else if (kind == KIND_COPY) {
        wt_element_copy(target, element, bytes);
      } else {
        wt_element_combine(target, element, dtype, mode);
      }
    }
  }
  return true;
}

static bool gather_stretch(walk *w, const stretch *s) {
  switch (wt_dtype_size(w->target->dtype)) {
    case 1:
      return run_stretch(w, s, KIND_GATHER, 0, 1, 0);
    case 2:
      return run_stretch(w, s, KIND_GATHER, 0, 2, 0);
    case 4:
      return run_stretch(w, s, KIND_GATHER, 0, 4, 0);
    default:
      return run_stretch(w, s, KIND_GATHER, 0, 8, 0);
  }
}

static bool scatter_stretch(walk *w, const stretch *s) {
  wt_word dtype = w->target->dtype;
  size_t bytes = wt_dtype_size(dtype);
  if (w->mode == WT_SCATTER_set) return run_stretch(w, s, KIND_COPY, dtype, bytes, 0);
  if (dtype == WT_FLOAT32 && w->mode == WT_SCATTER_add) {
    return run_stretch(w, s, KIND_COMBINE, WT_FLOAT32, 4, WT_SCATTER_add);
  }
  return run_stretch(w, s, KIND_COMBINE, dtype, bytes, w->mode);
}

WT_INLINE void run_range(walk *w, wt_word begin, wt_word end,
                         bool (*run)(walk *, const stretch *)) {
  while (begin < end) {
    wt_word row = begin / w->columns, column = begin % w->columns;
    wt_word columns = w->columns - column;
    if (columns > end - begin) columns = end - begin;
    stretch s = stretch_at(w, row, column, columns);
    if (!run(w, &s)) return;
    begin += columns;
  }
}

static void gather_range(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  run_range(context, begin, end, gather_stretch);
}

static void scatter_range(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  run_range(context, begin, end, scatter_stretch);
}

static int run_walk(walk *w, wt_range_fn fn) {
  const wt_tensor *index = w->index;
  if (!index->numel) return WT_OK;
  plan(w);
  wt_word steps = index->ndim > 0 ? index->size[w->dim] : 1;
  wt_parallel_for(index->numel / steps, 8192 / steps + 1, fn, w);
  return atomic_load(&w->status);
}

/* The index must not exceed `tensor` in any dimension, but in `dim` where `along` is false. */
static int check_covers(const wt_tensor *tensor, const wt_tensor *index, wt_word dim, bool along) {
  if (tensor->ndim != index->ndim) return wt_fail(WT_BAD_ARGUMENT, 0, tensor->ndim, 0);
  for (wt_word d = 0; d < index->ndim; d++) {
    if ((d != dim || along) && index->size[d] > tensor->size[d]) {
      return wt_fail(WT_BAD_ARGUMENT, d, index->size[d], 0);
    }
  }
  return WT_OK;
}

static int check_dtypes(const wt_tensor *a, const wt_tensor *b, const wt_tensor *index) {
  if (!wt_dtype_size(a->dtype) || a->dtype != b->dtype) {
    return wt_fail(WT_UNSUPPORTED_DTYPE, a->dtype, 0, 0);
  }
  if (wt_is_floating(index->dtype)) return wt_fail(WT_UNSUPPORTED_DTYPE, index->dtype, 0, 0);
  return WT_OK;
}

static int check_dim(wt_word dim, wt_word ndim) {
  return dim >= 0 && dim < (ndim > 0 ? ndim : 1) ? WT_OK : wt_fail(WT_BAD_ARGUMENT, 3, dim, 0);
}

/* out[..., i, ...] = self[..., index[..., i, ...], ...] */
WT_KERNEL(gather, 1) {
  const wt_gather_args *args = arguments;
  int status = check_dtypes(&args->self, &args->out, &args->index);
  if (!status) status = check_dim(args->dim, args->index.ndim);
  if (!status) status = check_covers(&args->self, &args->index, args->dim, false);
  if (!status) status = check_covers(&args->out, &args->index, args->dim, true);
  if (status) return status;
  walk w = {.index = &args->index, .target = &args->self, .other = &args->out, .dim = args->dim};
  return run_walk(&w, gather_range);
}

/* out[..., index[..., i, ...], ...] (mode)= src[..., i, ...], by rising i; without src, `value`. */
WT_KERNEL(scatter, 1) {
  const wt_scatter_args *args = arguments;
  const wt_tensor *out = &args->out, *index = &args->index;
  int64_t storage = 0; /* holds the value, in the dtype of out */
  wt_tensor value = {.data = (wt_word)&storage, .dtype = out->dtype, .ndim = index->ndim};
  memcpy(value.size, index->size, sizeof value.size);
  const wt_tensor *src = wt_is_present(&args->src) ? &args->src : &value;
  int status = check_dtypes(out, src, index);
  if (!status) status = check_dim(args->dim, index->ndim);
  if (!status) status = check_covers(out, index, args->dim, false);
  if (!status) status = check_covers(src, index, args->dim, true);
  if (status) return status;
  if (wt_is_floating(out->dtype)) {
    wt_element_store(&storage, out->dtype, args->value.f);
  } else {
    wt_element_store_integer(&storage, out->dtype, args->value.i);
  }
  walk w = {.index = index, .target = out, .other = src, .dim = args->dim, .mode = args->mode};
  return run_walk(&w, scatter_range);
}
