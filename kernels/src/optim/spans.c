#include "optim/spans.h"

#define GRADIENT 1

typedef struct job {
  int count;
  const wt_tensor *tensors[WT_SPAN_TENSORS];
  bool in_place;
  bool doubles;
  wt_span_fn update;
  const void *settings;
} job;

/* Whether the elements fill a stretch of memory without gaps or overlaps, in any order. */
static bool is_dense(const wt_tensor *tensor) {
  wt_word covered = 1;
  for (wt_word taken = 0; taken < tensor->ndim; taken++) {
    bool found = false;
    for (wt_word d = 0; d < tensor->ndim && !found; d++)
      if (tensor->size[d] != 1 && tensor->stride[d] == covered) {
        covered *= tensor->size[d];
        found = true;
      }
    if (!found) break;
  }
  return covered == tensor->numel;
}

static bool same_layout(const wt_tensor *a, const wt_tensor *b) {
  for (wt_word d = 0; d < a->ndim; d++)
    if (a->size[d] != 1 && a->stride[d] != b->stride[d]) return false;
  return true;
}

static bool same_shape(const wt_tensor *a, const wt_tensor *b) {
  if (a->ndim != b->ndim || a->numel != b->numel) return false;
  for (wt_word d = 0; d < a->ndim; d++)
    if (a->size[d] != b->size[d]) return false;
  return true;
}

/* Elements begin..end-1 of dense tensors of one layout, in the order of memory. */
static void update_in_place(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  void *spans[WT_SPAN_TENSORS] = {NULL};
  (void)thread;
  for (int t = 0; t < job->count; t++)
    if (wt_is_present(job->tensors[t])) spans[t] = wt_element(job->tensors[t], begin);
  job->update(job->settings, spans, end - begin);
}

/* Moves `count` elements from row-major position `first` on between a tensor and a buffer. */
static void convert(const job *job, const wt_tensor *tensor, wt_word first, wt_word count,
                    void *buffer, bool load) {
  for (wt_word i = 0; i < count; i++) {
    void *element = wt_element(
        tensor, wt_offset_of(first + i, (int)tensor->ndim, tensor->size, tensor->stride));
    if (job->doubles && load)
      wt_load_doubles((double *)buffer + i, element, tensor->dtype, 1, 1);
    else if (job->doubles)
      wt_store_doubles(element, tensor->dtype, 1, (double *)buffer + i, 1);
    else if (load)
      wt_load_floats((float *)buffer + i, element, tensor->dtype, 1, 1);
    else
      wt_store_floats(element, tensor->dtype, 1, (float *)buffer + i, 1);
  }
}

static void update_converted(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  double buffers[WT_SPAN_TENSORS][WT_SPAN_CHUNK]; /* doubles or floats */
  void *spans[WT_SPAN_TENSORS] = {NULL};
  (void)thread;
  for (int t = 0; t < job->count; t++)
    if (wt_is_present(job->tensors[t])) spans[t] = buffers[t];
  for (wt_word first = begin; first < end; first += WT_SPAN_CHUNK) {
    const wt_word count = wt_min_word(WT_SPAN_CHUNK, end - first);
    for (int t = 0; t < job->count; t++)
      if (spans[t]) convert(job, job->tensors[t], first, count, spans[t], true);
    job->update(job->settings, spans, count);
    for (int t = 0; t < job->count; t++)
      if (spans[t] && t != GRADIENT) convert(job, job->tensors[t], first, count, spans[t], false);
  }
}

int wt_update_spans(int count, const wt_tensor *const *tensors, wt_span_fn floats,
                    wt_span_fn doubles, const void *settings) {
  const wt_tensor *param = tensors[0];
  job job = {.count = count,
             .in_place = true,
             .settings = settings,
             .doubles = param->dtype == WT_FLOAT64};
  const wt_word working_dtype = job.doubles ? WT_FLOAT64 : WT_FLOAT32;
  job.update = job.doubles ? doubles : floats;
  for (int t = 0; t < count; t++) {
    job.tensors[t] = tensors[t];
    if (!wt_is_present(tensors[t])) {
      if (t <= GRADIENT) return wt_fail(WT_BAD_ARGUMENT, t + 1, -1, 0);
      continue;
    }
    const wt_element_class class = wt_class_of(tensors[t]->dtype);
    if (class != WT_CLASS_F32 && class != WT_CLASS_F64)
      return wt_fail(WT_UNSUPPORTED_DTYPE, tensors[t]->dtype, 0, 0);
    if (!same_shape(tensors[t], param))
      return wt_fail(WT_BAD_ARGUMENT, t + 1, tensors[t]->numel, 0);
    job.in_place &= tensors[t]->dtype == working_dtype && same_layout(tensors[t], param);
  }
  job.in_place &= is_dense(param);
  wt_parallel_for(param->numel, 16384, job.in_place ? update_in_place : update_converted, &job);
  return WT_OK;
}
