/* Attention by its definition: the scalar reference of blocks.c. */
#include <math.h>

#include "attention/attention.h"

static double at(const wt_tensor *tensor, const void *matrix, wt_word row, wt_word column) {
  const wt_word *stride = tensor->stride + tensor->ndim - 2;
  wt_word offset = row * stride[0] + column * stride[1];
  if (tensor->dtype == WT_BOOL) return ((const uint8_t *)matrix)[offset] ? 0 : -INFINITY;
  return (double)((const float *)matrix)[offset];
}

static void attend_row(const wt_attention_args *args, const wt_attention_sizes *sizes,
                       wt_word entry, wt_word row, double *weights) {
  const wt_word heads = sizes->heads, group = sizes->group, source = sizes->source;
  const void *query = wt_attention_matrix(&args->query, entry, heads, 1);
  const void *key = wt_attention_matrix(&args->key, entry, heads, group);
  const void *value = wt_attention_matrix(&args->value, entry, heads, group);
  float *out = wt_attention_matrix(&args->out, entry, heads, 1);
  double maximum = -INFINITY, sum = 0;
  for (wt_word s = 0; s < source; s++) {
    double score = 0;
    for (wt_word e = 0; e < sizes->width; e++)
      score += at(&args->query, query, row, e) * at(&args->key, key, s, e);
    score *= args->scale;
    if (wt_is_present(&args->mask)) {
      double mask = at(&args->mask, wt_attention_matrix(&args->mask, entry, heads, 1), row, s);
      score = args->mask.dtype == WT_BOOL && mask != 0 ? mask : score + mask;
    }
    if (args->causal && s > row) score = -INFINITY;
    weights[s] = score;
    if (score > maximum || score != score) maximum = score;
  }
  if (maximum == -INFINITY) maximum = 0; /* no key is seen: all weights are 0 */
  for (wt_word s = 0; s < source; s++) sum += weights[s] = exp(weights[s] - maximum);
  const wt_word *stride = args->out.stride + args->out.ndim - 2;
  for (wt_word c = 0; c < sizes->value_width; c++) {
    double mixed = 0;
    for (wt_word s = 0; s < source; s++) mixed += weights[s] * at(&args->value, value, s, c);
    out[row * stride[0] + c * stride[1]] = sum == 0 ? 0.0f : (float)(mixed / sum);
  }
}

int wt_attention_reference(const wt_attention_args *args, const wt_attention_sizes *sizes) {
  double *weights = wt_alloc_many((uint64_t)sizes->source + 1, sizeof(double));
  if (!weights) return WT_OUT_OF_MEMORY;
  for (wt_word entry = 0; entry < sizes->entries; entry++)
    for (wt_word row = 0; row < sizes->length; row++) attend_row(args, sizes, entry, row, weights);
  wt_free(weights);
  return WT_OK;
}
