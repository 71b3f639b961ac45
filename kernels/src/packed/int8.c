/* conv_int8: checks, and the input in 8 bits. */
#include "packed/int8.h"

#include <math.h>
#include <stdatomic.h>

/* Points that one work item turns into 8 bits. */
#define POINTS 64

typedef struct quantize_job {
  const wt_tensor *input;
  wt_word points, points_of_entry;
  uint8_t *data;
  float *scale;            /* of each point or entry */
  float *largest;          /* of each work item */
  wt_word items_per_entry; /* 0: every point has its scale */
  int zero;
} quantize_job;

/* Of zeros alone any scale does; one that is not finite is that of the results, too. */
static float scale_of(float largest) { return largest == 0 ? 1 : largest / 127; }

static void quantize_points(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const quantize_job *job = context;
  const wt_word channels = job->input->size[1];
  wt_points point = wt_points_from(job->input, begin);
  for (wt_word p = begin; p < end; p++, wt_next_point(job->input, &point)) {
    const float *row = wt_point_row(job->input, &point);
    float scale = scale_of(wt_int8_largest(row, channels));
    job->scale[p] = scale;
    wt_int8_quantize(job->data + p * channels, row, channels, 1 / scale, job->zero);
  }
}

/* The points of work item `item`, which lie in one entry. */
static void item_range(const quantize_job *job, wt_word item, wt_word *first, wt_word *last) {
  wt_word entry = item / job->items_per_entry, at = item % job->items_per_entry * POINTS;
  *first = entry * job->points_of_entry + at;
  *last = entry * job->points_of_entry +
          (at + POINTS < job->points_of_entry ? at + POINTS : job->points_of_entry);
}

static void find_largest(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const quantize_job *job = context;
  for (wt_word item = begin; item < end; item++) {
    wt_word first, last;
    item_range(job, item, &first, &last);
    wt_points point = wt_points_from(job->input, first);
    float largest = 0;
    for (wt_word p = first; p < last; p++, wt_next_point(job->input, &point)) {
      const float *row = wt_point_row(job->input, &point);
      largest = wt_int8_larger(largest, wt_int8_largest(row, job->input->size[1]));
    }
    job->largest[item] = largest;
  }
}

static void quantize_entries(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const quantize_job *job = context;
  const wt_word channels = job->input->size[1];
  for (wt_word item = begin; item < end; item++) {
    wt_word first, last;
    item_range(job, item, &first, &last);
    wt_points point = wt_points_from(job->input, first);
    float inverse = 1 / job->scale[item / job->items_per_entry];
    for (wt_word p = first; p < last; p++, wt_next_point(job->input, &point))
      wt_int8_quantize(job->data + p * channels, wt_point_row(job->input, &point), channels,
                       inverse, job->zero);
  }
}

static void quantize(quantize_job *job, wt_word entries) {
  if (job->items_per_entry == 0) {
    wt_parallel_for(job->points, POINTS, quantize_points, job);
    return;
  }
  wt_word items = entries * job->items_per_entry, grain = 1 + 4096 / job->input->size[1] / POINTS;
  wt_parallel_for(items, grain, find_largest, job);
  for (wt_word n = 0; n < entries; n++) {
    float largest = 0;
    for (wt_word i = 0; i < job->items_per_entry; i++)
      largest = wt_int8_larger(largest, job->largest[n * job->items_per_entry + i]);
    job->scale[n] = scale_of(largest);
  }
  wt_parallel_for(items, grain, quantize_entries, job);
}

/* Fields are counted from 1 in the order of the kernel's list. */
static int check(const wt_conv_int8_args *args, const wt_packed_problem *shape) {
  const wt_tensor *weight = &args->weight, *scale = &args->scale, *sums = &args->weight_sums;
  const wt_word panels = (shape->filters + WT_PANEL - 1) / WT_PANEL;
  const wt_word size[5] = {panels, shape->taps, shape->channels / WT_QUAD, WT_PANEL, WT_QUAD};
  if (weight->dtype != WT_INT8) return wt_fail(WT_UNSUPPORTED_DTYPE, weight->dtype, 0, 0);
  bool fits = weight->ndim == 5 && shape->channels % WT_QUAD == 0 && wt_is_contiguous(weight);
  for (int d = 0; fits && d < 5; d++) fits = weight->size[d] == size[d];
  if (!fits || shape->depth > WT_INT8_MOST_DEPTH)
    return wt_fail(WT_BAD_ARGUMENT, 3, shape->channels, 0);
  if (scale->dtype != WT_FLOAT32 || scale->ndim != 1 || scale->size[0] != shape->filters ||
      !wt_is_contiguous(scale))
    return wt_fail(WT_BAD_ARGUMENT, 4, scale->ndim, 0);
  if (sums->dtype != WT_INT32 || sums->ndim != 1 || sums->size[0] != shape->filters ||
      !wt_is_contiguous(sums))
    return wt_fail(WT_BAD_ARGUMENT, 5, sums->ndim, 0);
  return WT_OK;
}

WT_KERNEL(conv_int8, 1) {
  const wt_conv_int8_args *args = arguments;
  wt_int8_problem problem = {
      .shape = {.groups = 1,
                .channels = args->input.size[1],
                .filters = args->out.size[1],
                .kernel = {args->kernel0, args->kernel1, args->kernel2},
                .stride = {args->stride0, args->stride1, args->stride2},
                .pad = {args->pad0, args->pad1, args->pad2},
                .dilation = {args->dilation0, args->dilation1, args->dilation2},
                .out = &args->out,
                .input = &args->input,
                .residual = &args->residual},
      .weight = (const int8_t *)args->weight.data,
      .scale = (const float *)args->scale.data,
      .weight_sums = (const int32_t *)args->weight_sums.data};
  int status =
      wt_packed_complete(&problem.shape, &args->bias, args->activation, args->p0, args->p1);
  if (status == WT_OK) status = check(args, &problem.shape);
  if (status != WT_OK || args->out.numel == 0) return status;
  if (args->input.numel == 0) return wt_fail(WT_BAD_ARGUMENT, 2, 0, 0); /* padding alone */
  const wt_tensor *input = &args->input;
  const wt_word channels = input->size[1], entries = input->size[0];
  const bool per_point = problem.shape.taps == 1;
  const wt_int8_reading reading = wt_int8_probe();
  quantize_job job = {.input = input,
                      .points = input->numel / channels,
                      .points_of_entry = input->numel / channels / entries,
                      .zero = wt_int8_zero(reading)};
  job.items_per_entry = per_point ? 0 : (job.points_of_entry + POINTS - 1) / POINTS;
  uint64_t scales = (uint64_t)(per_point ? job.points : entries);
  uint64_t floats = scales + (uint64_t)(entries * job.items_per_entry);
  uint64_t bytes = (uint64_t)(job.points + 1) * (uint64_t)channels;
  job.scale = wt_alloc_many(floats * sizeof(float) + bytes, 1);
  if (!job.scale) return WT_OUT_OF_MEMORY;
  job.largest = job.scale + scales;
  job.data = (uint8_t *)(job.scale + floats);
  uint8_t *zeros = job.data + job.points * channels;
  memset(zeros, job.zero, (size_t)channels);
  quantize(&job, entries);
  wt_int8_input quantized = {job.data, zeros, job.scale, per_point};
  status = wt_int8_tiles(&problem, &quantized, reading);
  wt_free(job.scale);
  return status;
}
