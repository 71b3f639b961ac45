/* The port's calls of kernels, by number, and the reports of their failures. */
#include <stdatomic.h>
#include <string.h>

#include "core/core.h"
#include "core/pool.h"

/* ---- failures ------------------------------------------------------------------------------ */
static _Atomic bool recorded;
static int64_t detail[3];

int wt_fail(int status, int64_t detail0, int64_t detail1, int64_t detail2) {
  if (!atomic_exchange_explicit(&recorded, true, memory_order_acq_rel)) {
    detail[0] = detail0;
    detail[1] = detail1;
    detail[2] = detail2;
  }
  return status;
}

void wt_forget_failure(void) { atomic_store_explicit(&recorded, false, memory_order_release); }

WT_EXPORT("wt_error_detail") wt_word wt_error_detail(void) {
  wt_forget_failure();
  return (wt_word)detail;
}

/* ---- kernels ------------------------------------------------------------------------------- */
typedef int (*kernel_fn)(const void *arguments);

typedef struct kernel_entry {
  kernel_fn run;
  size_t size; /* of the argument struct */
} kernel_entry;

static const kernel_entry kernels[WT_KERNEL_COUNT] = {
#define K(kernel, version) {wt_##kernel, sizeof(wt_##kernel##_args)},
    WT_KERNELS(K)
#undef K
};

static union {
  wt_word words[WT_SUBMIT_WORDS];
#define K(kernel, version) wt_##kernel##_args kernel;
  WT_KERNELS(K)
#undef K
} argument_slot, extended_slot;

WT_EXPORT("wt_argument_slot") wt_word wt_argument_slot(void) { return (wt_word)&argument_slot; }

WT_EXPORT("wt_run") int wt_run(wt_word kernel, wt_word arguments) {
  wt_forget_failure();
  if (kernel < 0 || kernel >= WT_KERNEL_COUNT) return wt_fail(WT_UNKNOWN_KERNEL, kernel, 0, 0);
  const kernel_entry *entry = &kernels[kernel];
  size_t given = (size_t)*(const wt_word *)arguments;
  if (given < sizeof(wt_word) || given > entry->size) {
    return wt_fail(WT_BAD_ARGUMENT, 0, (int64_t)given, 0);
  }
  if (given < entry->size) { /* from before the struct grew: the new fields are zero */
    memset(&extended_slot, 0, entry->size);
    memcpy(&extended_slot, (const void *)arguments, given);
    arguments = (wt_word)&extended_slot;
  }
  int status = entry->run((const void *)arguments);
  return wt_pool_take_failure() ? wt_fail(WT_TRAP, 0, 0, 0) : status;
}

WT_EXPORT("wt_submit")
int wt_submit(wt_word kernel, wt_word w0, wt_word w1, wt_word w2, wt_word w3, wt_word w4,
              wt_word w5, wt_word w6, wt_word w7, wt_word w8, wt_word w9, wt_word w10, wt_word w11,
              wt_word w12, wt_word w13, wt_word w14, wt_word w15) {
  const wt_word words[WT_SUBMIT_WORDS] = {w0, w1, w2,  w3,  w4,  w5,  w6,  w7,
                                          w8, w9, w10, w11, w12, w13, w14, w15};
  memcpy(argument_slot.words, words, sizeof words);
  return wt_run(kernel, (wt_word)&argument_slot);
}

/* ---- noop ---------------------------------------------------------------------------------- */
static void no_items(void *context, wt_word begin, wt_word end, int thread) {
  (void)context, (void)begin, (void)end, (void)thread;
}

WT_KERNEL(noop, 1) {
  const wt_noop_args *args = arguments;
  for (wt_word i = 0; i < args->count; i++) wt_parallel_for(WT_MAX_THREADS, 1, no_items, NULL);
  return WT_OK;
}
