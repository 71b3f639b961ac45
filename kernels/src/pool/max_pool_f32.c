/* Max pooling of float32 in vectors: windows of 2 x 2, dense rows, and channels last. */
#include <math.h>

#include "pool/max_pool.h"
#include "pool/vectors.h"

/* ---- windows of 2 x 2 with stride 2, dense rows ---------------------------------------------- */
/* Four neighbouring outputs from two rows of eight inputs; `index` is that of top[0]. */
WT_INLINE void max_2x2_block(const float *top, const float *bottom, wt_word width, wt_word index,
                             float *out, int64_t *indices) {
  wt_f32x4 t0 = wt_f32x4_load(top), t1 = wt_f32x4_load(top + 4);
  wt_f32x4 b0 = wt_f32x4_load(bottom), b1 = wt_f32x4_load(bottom + 4);
  wt_f32x4 taps[4] = {
      __builtin_shufflevector(t0, t1, 0, 2, 4, 6), __builtin_shufflevector(t0, t1, 1, 3, 5, 7),
      __builtin_shufflevector(b0, b1, 0, 2, 4, 6), __builtin_shufflevector(b0, b1, 1, 3, 5, 7)};
  const int32_t offset[4] = {0, 1, (int32_t)width, (int32_t)width + 1};
  wt_f32x4 best = taps[0];
  wt_i32x4 best_offset = {0, 0, 0, 0};
  for (int i = 1; i < 4; i++) {
    wt_i32x4 exceeds = (taps[i] > best) | (taps[i] != taps[i]);
    best = wt_f32x4_select(exceeds, taps[i], best);
    best_offset = wt_i32x4_select(exceeds, wt_i32x4_splat(offset[i]), best_offset);
  }
  wt_f32x4_store(out, best);
  if (!indices) return;
  best_offset += wt_i32x4_splat((int32_t)index) + (wt_i32x4){0, 2, 4, 6};
  wt_i32x4 zero = {0, 0, 0, 0};
  wt_i32x4_store(indices, __builtin_shufflevector(best_offset, zero, 0, 4, 1, 5));
  wt_i32x4_store(indices + 2, __builtin_shufflevector(best_offset, zero, 2, 6, 3, 7));
}

static void max_planes_2x2(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const wt_max_job *job = context;
  const wt_tensor *out = job->out, *in = job->input, *indices = job->indices;
  wt_word width = in->size[4], out_width = out->size[4];
  for (wt_word plane = begin; plane < end; plane++) {
    wt_word n = plane / in->size[1], c = plane % in->size[1];
    for (wt_word oh = 0; oh < out->size[3]; oh++) {
      const float *top =
          (const float *)in->data + n * in->stride[0] + c * in->stride[1] + 2 * oh * in->stride[3];
      float *to =
          (float *)out->data + n * out->stride[0] + c * out->stride[1] + oh * out->stride[3];
      int64_t *index = NULL;
      if (wt_is_present(indices)) {
        index = (int64_t *)indices->data + n * indices->stride[0] + c * indices->stride[1] +
                oh * indices->stride[3];
      }
      for (wt_word ow = 0; ow < out_width; ow += 4) {
        wt_word o = ow + 4 <= out_width ? ow : out_width - 4; /* the last block may overlap */
        max_2x2_block(top + 2 * o, top + in->stride[3] + 2 * o, width, 2 * oh * width + 2 * o,
                      to + o, index ? index + o : NULL);
      }
    }
  }
}

static bool are_pairs(const wt_window *table, wt_word count) {
  for (wt_word o = 0; o < count; o++) {
    if (table[o].start != 2 * o || table[o].end != 2 * o + 2) return false;
  }
  return true;
}

static bool is_dense_in(const wt_tensor *tensor, int dimension) {
  return !wt_is_present(tensor) || tensor->stride[dimension] == 1 || tensor->size[dimension] == 1;
}

static bool suits_2x2(const wt_max_job *job) {
  const wt_windows *windows = job->windows;
  return job->input->size[2] == 1 && job->out->size[2] == 1 && windows->dilation[1] == 1 &&
         windows->dilation[2] == 1 && are_pairs(windows->table[1], job->out->size[3]) &&
         are_pairs(windows->table[2], job->out->size[4]);
}

/* ---- dense rows, any window ------------------------------------------------------------------ */
/* Four neighbouring outputs, none of whose windows is clipped in its row; `step` is the distance
 * of the windows. */
WT_INLINE void max_row_block(const wt_max_job *job, const float *input, wt_window wd, wt_window wh,
                             wt_window ww, wt_word step, float *out, int64_t *indices) {
  const wt_tensor *in = job->input;
  const wt_word *dilation = job->windows->dilation;
  wt_f32x4 best = wt_f32x4_splat(-INFINITY);
  wt_i32x4 best_index =
      wt_i32x4_splat((int32_t)((wd.start * in->size[3] + wh.start) * in->size[4] + ww.start));
  for (wt_word d = wd.start; d < wd.end; d += dilation[0]) {
    for (wt_word h = wh.start; h < wh.end; h += dilation[1]) {
      const float *row = input + d * in->stride[2] + h * in->stride[3];
      int32_t row_index = (int32_t)((d * in->size[3] + h) * in->size[4]);
      for (wt_word w = ww.start; w < ww.end; w += dilation[2]) {
        wt_f32x4 tap = wt_pool_load_four(row + w, step);
        wt_i32x4 exceeds = (tap > best) | (tap != tap);
        best = wt_f32x4_select(exceeds, tap, best);
        best_index = wt_i32x4_select(exceeds, wt_i32x4_splat(row_index + (int32_t)w), best_index);
      }
    }
  }
  wt_f32x4_store(out, best);
  if (!indices) return;
  bool empty = wd.start >= wd.end || wh.start >= wh.end || ww.start >= ww.end;
  for (int i = 0; i < 4; i++) indices[i] = empty ? -1 : best_index[i] + i * (int32_t)step;
}

static void max_row(const wt_max_job *job, const float *input, wt_word od, wt_word oh, float *out,
                    int64_t *indices, wt_span span) {
  wt_window wd = job->windows->table[0][od], wh = job->windows->table[1][oh];
  const wt_window *table = job->windows->table[2];
  for (wt_word ow = 0; ow < job->out->size[4];) {
    if (ow < span.begin || ow >= span.end) {
      wt_max_window_f32(job, input, wd, wh, table[ow], out + ow, indices ? indices + ow : NULL);
      ow++;
      continue;
    }
    wt_word o = ow + 4 <= span.end ? ow : span.end - 4; /* the last block may overlap */
    max_row_block(job, input, wd, wh, table[o], span.step, out + o, indices ? indices + o : NULL);
    ow = o + 4;
  }
}

/* Planes whose rows are dense in input, out and indices. */
static void max_planes_rows(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const wt_max_job *job = context;
  const wt_tensor *out = job->out, *in = job->input, *indices = job->indices;
  wt_span span = wt_uniform_span(job->windows->table[2], out->size[4]);
  for (wt_word plane = begin; plane < end; plane++) {
    wt_word n = plane / in->size[1], c = plane % in->size[1];
    const float *input = (const float *)in->data + n * in->stride[0] + c * in->stride[1];
    for (wt_word od = 0; od < out->size[2]; od++) {
      for (wt_word oh = 0; oh < out->size[3]; oh++) {
        float *to = (float *)out->data + n * out->stride[0] + c * out->stride[1] +
                    od * out->stride[2] + oh * out->stride[3];
        int64_t *index = NULL;
        if (wt_is_present(indices)) {
          index = (int64_t *)indices->data + n * indices->stride[0] + c * indices->stride[1] +
                  od * indices->stride[2] + oh * indices->stride[3];
        }
        max_row(job, input, od, oh, to, index, span);
      }
    }
  }
}

static bool suits_rows(const wt_max_job *job) {
  return job->out->size[4] >= 4 && is_dense_in(job->input, 4) && is_dense_in(job->out, 4) &&
         is_dense_in(job->indices, 4);
}

/* ---- channels last -------------------------------------------------------------------------- */
/* The first `count` of 4 * vectors neighbouring channels of one window; `vectors` is a constant. */
WT_INLINE void max_channels(const wt_max_job *job, const float *input, wt_window wd, wt_window wh,
                            wt_window ww, float *out, int64_t *indices, int vectors, int count) {
  const wt_tensor *in = job->input;
  const wt_word *dilation = job->windows->dilation;
  wt_f32x4 best[4];
  wt_i32x4 best_index[4];
  for (int v = 0; v < vectors; v++) {
    best[v] = wt_f32x4_splat(-INFINITY);
    best_index[v] =
        wt_i32x4_splat((int32_t)((wd.start * in->size[3] + wh.start) * in->size[4] + ww.start));
  }
  for (wt_word d = wd.start; d < wd.end; d += dilation[0]) {
    for (wt_word h = wh.start; h < wh.end; h += dilation[1]) {
      const float *row = input + d * in->stride[2] + h * in->stride[3];
      int32_t row_index = (int32_t)((d * in->size[3] + h) * in->size[4]);
      for (wt_word w = ww.start; w < ww.end; w += dilation[2]) {
        const float *p = row + w * in->stride[4];
        wt_i32x4 index = wt_i32x4_splat(row_index + (int32_t)w);
        WT_UNROLL
        for (int v = 0; v < vectors; v++) {
          wt_f32x4 tap = count < 4 ? wt_f32x4_load_part(p, count) : wt_f32x4_load(p + 4 * v);
          wt_i32x4 exceeds = (tap > best[v]) | (tap != tap);
          best[v] = wt_f32x4_select(exceeds, tap, best[v]);
          best_index[v] = wt_i32x4_select(exceeds, index, best_index[v]);
        }
      }
    }
  }
  for (int v = 0; v < vectors; v++) {
    if (count < 4) {
      wt_f32x4_store_part(out, best[v], count);
    } else {
      wt_f32x4_store(out + 4 * v, best[v]);
    }
  }
  if (!indices) return;
  bool empty = wd.start >= wd.end || wh.start >= wh.end || ww.start >= ww.end;
  for (int v = 0; v < vectors; v++) {
    wt_i32x4 lanes = empty ? wt_i32x4_splat(-1) : best_index[v];
    for (int i = 0; i < 4 && 4 * v + i < count; i++) indices[4 * v + i] = lanes[i];
  }
}

/* Items are the rows (n, od, oh) of the output. */
static void max_rows_channels_last(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const wt_max_job *job = context;
  const wt_tensor *out = job->out, *in = job->input, *indices = job->indices;
  const wt_windows *windows = job->windows;
  wt_word channels = in->size[1];
  for (wt_word item = begin; item < end; item++) {
    wt_word oh = item % out->size[3], od = item / out->size[3] % out->size[2];
    wt_word n = item / out->size[3] / out->size[2];
    const float *input = (const float *)in->data + n * in->stride[0];
    for (wt_word ow = 0; ow < out->size[4]; ow++) {
      float *to = (float *)out->data + n * out->stride[0] + od * out->stride[2] +
                  oh * out->stride[3] + ow * out->stride[4];
      int64_t *index = NULL;
      if (wt_is_present(indices)) {
        index = (int64_t *)indices->data + n * indices->stride[0] + od * indices->stride[2] +
                oh * indices->stride[3] + ow * indices->stride[4];
      }
      wt_window wd = windows->table[0][od], wh = windows->table[1][oh], ww = windows->table[2][ow];
      wt_word c = 0;
      for (; c + 16 <= channels; c += 16) {
        max_channels(job, input + c, wd, wh, ww, to + c, index ? index + c : NULL, 4, 16);
      }
      for (; c + 4 <= channels; c += 4) {
        max_channels(job, input + c, wd, wh, ww, to + c, index ? index + c : NULL, 1, 4);
      }
      if (c < channels) {
        max_channels(job, input + c, wd, wh, ww, to + c, index ? index + c : NULL, 1,
                     (int)(channels - c));
      }
    }
  }
}

static bool suits_channels_last(const wt_max_job *job) {
  return job->input->size[1] > 1 && job->input->stride[1] == 1 && is_dense_in(job->out, 1) &&
         is_dense_in(job->indices, 1);
}

/* ---- choice --------------------------------------------------------------------------------- */
bool wt_max_pool_f32(const wt_max_job *job) {
  const wt_tensor *out = job->out, *in = job->input;
  int64_t plane = (int64_t)in->size[2] * in->size[3] * in->size[4]; /* indices have 32 bits here */
  if (in->dtype != WT_FLOAT32 || plane >= INT32_MAX) return false;
  if (suits_channels_last(job)) {
    wt_word rows = out->size[0] * out->size[2] * out->size[3];
    wt_parallel_for(rows, wt_pool_grain(out->numel / rows), max_rows_channels_last, (void *)job);
    return true;
  }
  if (!suits_rows(job)) return false;
  wt_word planes = out->size[0] * out->size[1];
  wt_parallel_for(planes, wt_pool_grain(out->numel / planes),
                  suits_2x2(job) ? max_planes_2x2 : max_planes_rows, (void *)job);
  return true;
}
