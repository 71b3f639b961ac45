/* Average pooling, adaptive or not, over input (N, C, D, H, W), and its gradient. */
#include "index/element.h"
#include "pool/vectors.h"

typedef struct average_job {
  const wt_tensor *large; /* input, or the gradient of it */
  const wt_tensor *small; /* out, or the gradient of it */
  const wt_windows *windows;
  const wt_divisor *divisor;
} average_job;

#define CHANNEL_GROUP 16

/* Channels that one item of a job covers: neighbours are handled together, others one by one. */
static wt_word channels_per_item(const average_job *job) {
  return job->large->stride[1] == 1 && job->small->stride[1] == 1 ? CHANNEL_GROUP : 1;
}

/* Position of the window of an output: where it lies, and its divisor. */
typedef struct average_window {
  wt_window d, h, w;
  double divisor;
} average_window;

static average_window window_at(const average_job *job, wt_word od, wt_word oh, wt_word ow) {
  average_window window = {job->windows->table[0][od], job->windows->table[1][oh],
                           job->windows->table[2][ow], 1};
  window.divisor = wt_divisor_of(job->divisor, window.d, window.h, window.w);
  return window;
}

static bool is_empty(const average_window *window) {
  return window->d.start >= window->d.end || window->h.start >= window->h.end ||
         window->w.start >= window->w.end;
}

/* ---- forward -------------------------------------------------------------------------------- */
/* The sum of a row of `count` elements. */
WT_INLINE double sum_row(const char *row, wt_word count, wt_word stride, wt_word dtype,
                         wt_word bytes) {
  double sum = 0;
  wt_word i = 0;
#if !WT_USE_REFERENCE
  if (dtype == WT_FLOAT32 && stride == 1 && count >= 8) {
    wt_f64x2 low = {0, 0}, high = {0, 0};
    for (; i + 4 <= count; i += 4) {
      wt_f32x4 values = wt_f32x4_load((const float *)row + i);
      low += wt_f64x2_from_low(values);
      high += wt_f64x2_from_high(values);
    }
    sum = wt_f64x2_sum(low + high);
  }
#endif
  for (; i < count; i++) sum += wt_element_load(row + i * stride * bytes, dtype);
  return sum;
}

/* One average per channel, channel after channel. */
WT_INLINE void average_one(const average_window *window, const wt_tensor *input, const char *plane,
                           char *out, wt_word dtype, wt_word bytes) {
  double sum = 0;
  if (is_empty(window)) {
    wt_element_store(out, dtype, 0);
    return;
  }
  for (wt_word d = window->d.start; d < window->d.end; d++) {
    for (wt_word h = window->h.start; h < window->h.end; h++) {
      wt_word at = d * input->stride[2] + h * input->stride[3] + window->w.start * input->stride[4];
      sum += sum_row(plane + at * bytes, window->w.end - window->w.start, input->stride[4], dtype,
                     bytes);
    }
  }
  wt_element_store(out, dtype, sum / window->divisor);
}

#if !WT_USE_REFERENCE
/* Four neighbouring float32 channels of one window. */
WT_INLINE void average_four(const average_window *window, const wt_tensor *input,
                            const float *plane, float *out) {
  wt_f32x4 sum = {0, 0, 0, 0};
  for (wt_word d = window->d.start; d < window->d.end; d++) {
    for (wt_word h = window->h.start; h < window->h.end; h++) {
      const float *row = plane + d * input->stride[2] + h * input->stride[3];
      for (wt_word w = window->w.start; w < window->w.end; w++) {
        sum += wt_f32x4_load(row + w * input->stride[4]);
      }
    }
  }
  if (is_empty(window)) {
    wt_f32x4_store(out, sum);
  } else {
    wt_f32x4_store(out, sum / wt_f32x4_splat((float)window->divisor));
  }
}
#endif

/* One output position, for channels c_begin..c_end-1: `input` and `out` lie at channel 0. */
WT_INLINE void average_position(const average_job *job, const average_window *window,
                                const char *input, char *out, wt_word c_begin, wt_word c_end,
                                wt_word dtype, wt_word bytes) {
  const wt_tensor *large = job->large;
  wt_word c = c_begin;
#if !WT_USE_REFERENCE
  if (dtype == WT_FLOAT32 && channels_per_item(job) > 1) {
    for (; c + 4 <= c_end; c += 4) {
      average_four(window, large, (const float *)input + c, (float *)out + c);
    }
  }
#endif
  for (; c < c_end; c++) {
    average_one(window, large, input + c * large->stride[1] * bytes,
                out + c * job->small->stride[1] * bytes, dtype, bytes);
  }
}

/* Averages the outputs of `span` in a row of one channel, by fours; returns whether it did. */
static bool average_span(const average_job *job, const float *input, float *out, wt_word od,
                         wt_word oh, wt_span span) {
  const wt_tensor *in = job->large;
  average_window window = window_at(job, od, oh, span.begin);
  if (WT_USE_REFERENCE || span.begin == span.end || is_empty(&window)) return false;
  wt_f32x4 divisor = wt_f32x4_splat((float)window.divisor);
  for (wt_word ow = span.begin; ow < span.end; ow += 4) {
    wt_word o = ow + 4 <= span.end ? ow : span.end - 4; /* the last block may overlap */
    wt_f32x4 sum = {0, 0, 0, 0};
    wt_word start = window.w.start + (o - span.begin) * span.step;
    for (wt_word d = window.d.start; d < window.d.end; d++) {
      for (wt_word h = window.h.start; h < window.h.end; h++) {
        const float *row = input + d * in->stride[2] + h * in->stride[3] + start;
        for (wt_word w = 0; w < window.w.end - window.w.start; w++) {
          sum += wt_pool_load_four(row + w, span.step);
        }
      }
    }
    wt_f32x4_store(out + o, sum / divisor);
  }
  return true;
}

/* The outputs that average_span may take: none where rows of one channel are not dense. */
static wt_span span_of_rows(const average_job *job) {
  const wt_tensor *in = job->large, *out = job->small;
  bool is_dense = in->dtype == WT_FLOAT32 && in->stride[4] == 1 && out->stride[4] == 1;
  if (!is_dense || channels_per_item(job) > 1) return (wt_span){0, 0, 1};
  return wt_uniform_span(job->windows->table[2], out->size[4]);
}

WT_INLINE void average_channels(const average_job *job, wt_word n, wt_word c_begin, wt_word c_end,
                                wt_word dtype, wt_word bytes) {
  const wt_tensor *in = job->large, *out = job->small;
  const char *input = (const char *)in->data + n * in->stride[0] * bytes;
  wt_span span = span_of_rows(job);
  for (wt_word od = 0; od < out->size[2]; od++) {
    for (wt_word oh = 0; oh < out->size[3]; oh++) {
      wt_word at = n * out->stride[0] + od * out->stride[2] + oh * out->stride[3];
      char *row = (char *)out->data + at * bytes;
      bool has_span = dtype == WT_FLOAT32 && span.end > span.begin &&
                      average_span(job, (const float *)input + c_begin * in->stride[1],
                                   (float *)row + c_begin * out->stride[1], od, oh, span);
      for (wt_word ow = 0; ow < out->size[4]; ow++) {
        if (has_span && ow == span.begin) ow = span.end;
        if (ow == out->size[4]) break;
        average_window window = window_at(job, od, oh, ow);
        average_position(job, &window, input, row + ow * out->stride[4] * bytes, c_begin, c_end,
                         dtype, bytes);
      }
    }
  }
}

/* ---- backward ------------------------------------------------------------------------------- */
/* Adds one output's gradients to the positions of its window; `grad_input` lies at channel 0,
 * share[i] belongs to channel c_begin + i. */
WT_INLINE void spread_window(const wt_tensor *gi, char *grad_input, const average_window *window,
                             const double *share, wt_word c_begin, wt_word c_end, wt_word dtype,
                             wt_word bytes) {
  for (wt_word d = window->d.start; d < window->d.end; d++) {
    for (wt_word h = window->h.start; h < window->h.end; h++) {
      for (wt_word w = window->w.start; w < window->w.end; w++) {
        wt_word at = d * gi->stride[2] + h * gi->stride[3] + w * gi->stride[4];
        for (wt_word c = c_begin; c < c_end; c++) {
          char *to = grad_input + (at + c * gi->stride[1]) * bytes;
          if (dtype == WT_FLOAT32) {
            *(float *)to += (float)share[c - c_begin];
          } else {
            wt_element_store(to, dtype, wt_element_load(to, dtype) + share[c - c_begin]);
          }
        }
      }
    }
  }
}

static void clear_channels(const wt_tensor *gi, char *grad_input, wt_word c_begin, wt_word c_end,
                           wt_word bytes) {
  bool is_dense = gi->stride[4] == 1, is_inner = gi->stride[1] == 1;
  for (wt_word d = 0; d < gi->size[2]; d++) {
    for (wt_word h = 0; h < gi->size[3]; h++) {
      char *row = grad_input + (d * gi->stride[2] + h * gi->stride[3]) * bytes;
      for (wt_word c = c_begin; is_dense && c < c_end; c++) {
        memset(row + c * gi->stride[1] * bytes, 0, (size_t)(gi->size[4] * bytes));
      }
      for (wt_word w = 0; !is_dense && w < gi->size[4]; w++) {
        char *to = row + w * gi->stride[4] * bytes;
        if (is_inner) {
          memset(to + c_begin * bytes, 0, (size_t)((c_end - c_begin) * bytes));
          continue;
        }
        for (wt_word c = c_begin; c < c_end; c++) {
          memset(to + c * gi->stride[1] * bytes, 0, (size_t)bytes);
        }
      }
    }
  }
}

WT_INLINE void spread_channels(const average_job *job, wt_word n, wt_word c_begin, wt_word c_end,
                               wt_word dtype, wt_word bytes) {
  const wt_tensor *gi = job->large, *go = job->small;
  char *base = (char *)gi->data + n * gi->stride[0] * bytes;
  clear_channels(gi, base, c_begin, c_end, bytes);
  for (wt_word od = 0; od < go->size[2]; od++) {
    for (wt_word oh = 0; oh < go->size[3]; oh++) {
      for (wt_word ow = 0; ow < go->size[4]; ow++) {
        average_window window = window_at(job, od, oh, ow);
        const char *from = (const char *)go->data + (n * go->stride[0] + od * go->stride[2] +
                                                     oh * go->stride[3] + ow * go->stride[4]) *
                                                        bytes;
        double share[CHANNEL_GROUP];
        for (wt_word c = c_begin; c < c_end; c++) {
          share[c - c_begin] =
              wt_element_load(from + c * go->stride[1] * bytes, dtype) / window.divisor;
        }
        if (c_end == c_begin + 1) { /* without the loop over channels */
          spread_window(gi, base, &window, share, c_begin, c_begin + 1, dtype, bytes);
        } else {
          spread_window(gi, base, &window, share, c_begin, c_end, dtype, bytes);
        }
      }
    }
  }
}

/* ---- items: (n, group of channels) ---------------------------------------------------------- */
typedef void (*channels_fn)(const average_job *job, wt_word n, wt_word c_begin, wt_word c_end);

static void average_any(const average_job *job, wt_word n, wt_word c_begin, wt_word c_end) {
  wt_word dtype = job->large->dtype;
  if (dtype == WT_FLOAT32) {
    average_channels(job, n, c_begin, c_end, WT_FLOAT32, 4);
  } else {
    average_channels(job, n, c_begin, c_end, dtype, (wt_word)wt_dtype_size(dtype));
  }
}

static void spread_any(const average_job *job, wt_word n, wt_word c_begin, wt_word c_end) {
  wt_word dtype = job->large->dtype;
  if (dtype == WT_FLOAT32) {
    spread_channels(job, n, c_begin, c_end, WT_FLOAT32, 4);
  } else {
    spread_channels(job, n, c_begin, c_end, dtype, (wt_word)wt_dtype_size(dtype));
  }
}

static void for_items(const average_job *job, wt_word begin, wt_word end, channels_fn fn) {
  wt_word channels = job->large->size[1], group = channels_per_item(job);
  wt_word groups = (channels + group - 1) / group;
  for (wt_word item = begin; item < end; item++) {
    wt_word n = item / groups, c = item % groups * group;
    fn(job, n, c, c + group < channels ? c + group : channels);
  }
}

static void average_items(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  for_items(context, begin, end, average_any);
}

static void spread_items(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  for_items(context, begin, end, spread_any);
}

/* ---- the kernels ---------------------------------------------------------------------------- */
/* Without a geometry the windows are adaptive. `fn` averages large into small, or spreads back. */
static int run(const wt_tensor *large, const wt_tensor *small, const wt_pool_geometry *geometry,
               wt_divisor divisor, wt_range_fn fn) {
  wt_windows windows;
  if (!wt_dtype_size(large->dtype) || large->dtype == WT_BOOL) {
    return wt_fail(WT_UNSUPPORTED_DTYPE, large->dtype, 0, 0);
  }
  if (!wt_pool_shapes_match(large, small)) return wt_fail(WT_BAD_ARGUMENT, 0, large->ndim, 0);
  if (!large->size[0] || !large->size[1]) return WT_OK;
  int status = geometry ? wt_windows_of_geometry(&windows, large, small, geometry)
                        : wt_windows_adaptive(&windows, large, small);
  if (status) return status;
  const average_job job = {large, small, &windows, &divisor};
  wt_word group = channels_per_item(&job);
  wt_word items = large->size[0] * ((large->size[1] + group - 1) / group);
  wt_word work = (large->numel + small->numel) / items;
  wt_parallel_for(items, 16384 / (work + 1) + 1, fn, (void *)&job);
  wt_windows_free(&windows);
  return WT_OK;
}

WT_KERNEL(avg_pool, 1) {
  const wt_avg_pool_args *args = arguments;
  const wt_pool_geometry geometry = WT_POOL_GEOMETRY_OF(args);
  const wt_divisor divisor = {args->divisor_override, args->count_include_pad != 0};
  return run(&args->input, &args->out, &geometry, divisor, average_items);
}

WT_KERNEL(avg_pool_backward, 1) {
  const wt_avg_pool_backward_args *args = arguments;
  const wt_pool_geometry geometry = WT_POOL_GEOMETRY_OF(args);
  const wt_divisor divisor = {args->divisor_override, args->count_include_pad != 0};
  return run(&args->grad_input, &args->grad_out, &geometry, divisor, spread_items);
}

WT_KERNEL(adaptive_avg_pool, 1) {
  const wt_adaptive_avg_pool_args *args = arguments;
  return run(&args->input, &args->out, NULL, (wt_divisor){0, false}, average_items);
}

WT_KERNEL(adaptive_avg_pool_backward, 1) {
  const wt_adaptive_avg_pool_backward_args *args = arguments;
  return run(&args->grad_input, &args->grad_out, NULL, (wt_divisor){0, false}, spread_items);
}
