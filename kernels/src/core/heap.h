/* The allocator, from the inside: a heap over one region of addresses that grows at its end. The
 * engine has one (memory.c); tests make their own, over regions of their own.
 */
#ifndef WASM_TORCH_HEAP_H
#define WASM_TORCH_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Blocks are aligned to, and their sizes multiples of, this many bytes. */
#define WT_HEAP_ALIGNMENT 64
/* A region grows by multiples of this: a wasm page. */
#define WT_REGION_GRAIN 65536

typedef struct wt_region wt_region;
struct wt_region {
  uintptr_t begin; /* a multiple of WT_HEAP_ALIGNMENT */
  uintptr_t end;   /* usable up to here: a multiple of WT_REGION_GRAIN */
  uintptr_t limit; /* `end` will never exceed this */
  /* Makes the next `bytes` (a multiple of WT_REGION_GRAIN) usable; false where that is refused. */
  bool (*extend)(wt_region *region, size_t bytes);
  /* Gives the pages between two addresses back to the system, which may change their content. NULL
   * where that cannot be. */
  void (*discard)(uintptr_t begin, uintptr_t end);
};

enum {
  WT_HEAP_FIRST_CLASSES = 40,  /* powers of two */
  WT_HEAP_SECOND_CLASSES = 32, /* linear steps between two powers */
  WT_HEAP_CACHED_SIZES = 17    /* exact sizes of 64, 128, ... 1024 bytes; [0] is unused */
};

typedef struct wt_block wt_block;

typedef struct wt_heap {
  wt_region region;
  /* The free blocks, by size class, and which classes have any. */
  uint64_t first_map;
  uint32_t second_map[WT_HEAP_FIRST_CLASSES];
  wt_block *free[WT_HEAP_FIRST_CLASSES][WT_HEAP_SECOND_CLASSES];
  /* Small blocks released last, kept whole for the next of their size. */
  wt_block *cache[WT_HEAP_CACHED_SIZES];
  uint32_t cached[WT_HEAP_CACHED_SIZES];
  /* Bytes, headers included. */
  size_t current, peak, cached_bytes;
} wt_heap;

void wt_heap_open(wt_heap *heap, const wt_region *region);
/* NULL where the region cannot grow enough. */
void *wt_heap_take(wt_heap *heap, size_t bytes);
/* NULL, and blocks that are not in use, are ignored. */
void wt_heap_give(wt_heap *heap, void *block);
/* Merges the cached small blocks, discards the pages of free blocks; returns the bytes merged. */
size_t wt_heap_empty_cache(wt_heap *heap);
/* Whether all headers, lists and counts agree: for tests. */
bool wt_heap_is_sound(const wt_heap *heap);

/* ---- region.c ------------------------------------------------------------------------------ */
/* The engine's own region. */
wt_region wt_region_open(void);

/* ---- memory.c ------------------------------------------------------------------------------ */
/* The maximum of the wasm memory in pages of 64 KiB; 0: unknown. Only before the first wt_alloc. */
void wt_memory_set_maximum(size_t pages);

#endif
