/* Stable radix sort of keys with their indices, least significant digit first. */
#include "index/order.h"

#define INSERTION_LIMIT 48

static void insertion_sort(uint64_t *keys, uint32_t *indices, wt_word count) {
  for (wt_word i = 1; i < count; i++) {
    uint64_t key = keys[i];
    uint32_t index = indices[i];
    wt_word at = i;
    for (; at > 0 && keys[at - 1] > key; at--) {
      keys[at] = keys[at - 1];
      indices[at] = indices[at - 1];
    }
    keys[at] = key;
    indices[at] = index;
  }
}

/* One pass by the eight bits from `shift`; false where all keys share them, and nothing is done. */
static bool radix_pass(const uint64_t *keys, const uint32_t *indices, uint64_t *to_keys,
                       uint32_t *to_indices, wt_word count, int shift) {
  uint32_t histogram[256] = {0};
  for (wt_word i = 0; i < count; i++) histogram[(keys[i] >> shift) & 255]++;
  if (histogram[(keys[0] >> shift) & 255] == (uint64_t)count) return false;
  uint32_t begin = 0;
  for (int digit = 0; digit < 256; digit++) {
    uint32_t size = histogram[digit];
    histogram[digit] = begin;
    begin += size;
  }
  for (wt_word i = 0; i < count; i++) {
    uint32_t at = histogram[(keys[i] >> shift) & 255]++;
    to_keys[at] = keys[i];
    to_indices[at] = indices[i];
  }
  return true;
}

void wt_order_sort(uint64_t *keys, uint32_t *indices, uint64_t *spare_keys, uint32_t *spare_indices,
                   wt_word count, int bits) {
  if (count <= INSERTION_LIMIT) {
    insertion_sort(keys, indices, count);
    return;
  }
  uint64_t *from_keys = keys, *to_keys = spare_keys;
  uint32_t *from_indices = indices, *to_indices = spare_indices;
  for (int shift = 0; shift < bits; shift += 8) {
    if (!radix_pass(from_keys, from_indices, to_keys, to_indices, count, shift)) continue;
    uint64_t *swap_keys = from_keys;
    uint32_t *swap_indices = from_indices;
    from_keys = to_keys, from_indices = to_indices;
    to_keys = swap_keys, to_indices = swap_indices;
  }
  if (from_keys != keys) {
    memcpy(keys, from_keys, (size_t)count * sizeof *keys);
    memcpy(indices, from_indices, (size_t)count * sizeof *indices);
  }
}
