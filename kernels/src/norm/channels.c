#include "norm/channels.h"

/* Elements converted at a time where they are not float32 in place. */
#define CHUNK 256

/* ---- forms ---------------------------------------------------------------------------------- */
static bool is_planes(const wt_tensor *tensor) {
  return tensor->dtype == WT_FLOAT32 && (tensor->stride[2] == 1 || tensor->size[2] == 1);
}

static bool is_rows(const wt_tensor *tensor) {
  const wt_word *size = tensor->size, *stride = tensor->stride;
  return tensor->dtype == WT_FLOAT32 && stride[1] == 1 &&
         (size[0] == 1 || size[2] == 1 || stride[0] == size[2] * stride[2]);
}

wt_channel_form wt_channel_form_of(int count, const wt_tensor *const *tensors) {
  bool rows = true, planes = true, short_planes = false;
  for (int t = 0; t < count; t++) {
    if (!wt_is_present(tensors[t])) continue;
    rows = rows && is_rows(tensors[t]);
    planes = planes && is_planes(tensors[t]);
    short_planes = tensors[t]->size[2] < 8;
  }
  if (planes && !(rows && short_planes)) return WT_CHANNELS_PLANES;
  return rows ? WT_CHANNELS_ROWS : WT_CHANNELS_ANY;
}

bool wt_is_channel_tensor(const wt_tensor *tensor, const wt_tensor *like) {
  if (!wt_is_present(tensor)) return true;
  const wt_element_class class = wt_class_of(tensor->dtype);
  if ((class != WT_CLASS_F32 && class != WT_CLASS_F64) || tensor->ndim != 3) return false;
  for (int d = 0; d < 3; d++)
    if (tensor->size[d] != like->size[d]) return false;
  return true;
}

/* ---- maps over one run of a channel ---------------------------------------------------------- */
#define DEFINE_MAPS(type)                                                                          \
  static void forward_##type(type *out, const type *x, wt_word count, type center, type scale,     \
                             type shift) {                                                         \
    for (wt_word i = 0; i < count; i++) out[i] = (x[i] - center) * scale + shift;                  \
  }                                                                                                \
  static void backward_##type(type *out, const type *g, const type *x, wt_word count, type center, \
                              type scale, type average, type slope) {                              \
    for (wt_word i = 0; i < count; i++)                                                            \
      out[i] = (g[i] - average - (x[i] - center) * slope) * scale;                                 \
  }
DEFINE_MAPS(float)
DEFINE_MAPS(double)

/* ---- maps over a tensor ---------------------------------------------------------------------- */
typedef struct job {
  const wt_channel_map *map;
  wt_word channels, run; /* C, S */
  /* Float copies of the map's vectors, (C) each, for PLANES and ROWS. */
  const float *center, *scale, *shift, *average, *slope;
} job;

static wt_word plane_offset(const wt_tensor *tensor, wt_word plane, wt_word channels) {
  return plane / channels * tensor->stride[0] + plane % channels * tensor->stride[1];
}

static void map_planes(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_channel_map *map = job->map;
  (void)thread;
  for (wt_word plane = begin; plane < end; plane++) {
    const wt_word c = plane % job->channels;
    float *out = wt_element(map->out, plane_offset(map->out, plane, job->channels));
    const float *x = wt_element(map->x, plane_offset(map->x, plane, job->channels));
    if (wt_is_present(map->g))
      backward_float(out, wt_element(map->g, plane_offset(map->g, plane, job->channels)), x,
                     job->run, job->center[c], job->scale[c], job->average[c], job->slope[c]);
    else
      forward_float(out, x, job->run, job->center[c], job->scale[c], job->shift[c]);
  }
}

static void map_rows(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_channel_map *map = job->map;
  const wt_word channels = job->channels;
  const float *restrict center = job->center, *restrict scale = job->scale;
  const float *restrict shift = job->shift, *restrict average = job->average;
  const float *restrict slope = job->slope;
  (void)thread;
  for (wt_word row = begin; row < end; row++) {
    float *out = wt_element(map->out, row * wt_row_stride(map->out));
    const float *x = wt_element(map->x, row * wt_row_stride(map->x));
    if (wt_is_present(map->g)) {
      const float *g = wt_element(map->g, row * wt_row_stride(map->g));
      for (wt_word c = 0; c < channels; c++)
        out[c] = (g[c] - average[c] - (x[c] - center[c]) * slope[c]) * scale[c];
    } else {
      for (wt_word c = 0; c < channels; c++) out[c] = (x[c] - center[c]) * scale[c] + shift[c];
    }
  }
}

static void map_any(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_channel_map *map = job->map;
  (void)thread;
  for (wt_word plane = begin; plane < end; plane++)
    for (wt_word first = 0, n; first < job->run; first += n) {
      double x[CHUNK], g[CHUNK];
      const wt_word c = plane % job->channels;
      n = wt_min_word(CHUNK, job->run - first);
#define AT(tensor) \
  wt_element(tensor, plane_offset(tensor, plane, job->channels) + first * (tensor)->stride[2])
      wt_load_doubles(x, AT(map->x), map->x->dtype, map->x->stride[2], n);
      if (wt_is_present(map->g)) {
        wt_load_doubles(g, AT(map->g), map->g->dtype, map->g->stride[2], n);
        backward_double(x, g, x, n, map->center[c], map->scale[c], map->average[c], map->slope[c]);
      } else {
        forward_double(x, x, n, map->center[c], map->scale[c], map->shift[c]);
      }
      wt_store_doubles(AT(map->out), map->out->dtype, map->out->stride[2], x, n);
#undef AT
    }
}

/* The map's vectors in float; what the rounding of center loses is made up for in shift or average.
 * `to` is (4, C). */
static void round_vectors(job *job, float *to) {
  const wt_channel_map *map = job->map;
  const wt_word channels = job->channels;
  float *center = to, *scale = center + channels, *slope = scale + channels;
  float *rest = slope + channels; /* shift or average */
  for (wt_word c = 0; c < channels; c++) {
    center[c] = (float)map->center[c];
    scale[c] = (float)map->scale[c];
    const double lost = (double)center[c] - map->center[c];
    if (wt_is_present(map->g)) {
      slope[c] = (float)map->slope[c];
      rest[c] = (float)(map->average[c] + lost * map->slope[c]);
    } else {
      rest[c] = (float)(map->shift[c] + lost * map->scale[c]);
    }
  }
  job->center = center;
  job->scale = scale;
  job->slope = slope;
  job->shift = job->average = rest;
}

int wt_channel_map_run(const wt_channel_map *map) {
  const wt_tensor *tensors[] = {map->out, map->x, map->g};
  const wt_channel_form form = wt_channel_form_of(3, tensors);
  const wt_word batch = map->x->size[0], channels = map->x->size[1], run = map->x->size[2];
  if (batch == 0 || channels == 0 || run == 0) return WT_OK;
  job job = {.map = map, .channels = channels, .run = run};
  if (form == WT_CHANNELS_ANY) {
    wt_parallel_for(batch * channels, wt_grain(run), map_any, &job);
    return WT_OK;
  }
  float *vectors = wt_alloc_many((uint64_t)channels, 4 * sizeof *vectors);
  if (!vectors) return WT_OUT_OF_MEMORY;
  round_vectors(&job, vectors);
  if (form == WT_CHANNELS_PLANES)
    wt_parallel_for(batch * channels, wt_grain(run), map_planes, &job);
  else
    wt_parallel_for(batch * run, wt_grain(channels), map_rows, &job);
  wt_free(vectors);
  return WT_OK;
}
