/* The allocator: alignment, a model of random use, growth, statistics, and running out of memory.
 */
#include "check.h"
#include "core/heap.h"

enum { ARENA_PAGES = 128, ARENA_BYTES = ARENA_PAGES * WT_REGION_GRAIN };

static int extensions, refusals_above; /* extents larger than this many bytes are refused */

static bool extend(wt_region *region, size_t bytes) {
  if (bytes % WT_REGION_GRAIN != 0 || (refusals_above && bytes > (size_t)refusals_above)) {
    return false;
  }
  extensions++;
  region->end += bytes;
  return true;
}

typedef struct arena {
  void *memory;
  wt_heap heap;
} arena;

static void open_arena(arena *a, size_t bytes) {
  a->memory = aligned_alloc(WT_REGION_GRAIN, ARENA_BYTES);
  uintptr_t begin = (uintptr_t)a->memory;
  extensions = refusals_above = 0;
  wt_region region = {.begin = begin, .end = begin, .limit = begin + bytes, .extend = extend};
  wt_heap_open(&a->heap, &region);
}

/* The allocator leaves its arena poisoned for AddressSanitizer; free() may not mind. */
static void close_arena(arena *a) { free(a->memory); }

static void check_sound(const arena *a) { CHECK(wt_heap_is_sound(&a->heap)); }

TEST(heap_random_use_matches_a_model) {
  enum { SLOTS = 200, ROUNDS = 40000 };
  static struct {
    unsigned char *block;
    size_t bytes;
    unsigned char fill;
  } slots[SLOTS];
  memset(slots, 0, sizeof slots);
  check_random random = {1};
  arena a;
  open_arena(&a, ARENA_BYTES);
  size_t live = 0;
  int refused = 0;
  for (int round = 0; round < ROUNDS; round++) {
    int i = (int)check_integer(&random, 0, SLOTS - 1);
    if (slots[i].block) {
      bool intact = true;
      size_t step = slots[i].bytes / 64 + 1;
      for (size_t b = 0; b < slots[i].bytes; b += step) {
        intact = intact && slots[i].block[b] == slots[i].fill;
      }
      CHECK(intact);
      live -= slots[i].bytes;
      wt_heap_give(&a.heap, slots[i].block);
      slots[i].block = NULL;
    } else {
      size_t bytes = (size_t)exp(check_uniform(&random, 0, 13)); /* 1 byte to 440 kB */
      slots[i].block = wt_heap_take(&a.heap, bytes);
      slots[i].bytes = bytes;
      slots[i].fill = (unsigned char)round;
      if (slots[i].block) {
        CHECK((uintptr_t)slots[i].block % 64 == 0);
        memset(slots[i].block, slots[i].fill, bytes);
        live += bytes;
      } else {
        refused++;
      }
    }
    CHECK(a.heap.current >= live && a.heap.peak >= a.heap.current);
    if (round % 500 == 0) check_sound(&a);
    if (round % 5000 == 4999) wt_heap_empty_cache(&a.heap);
  }
  CHECK(refused < ROUNDS / 20);
  for (int i = 0; i < SLOTS; i++) wt_heap_give(&a.heap, slots[i].block);
  CHECK(a.heap.current == 0);
  wt_heap_empty_cache(&a.heap);
  check_sound(&a);
  /* All is one block again. */
  CHECK(wt_heap_take(&a.heap, a.heap.region.end - a.heap.region.begin - 128) != NULL);
  close_arena(&a);
}

TEST(heap_finds_a_block_of_the_same_size_again) {
  arena a;
  open_arena(&a, ARENA_BYTES);
  for (size_t bytes = 1; bytes < 1 << 20; bytes = bytes * 3 + 7) {
    void *block = wt_heap_take(&a.heap, bytes), *fence = wt_heap_take(&a.heap, bytes);
    wt_heap_give(&a.heap, block);
    CHECK(wt_heap_take(&a.heap, bytes) == block);
    wt_heap_give(&a.heap, block);
    wt_heap_give(&a.heap, fence);
  }
  check_sound(&a);
  close_arena(&a);
}

TEST(heap_training_pattern_does_not_grow) {
  /* The same tensors every step, released in another order than taken. */
  enum { TENSORS = 24, STEPS = 50 };
  arena a;
  open_arena(&a, ARENA_BYTES);
  size_t after_first = 0;
  for (int step = 0; step < STEPS; step++) {
    void *blocks[TENSORS];
    for (int i = 0; i < TENSORS; i++) {
      blocks[i] = wt_heap_take(&a.heap, (size_t)(i * 7919 % 97 + 1) * 2048 + 4);
      CHECK(blocks[i] != NULL);
    }
    for (int i = 0; i < TENSORS; i++) wt_heap_give(&a.heap, blocks[i * 7 % TENSORS]);
    if (step == 0) after_first = a.heap.region.end;
  }
  CHECK(a.heap.region.end == after_first);
  CHECK(a.heap.current == 0);
  close_arena(&a);
}

TEST(heap_statistics) {
  arena a;
  open_arena(&a, ARENA_BYTES);
  CHECK(a.heap.current == 0 && a.heap.peak == 0);
  void *small = wt_heap_take(&a.heap, 16), *large = wt_heap_take(&a.heap, 100000);
  size_t both = a.heap.current;
  CHECK(both >= 100016 && both < 100016 + 256);
  wt_heap_give(&a.heap, large);
  CHECK(a.heap.current == 64 && a.heap.peak == both);
  wt_heap_give(&a.heap, small);
  CHECK(a.heap.current == 0 && a.heap.cached_bytes == 64);
  wt_heap_give(&a.heap, small); /* a second time: ignored */
  CHECK(a.heap.current == 0 && a.heap.cached_bytes == 64);
  CHECK(wt_heap_empty_cache(&a.heap) == 64);
  CHECK(a.heap.cached_bytes == 0);
  wt_heap_give(&a.heap, NULL);
  check_sound(&a);
  close_arena(&a);
}

TEST(heap_out_of_memory_is_null_and_survived) {
  arena a;
  open_arena(&a, 4 * WT_REGION_GRAIN);
  void *blocks[8];
  int taken = 0;
  while (taken < 8 && (blocks[taken] = wt_heap_take(&a.heap, 60000))) taken++;
  CHECK(taken == 4);
  CHECK(wt_heap_take(&a.heap, SIZE_MAX) == NULL);
  CHECK(wt_heap_take(&a.heap, SIZE_MAX - 100) == NULL);
  CHECK(wt_heap_take(&a.heap, SIZE_MAX / 2) == NULL);
  check_sound(&a);
  for (int i = 0; i < taken; i++) wt_heap_give(&a.heap, blocks[i]);
  CHECK(wt_heap_take(&a.heap, 4 * 60000) != NULL);
  check_sound(&a);
  close_arena(&a);
}

TEST(heap_merges_cached_blocks_when_short) {
  arena a;
  open_arena(&a, 2 * WT_REGION_GRAIN);
  enum { BLOCKS = 127 };
  void *blocks[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) blocks[i] = wt_heap_take(&a.heap, 1008);
  for (int i = 0; i < BLOCKS; i++) wt_heap_give(&a.heap, blocks[i]);
  CHECK(a.heap.cached_bytes == BLOCKS * 1024);
  CHECK(wt_heap_take(&a.heap, 100 * 1024) != NULL);
  check_sound(&a);
  close_arena(&a);
}

TEST(heap_grows_exactly_where_more_is_refused) {
  arena a;
  open_arena(&a, ARENA_BYTES);
  refusals_above = 2 * WT_REGION_GRAIN;
  CHECK(wt_heap_take(&a.heap, 100000) != NULL);
  CHECK(wt_heap_take(&a.heap, 3 * WT_REGION_GRAIN) == NULL);
  CHECK(wt_heap_take(&a.heap, 100000) != NULL);
  check_sound(&a);
  close_arena(&a);
}

TEST(heap_grows_geometrically) {
  arena a;
  open_arena(&a, ARENA_BYTES);
  for (int i = 0; i < 100; i++) CHECK(wt_heap_take(&a.heap, 60000) != NULL);
  CHECK(extensions < 10);
  close_arena(&a);
}

TEST(heap_without_a_region) {
  wt_region region = {.extend = extend};
  wt_heap heap;
  wt_heap_open(&heap, &region);
  CHECK(wt_heap_take(&heap, 0) == NULL);
  CHECK(wt_heap_take(&heap, 100) == NULL);
  CHECK(wt_heap_empty_cache(&heap) == 0);
}

/* ---- the engine's heap, through the port ------------------------------------------------------
 */
TEST(port_memory) {
  double before = wt_memory_stat(0);
  wt_word address = wt_allocate(1000000);
  CHECK(address != 0 && address % 64 == 0);
  memset((void *)address, 1, 1000000);
  CHECK(wt_memory_stat(0) >= before + 1000000);
  CHECK(wt_memory_stat(1) >= wt_memory_stat(0));
  CHECK(wt_memory_stat(2) >= wt_memory_stat(0));
  CHECK(wt_memory_stat(3) >= wt_memory_stat(2));
  wt_release(address);
  CHECK(wt_memory_stat(0) == before);
  wt_reset_peak_memory();
  CHECK(wt_memory_stat(1) == before);
  wt_empty_cache();
  address = wt_allocate(1000000); /* discarded pages come back */
  memset((void *)address, 1, 1000000);
  wt_release(address);
}

TEST(port_out_of_memory_names_the_size) {
  wt_word bytes = INTPTR_MAX;
  CHECK(wt_allocate(bytes) == 0);
  CHECK(((const int64_t *)wt_error_detail())[0] == (int64_t)bytes);
  CHECK(wt_allocate(64) != 0);
}
