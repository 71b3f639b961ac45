/* Average pooling, adaptive or not, over input (N, C, D, H, W), and its gradient. */
#include "index/element.h"
#include "pool/windows.h"

typedef struct average_job {
  const wt_tensor *large; /* input, or the gradient of it */
  const wt_tensor *small; /* out, or the gradient of it */
  const wt_windows *windows;
  const wt_divisor *divisor;
} average_job;

/* Channels that one item of a job covers: neighbours are handled together, others one by one. */
static wt_word channels_per_item(const average_job *job) {
  return job->large->stride[1] == 1 && job->small->stride[1] == 1 ? 16 : 1;
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
      wt_word at = d * input->stride[2] + h * input->stride[3] +
                   window->w.start * input->stride[4];
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

WT_INLINE void average_channels(const average_job *job, wt_word n, wt_word c_begin, wt_word c_end,
                                wt_word dtype, wt_word bytes) {
  const wt_tensor *in = job->large, *out = job->small;
  bool neighbours = channels_per_item(job) > 1;
  for (wt_word od = 0; od < out->size[2]; od++) {
    for (wt_word oh = 0; oh < out->size[3]; oh++) {
      for (wt_word ow = 0; ow < out->size[4]; ow++) {
        average_window window = window_at(job, od, oh, ow);
        const char *input = (const char *)in->data + n * in->stride[0] * bytes;
        char *to = (char *)out->data + (n * out->stride[0] + od * out->stride[2] +
                                        oh * out->stride[3] + ow * out->stride[4]) * bytes;
        wt_word c = c_begin;
#if !WT_USE_REFERENCE
        if (dtype == WT_FLOAT32 && neighbours) {
          for (; c + 4 <= c_end; c += 4) {
            average_four(&window, in, (const float *)input + c, (float *)to + c);
          }
        }
#else
        (void)neighbours;
#endif
        for (; c < c_end; c++) {
          average_one(&window, in, input + c * in->stride[1] * bytes,
                      to + c * out->stride[1] * bytes, dtype, bytes);
        }
      }
    }
  }
}

/* ---- backward ------------------------------------------------------------------------------- */
WT_INLINE void spread_channels(const average_job *job, wt_word n, wt_word c_begin, wt_word c_end,
                               wt_word dtype, wt_word bytes) {
  const wt_tensor *gi = job->large, *go = job->small;
  char *base = (char *)gi->data + n * gi->stride[0] * bytes;
  for (wt_word d = 0; d < gi->size[2]; d++) {
    for (wt_word h = 0; h < gi->size[3]; h++) {
      for (wt_word w = 0; w < gi->size[4]; w++) {
        wt_word at = d * gi->stride[2] + h * gi->stride[3] + w * gi->stride[4];
        for (wt_word c = c_begin; c < c_end; c++) {
          memset(base + (at + c * gi->stride[1]) * bytes, 0, (size_t)bytes);
        }
      }
    }
  }
  for (wt_word od = 0; od < go->size[2]; od++) {
    for (wt_word oh = 0; oh < go->size[3]; oh++) {
      for (wt_word ow = 0; ow < go->size[4]; ow++) {
        average_window window = window_at(job, od, oh, ow);
        const char *from = (const char *)go->data +
                           (n * go->stride[0] + od * go->stride[2] + oh * go->stride[3] +
                            ow * go->stride[4]) * bytes;
        double share[16]; /* channels_per_item at most */
        for (wt_word c = c_begin; c < c_end; c++) {
          share[c - c_begin] =
              wt_element_load(from + c * go->stride[1] * bytes, dtype) / window.divisor;
        }
        for (wt_word d = window.d.start; d < window.d.end; d++) {
          for (wt_word h = window.h.start; h < window.h.end; h++) {
            for (wt_word w = window.w.start; w < window.w.end; w++) {
              wt_word at = d * gi->stride[2] + h * gi->stride[3] + w * gi->stride[4];
              for (wt_word c = c_begin; c < c_end; c++) {
                char *to = base + (at + c * gi->stride[1]) * bytes;
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

static int run_items(const average_job *job, wt_range_fn fn) {
  if (!job->large->numel && !job->small->numel) return WT_OK;
  wt_word group = channels_per_item(job);
  wt_word groups = (job->large->size[1] + group - 1) / group;
  wt_word items = job->large->size[0] * groups;
  if (!items) return WT_OK;
  wt_word work = (job->large->numel + job->small->numel) / items;
  wt_parallel_for(items, 16384 / (work + 1) + 1, fn, (void *)job);
  return WT_OK;
}

int wt_average(const wt_tensor *out, const wt_tensor *input, const wt_windows *windows,
               const wt_divisor *divisor) {
  const average_job job = {input, out, windows, divisor};
  return run_items(&job, average_items);
}

int wt_average_backward(const wt_tensor *grad_input, const wt_tensor *grad_out,
                        const wt_windows *windows, const wt_divisor *divisor) {
  const average_job job = {grad_input, grad_out, windows, divisor};
  return run_items(&job, spread_items);
}

/* ---- the kernels ---------------------------------------------------------------------------- */
static int check_average(const wt_tensor *large, const wt_tensor *small) {
  if (!wt_dtype_size(large->dtype) || large->dtype == WT_BOOL) {
    return wt_fail(WT_UNSUPPORTED_DTYPE, large->dtype, 0, 0);
  }
  if (!wt_pool_shapes_match(large, small)) return wt_fail(WT_BAD_ARGUMENT, 0, large->ndim, 0);
  return WT_OK;
}

typedef int (*average_fn)(const wt_tensor *, const wt_tensor *, const wt_windows *,
                          const wt_divisor *);

/* `first` and `second` are the kernel's output and input; `large` and `small` say which is which. */
static int run_average(const wt_tensor *first, const wt_tensor *second, const wt_tensor *large,
                       const wt_tensor *small, const wt_pool_geometry *geometry,
                       wt_divisor divisor, average_fn fn) {
  wt_windows windows;
  int status = check_average(large, small);
  if (status) return status;
  status = geometry ? wt_windows_of_geometry(&windows, large, small, geometry)
                    : wt_windows_adaptive(&windows, large, small);
  if (status) return status;
  status = fn(first, second, &windows, &divisor);
  wt_windows_free(&windows);
  return status;
}

WT_KERNEL(avg_pool, 1) {
  const wt_avg_pool_args *args = arguments;
  const wt_pool_geometry geometry = WT_POOL_GEOMETRY_OF(args);
  const wt_divisor divisor = {args->divisor_override, args->count_include_pad != 0};
  return run_average(&args->out, &args->input, &args->input, &args->out, &geometry, divisor,
                     wt_average);
}

WT_KERNEL(avg_pool_backward, 1) {
  const wt_avg_pool_backward_args *args = arguments;
  const wt_pool_geometry geometry = WT_POOL_GEOMETRY_OF(args);
  const wt_divisor divisor = {args->divisor_override, args->count_include_pad != 0};
  return run_average(&args->grad_input, &args->grad_out, &args->grad_input, &args->grad_out,
                     &geometry, divisor, wt_average_backward);
}

WT_KERNEL(adaptive_avg_pool, 1) {
  const wt_adaptive_avg_pool_args *args = arguments;
  const wt_divisor divisor = {0, false};
  return run_average(&args->out, &args->input, &args->input, &args->out, NULL, divisor,
                     wt_average);
}

WT_KERNEL(adaptive_avg_pool_backward, 1) {
  const wt_adaptive_avg_pool_backward_args *args = arguments;
  const wt_divisor divisor = {0, false};
  return run_average(&args->grad_input, &args->grad_out, &args->grad_input, &args->grad_out, NULL,
                     divisor, wt_average_backward);
}
