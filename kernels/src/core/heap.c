/* A two-level segregated fit allocator (Masmano, Ripoll, Crespo, Real: TLSF, ECRTS 2004): constant
 * time, immediate coalescing. Two additions: the request's own class is searched a little before
 * the larger ones, so that a released block is found again by a request of exactly its size; and
 * small blocks wait in caches of exact sizes, uncoalesced.
 *
 * A block is a header of 16 bytes and its payload; the header lies 16 bytes below a multiple of 64,
 * so that the payload is aligned. Headers chain the blocks in address order both ways; the last
 * one, of size 0, ends the region. Under AddressSanitizer everything but the payloads in use is
 * poisoned.
 */
#include "core/heap.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WT_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WT_ASAN 1
#endif

#if defined(WT_ASAN)
#include <sanitizer/asan_interface.h>
#define POISON(address, bytes) ASAN_POISON_MEMORY_REGION((const void *)(address), bytes)
#define UNPOISON(address, bytes) ASAN_UNPOISON_MEMORY_REGION((const void *)(address), bytes)
#define HEADERS __attribute__((no_sanitize_address)) /* on functions that touch headers */
#else
#define POISON(address, bytes) ((void)(address), (void)(bytes))
#define UNPOISON(address, bytes) ((void)(address), (void)(bytes))
#define HEADERS
#endif

enum {
  UNIT = WT_HEAP_ALIGNMENT,
  HEADER = 16,
  SECOND_BITS = 5,
  SEARCH_LENGTH = 16,   /* of the request's own class */
  CACHED_PER_SIZE = 128 /* blocks */
};

#define GROWTH_LEAST ((size_t)1 << 20)
#define GROWTH_MOST ((size_t)256 << 20)

/* `tag` is the distance to the next header, a multiple of UNIT, plus flags. */
#define USED ((size_t)1)
#define CACHED ((size_t)2) /* and USED: in a cache, not the caller's */
#define FLAGS ((size_t)UNIT - 1)

struct wt_block {
  size_t tag;
  size_t previous; /* distance to the header before, 0 for the first */
#if SIZE_MAX == UINT32_MAX
  uint32_t unused[2]; /* the header is of 16 bytes everywhere */
#endif
  /* The payload; of a free block: */
  wt_block *next_free, *previous_free;
};

typedef struct size_class {
  int first, second;
} size_class;

/* Sizes below 32 units have a class each. */
static size_class class_of(size_t size) {
  size_t units = size / UNIT;
  if (units < WT_HEAP_SECOND_CLASSES) return (size_class){0, (int)units};
  int top = 63 - __builtin_clzll((unsigned long long)units);
  return (size_class){top - SECOND_BITS + 1,
                      (int)(units >> (top - SECOND_BITS)) & (WT_HEAP_SECOND_CLASSES - 1)};
}

/* ---- blocks -------------------------------------------------------------------------------- */
HEADERS static size_t size_of(const wt_block *block) { return block->tag & ~FLAGS; }

HEADERS static wt_block *after(const wt_block *block) {
  return (wt_block *)((uintptr_t)block + size_of(block));
}

HEADERS static wt_block *before(const wt_block *block) {
  return (wt_block *)((uintptr_t)block - block->previous);
}

static wt_block *first_block(const wt_heap *heap) {
  return (wt_block *)(heap->region.begin + UNIT - HEADER);
}

static wt_block *last_block(const wt_heap *heap) { return (wt_block *)(heap->region.end - HEADER); }

/* ---- the free lists ------------------------------------------------------------------------ */
HEADERS static void insert(wt_heap *heap, wt_block *block) {
  size_class class = class_of(size_of(block));
  wt_block **head = &heap->free[class.first][class.second];
  block->previous_free = NULL;
  block->next_free = *head;
  if (*head) (*head)->previous_free = block;
  *head = block;
  heap->second_map[class.first] |= (uint32_t)1 << class.second;
  heap->first_map |= (uint64_t)1 << class.first;
}

HEADERS static void remove_free(wt_heap *heap, wt_block *block) {
  size_class class = class_of(size_of(block));
  wt_block **head = &heap->free[class.first][class.second];
  if (block->next_free) block->next_free->previous_free = block->previous_free;
  if (block->previous_free) block->previous_free->next_free = block->next_free;
  if (*head == block) *head = block->next_free;
  if (*head) return;
  heap->second_map[class.first] &= ~((uint32_t)1 << class.second);
  if (heap->second_map[class.first] == 0) heap->first_map &= ~((uint64_t)1 << class.first);
}

/* A free block of at least `size` bytes, or NULL. */
HEADERS static wt_block *find(const wt_heap *heap, size_t size) {
  size_class class = class_of(size);
  wt_block *block = heap->free[class.first][class.second];
  for (int i = 0; block && i < SEARCH_LENGTH; i++, block = block->next_free) {
    if (size_of(block) >= size) return block;
  }
  /* Every block of a larger class will do. */
  uint32_t second = heap->second_map[class.first] & ~(uint32_t)0 << class.second;
  second &= ~((uint32_t)1 << class.second);
  if (second == 0) {
    uint64_t first = heap->first_map & ~(uint64_t)0 << class.first;
    first &= ~((uint64_t)1 << class.first);
    if (first == 0) return NULL;
    class.first = __builtin_ctzll(first);
    second = heap->second_map[class.first];
  }
  return heap->free[class.first][__builtin_ctz(second)];
}

/* ---- splitting, merging, growing ----------------------------------------------------------- */
/* Makes `block`, which is in no list, free: merges it with free neighbours and lists it. */
HEADERS static void release(wt_heap *heap, wt_block *block) {
  size_t size = size_of(block);
  POISON((uintptr_t)block, size);
  wt_block *next = after(block);
  if (!(next->tag & USED)) {
    remove_free(heap, next);
    size += size_of(next);
  }
  if (block->previous && !(before(block)->tag & USED)) {
    block = before(block);
    remove_free(heap, block);
    size += size_of(block);
  }
  block->tag = size;
  after(block)->previous = size;
  insert(heap, block);
}

/* Cuts a used block, in no list, down to `size`. */
HEADERS static void trim(wt_heap *heap, wt_block *block, size_t size) {
  size_t rest = size_of(block) - size;
  if (rest == 0) return;
  block->tag = size | USED;
  wt_block *remainder = after(block);
  remainder->tag = rest | USED;
  remainder->previous = size;
  after(remainder)->previous = rest;
  release(heap, remainder);
}

HEADERS static void flush_caches(wt_heap *heap) {
  for (int units = 1; units < WT_HEAP_CACHED_SIZES; units++) {
    while (heap->cache[units]) {
      wt_block *block = heap->cache[units];
      heap->cache[units] = block->next_free;
      block->tag &= ~CACHED;
      release(heap, block);
    }
    heap->cached[units] = 0;
  }
  heap->cached_bytes = 0;
}

static bool extend(wt_heap *heap, size_t bytes) {
  wt_region *region = &heap->region;
  return bytes <= region->limit - region->end && region->extend(region, bytes);
}

/* Extends the region so that a block of `size` bytes is free at its end. */
HEADERS static bool grow(wt_heap *heap, size_t size) {
  wt_region *region = &heap->region;
  wt_block *end = last_block(heap);
  size_t tail = end->previous && !(before(end)->tag & USED) ? end->previous : 0;
  if (tail >= size) return true; /* find() looks at the first few of a class alone */
  size_t needed = size - tail;
  if (needed > region->limit - region->end) return false;
  needed = (needed + WT_REGION_GRAIN - 1) & ~(size_t)(WT_REGION_GRAIN - 1);

  size_t generous = (region->end - region->begin) / 4;
  if (generous < GROWTH_LEAST) generous = GROWTH_LEAST;
  if (generous > GROWTH_MOST) generous = GROWTH_MOST;
  generous &= ~(size_t)(WT_REGION_GRAIN - 1);
  if (!(generous > needed && extend(heap, generous)) && !extend(heap, needed)) return false;

  wt_block *new_end = last_block(heap);
  size_t added = (uintptr_t)new_end - (uintptr_t)end;
  end->tag = added | USED;
  new_end->tag = USED;
  new_end->previous = added;
  release(heap, end);
  POISON(new_end, HEADER);
  return true;
}

/* ---- the interface ------------------------------------------------------------------------- */
HEADERS void wt_heap_open(wt_heap *heap, const wt_region *region) {
  *heap = (wt_heap){.region = *region};
  /* A first extent, so that there is a last header; without one nothing can be taken. */
  if (heap->region.end - heap->region.begin < UNIT * 2 && !extend(heap, WT_REGION_GRAIN)) {
    heap->region.limit = heap->region.end = heap->region.begin;
    return;
  }
  wt_block *first = first_block(heap), *last = last_block(heap);
  size_t size = (uintptr_t)last - (uintptr_t)first;
  first->tag = size | USED;
  first->previous = 0;
  last->tag = USED;
  last->previous = size;
  release(heap, first);
}

HEADERS void *wt_heap_take(wt_heap *heap, size_t bytes) {
  const wt_region *region = &heap->region;
  if (bytes > region->limit - region->begin || region->end == region->begin) return NULL;
  size_t size = (bytes + HEADER + UNIT - 1) & ~FLAGS;
  size_t units = size / UNIT;
  wt_block *block;
  if (units < WT_HEAP_CACHED_SIZES && heap->cache[units]) {
    block = heap->cache[units];
    heap->cache[units] = block->next_free;
    heap->cached[units]--;
    heap->cached_bytes -= size;
    block->tag = size | USED;
  } else {
    block = find(heap, size);
    if (!block && heap->cached_bytes >= size) {
      flush_caches(heap);
      block = find(heap, size);
    }
    if (!block && !grow(heap, size)) {
      if (heap->cached_bytes == 0) return NULL;
      flush_caches(heap);
      block = find(heap, size);
      if (!block && !grow(heap, size)) return NULL;
    }
    /* What was grown lies in a class that find() may pass over: take the region's tail. */
    if (!block) block = before(last_block(heap));
    remove_free(heap, block);
    block->tag |= USED;
    trim(heap, block, size);
  }
  heap->current += size;
  if (heap->current > heap->peak) heap->peak = heap->current;
  void *payload = (char *)block + HEADER;
  UNPOISON(payload, bytes);
  return payload;
}

HEADERS void wt_heap_give(wt_heap *heap, void *payload) {
  if (!payload || (uintptr_t)payload % UNIT != 0) return;
  wt_block *block = (wt_block *)((uintptr_t)payload - HEADER);
  if ((block->tag & (USED | CACHED)) != USED) return;
  size_t size = size_of(block), units = size / UNIT;
  heap->current -= size;
  if (units < WT_HEAP_CACHED_SIZES && heap->cached[units] < CACHED_PER_SIZE) {
    POISON((uintptr_t)block, size);
    block->tag |= CACHED;
    block->next_free = heap->cache[units];
    heap->cache[units] = block;
    heap->cached[units]++;
    heap->cached_bytes += size;
    return;
  }
  release(heap, block);
}

HEADERS size_t wt_heap_empty_cache(wt_heap *heap) {
  size_t merged = heap->cached_bytes;
  flush_caches(heap);
  if (heap->region.discard && heap->region.end != heap->region.begin) {
    for (wt_block *block = first_block(heap); size_of(block); block = after(block)) {
      if (block->tag & USED) continue;
      heap->region.discard((uintptr_t)block + sizeof(wt_block), (uintptr_t)after(block));
    }
  }
  return merged;
}

HEADERS bool wt_heap_is_sound(const wt_heap *heap) {
  size_t used = 0, cached = 0, previous = 0, free_blocks = 0;
  bool previous_free = false;
  const wt_block *block = first_block(heap);
  for (; size_of(block); block = after(block)) {
    bool is_free = !(block->tag & USED);
    if (block->previous != previous || (is_free && previous_free)) return false;
    previous = size_of(block);
    previous_free = is_free;
    free_blocks += is_free;
    if (block->tag & CACHED) {
      cached += previous;
    } else if (!is_free) {
      used += previous;
    }
  }
  if (block != last_block(heap) || block->previous != previous) return false;

  for (int first = 0; first < WT_HEAP_FIRST_CLASSES; first++) {
    if (((heap->first_map >> first & 1) != 0) != (heap->second_map[first] != 0)) return false;
    for (int second = 0; second < WT_HEAP_SECOND_CLASSES; second++) {
      const wt_block *listed = heap->free[first][second];
      if (((heap->second_map[first] >> second & 1) != 0) != (listed != NULL)) return false;
      for (; listed; listed = listed->next_free) {
        size_class class = class_of(size_of(listed));
        if ((listed->tag & USED) || class.first != first || class.second != second) return false;
        free_blocks--;
      }
    }
  }
  return free_blocks == 0 && used == heap->current && cached == heap->cached_bytes;
}
