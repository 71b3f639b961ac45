/* pack_weight: a dense weight becomes the packed one in its own place. */
#include "packed/packed.h"

typedef struct pack_job {
  float *weight;
  wt_word panels, filters, channels, taps; /* of one group */
  float *scratch;                          /* per thread: one panel */
} pack_job;

/* [filter][channel] of a whole panel of one tap becomes [channel][filter], four by four: rows may
 * lie so that they fall on the same lines of a cache. Returns the channels done. */
static wt_word transpose_panel(float *to, const float *from, wt_word channels) {
  wt_word c = 0;
  for (; c + 4 <= channels; c += 4)
    for (int half = 0; half < WT_PANEL; half += 4) {
      wt_f32x4 rows[4];
      WT_UNROLL
      for (int f = 0; f < 4; f++) rows[f] = wt_f32x4_load(from + (half + f) * channels + c);
      wt_f32x4_transpose(rows);
      WT_UNROLL
      for (int i = 0; i < 4; i++) wt_f32x4_store(to + (c + i) * WT_PANEL + half, rows[i]);
    }
  return c;
}

/* [filter][channel][tap] of one panel becomes [tap][channel][filter]. */
static void pack_panels(void *context, wt_word begin, wt_word end, int thread) {
  const pack_job *job = context;
  wt_word depth = job->channels * job->taps;
  float *copy = job->scratch + thread * WT_PANEL * depth;
  for (wt_word item = begin; item < end; item++) {
    wt_word group = item / job->panels, first = item % job->panels * WT_PANEL;
    wt_word width = job->filters - first < WT_PANEL ? job->filters - first : WT_PANEL;
    float *panel = job->weight + (group * job->filters + first) * depth;
    memcpy(copy, panel, (size_t)(width * depth) * sizeof(float));
    wt_word done = 0;
    if (job->taps == 1 && width == WT_PANEL) done = transpose_panel(panel, copy, job->channels);
    panel += done * width;
    for (wt_word t = 0; t < job->taps; t++)
      for (wt_word c = done; c < job->channels; c++, panel += width)
        for (wt_word f = 0; f < width; f++) panel[f] = copy[f * depth + c * job->taps + t];
  }
}

static int pack_depthwise(float *weight, wt_word groups, wt_word taps) {
  size_t bytes = (size_t)(groups * taps) * sizeof(float);
  float *copy = wt_alloc(bytes);
  if (!copy) return WT_OUT_OF_MEMORY;
  memcpy(copy, weight, bytes);
  for (wt_word t = 0; t < taps; t++)
    for (wt_word g = 0; g < groups; g++) *weight++ = copy[g * taps + t];
  wt_free(copy);
  return WT_OK;
}

WT_KERNEL(pack_weight, 1) {
  const wt_pack_weight_args *args = arguments;
  const wt_tensor *weight = &args->weight;
  if (weight->dtype != WT_FLOAT32) return wt_fail(WT_UNSUPPORTED_DTYPE, weight->dtype, 0, 0);
  if (weight->ndim != 5 || !wt_is_contiguous(weight))
    return wt_fail(WT_BAD_ARGUMENT, 1, weight->ndim, 0);
  if (args->groups < 1 || weight->size[0] % args->groups != 0)
    return wt_fail(WT_BAD_ARGUMENT, 2, args->groups, 0);
  if (weight->numel == 0) return WT_OK;
  wt_packed_problem shape = {.groups = args->groups,
                             .channels = weight->size[1],
                             .filters = weight->size[0] / args->groups};
  wt_word taps = weight->size[2] * weight->size[3] * weight->size[4];
  if (wt_is_depthwise(&shape)) return pack_depthwise((float *)weight->data, shape.groups, taps);
  pack_job job = {.weight = (float *)weight->data,
                  .panels = (shape.filters + WT_PANEL - 1) / WT_PANEL,
                  .filters = shape.filters,
                  .channels = shape.channels,
                  .taps = taps};
  uint64_t panel_bytes = (uint64_t)job.channels * (uint64_t)taps * WT_PANEL * sizeof(float);
  job.scratch = wt_alloc_many((uint64_t)wt_thread_limit(), panel_bytes);
  if (!job.scratch) return WT_OUT_OF_MEMORY;
  wt_word grain = 1 + (wt_word)(262144 / panel_bytes);
  wt_parallel_for(shape.groups * job.panels, grain, pack_panels, &job);
  wt_free(job.scratch);
  return WT_OK;
}
