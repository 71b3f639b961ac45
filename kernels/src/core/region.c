/* Where the engine's heap lives: behind the program in the bare engine's linear memory, an arena in
 * a program with Emscripten's runtime (whose own allocator owns the memory's end), and a reserved
 * range of addresses on a desktop. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE, madvise */
#endif
#include "core/heap.h"
#include "core/pool.h"

#if WT_BARE
extern unsigned char __heap_base;

static bool extend(wt_region *region, size_t bytes) {
  size_t pages = __builtin_wasm_memory_grow(0, bytes / WT_REGION_GRAIN);
  if (pages == SIZE_MAX) return false;
  region->end += bytes;
  return true;
}

/* The last page stays unused: the address behind it would be 0. */
wt_region wt_region_open(void) {
  size_t pages = __builtin_wasm_memory_size(0);
  uintptr_t begin =
      ((uintptr_t)&__heap_base + WT_HEAP_ALIGNMENT - 1) & ~(uintptr_t)(WT_HEAP_ALIGNMENT - 1);
  return (wt_region){
      .begin = begin,
      .end = (pages > 65535 ? 65535 : pages) * WT_REGION_GRAIN,
      .limit = (uintptr_t)65535 * WT_REGION_GRAIN,
      .extend = extend,
  };
}

#elif defined(__EMSCRIPTEN__)
#include <stdlib.h>

enum { ARENA_BYTES = 384 << 20 };

static bool extend(wt_region *region, size_t bytes) {
  region->end += bytes;
  return true;
}

wt_region wt_region_open(void) {
  uintptr_t begin = (uintptr_t)aligned_alloc(WT_REGION_GRAIN, ARENA_BYTES);
  return (wt_region){
      .begin = begin, .end = begin, .limit = begin ? begin + ARENA_BYTES : begin, .extend = extend};
}

#else
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)

static bool extend(wt_region *region, size_t bytes) {
  if (mprotect((void *)region->end, bytes, PROT_READ | PROT_WRITE) != 0) return false;
  region->end += bytes;
  return true;
}

/* Whole pages alone: the ends hold the headers of blocks. */
static void discard(uintptr_t begin, uintptr_t end) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  begin = (begin + page - 1) & ~(page - 1);
  end &= ~(page - 1);
  if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* As many addresses as the machine has memory, so that asking for more is refused. A page costs
 * memory when it is first written; huge ones make that cheaper. */
wt_region wt_region_open(void) {
  size_t bytes = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
  void *reserved = MAP_FAILED;
  for (; bytes >= HUGE_PAGE && reserved == MAP_FAILED; bytes /= 2) {
    bytes &= ~(HUGE_PAGE - 1);
    reserved = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    if (reserved != MAP_FAILED) break;
  }
  if (reserved == MAP_FAILED) return (wt_region){.extend = extend};
  uintptr_t begin = ((uintptr_t)reserved + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
#if defined(MADV_HUGEPAGE)
  madvise((void *)begin, bytes, MADV_HUGEPAGE);
#endif
  return (wt_region){
      .begin = begin, .end = begin, .limit = begin + bytes, .extend = extend, .discard = discard};
}
#endif
