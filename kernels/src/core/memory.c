/* The engine's one heap, and the port's functions on it. */
#include "core/core.h"
#include "core/heap.h"
#include "core/pool.h"

static wt_heap heap;
static bool opened;
static size_t maximum_pages; /* of the wasm memory; 0: unknown */

void wt_memory_set_maximum(size_t pages) { maximum_pages = pages; }

static wt_heap *the_heap(void) {
  if (opened) return &heap;
  wt_region region = wt_region_open();
  if (maximum_pages > 0 && maximum_pages < region.limit / WT_REGION_GRAIN) {
    region.limit = maximum_pages * WT_REGION_GRAIN;
  }
  wt_heap_open(&heap, &region);
  opened = true;
  return &heap;
}

void *wt_alloc(size_t bytes) {
  void *block = wt_heap_take(the_heap(), bytes);
  if (!block) wt_fail(WT_OUT_OF_MEMORY, (int64_t)bytes, 0, 0);
  return block;
}

void *wt_alloc_many(uint64_t count, uint64_t bytes) {
  uint64_t product;
  if (__builtin_mul_overflow(count, bytes, &product) || product > PTRDIFF_MAX) {
    double asked = (double)count * (double)bytes;
    wt_fail(WT_OUT_OF_MEMORY, asked < 0x1p63 ? (int64_t)asked : INT64_MAX, 0, 0);
    return NULL;
  }
  return wt_alloc((size_t)product);
}

void wt_free(void *block) { wt_heap_give(&heap, block); }

WT_EXPORT("wt_allocate") wt_word wt_allocate(wt_word bytes) {
  wt_forget_failure();
  return (wt_word)wt_alloc((size_t)bytes);
}

WT_EXPORT("wt_release") void wt_release(wt_word address) { wt_free((void *)address); }

WT_EXPORT("wt_memory_stat") double wt_memory_stat(wt_word which) {
  const wt_heap *h = the_heap();
  switch (which) {
    case 0:
      return (double)h->current;
    case 1:
      return (double)h->peak;
    case 2:
      return (double)(h->region.end - h->region.begin);
    case 3:
      return (double)(h->region.limit - h->region.begin);
  }
  return 0;
}

WT_EXPORT("wt_reset_peak_memory") void wt_reset_peak_memory(void) { heap.peak = heap.current; }

WT_EXPORT("wt_empty_cache") double wt_empty_cache(void) {
  return (double)wt_heap_empty_cache(the_heap());
}
