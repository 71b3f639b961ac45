/* The pool's threads in the bare wasm engine: workers which the host starts (see host.h). */
#include "core/pool.h"

#if WT_BARE

#include "core/core.h"
#include "core/heap.h"

enum { SPIN_TURNS = 20000, DEFAULT_THREADS = 4 };

static int maximum_threads = 1;
static bool caller_may_wait;

static struct {
  char *stack; /* kept when the worker goes, for the next one of this number */
  void *tls;
} blocks[WT_MAX_THREADS];
static wt_worker_set prepared;

static uint64_t bit(wt_word worker) { return (uint64_t)1 << worker; }
static bool is_number(wt_word worker) { return worker >= 1 && worker < WT_MAX_THREADS; }

/* ---- sleeping ------------------------------------------------------------------------------ */
void wt_thread_wait(_Atomic uint32_t *word, uint32_t expected, int milliseconds) {
  int64_t nanoseconds = milliseconds < 0 ? -1 : (int64_t)milliseconds * 1000000;
  __builtin_wasm_memory_atomic_wait32((int *)word, (int)expected, nanoseconds);
}

void wt_thread_wake_all(_Atomic uint32_t *word) {
  __builtin_wasm_memory_atomic_notify((int *)word, UINT32_MAX);
}

bool wt_caller_may_wait(void) { return caller_may_wait; }
int wt_spin_limit(void) { return SPIN_TURNS; }
int wt_default_threads(void) { return 1; }
int wt_maximum_threads(void) { return maximum_threads; }
void wt_start_threads(void) {}

/* ---- the host's calls ---------------------------------------------------------------------- */
WT_EXPORT("wt_engine_start")
int wt_engine_start(wt_word threads, wt_word may_block, wt_word maximum_pages) {
  maximum_threads = threads < 1 ? 1 : threads > WT_THREADS_BUILT ? WT_THREADS_BUILT : (int)threads;
  caller_may_wait = may_block != 0;
  wt_pool_set_threads(maximum_threads < DEFAULT_THREADS ? maximum_threads : DEFAULT_THREADS);
  wt_memory_set_maximum((size_t)maximum_pages);
  return WT_OK;
}

WT_EXPORT("wt_worker_prepare") wt_word wt_worker_prepare(void) {
  wt_word worker = 1;
  while (worker < maximum_threads && (atomic_load(&prepared) & bit(worker))) worker++;
  if (worker >= maximum_threads) return 0;
  if (!blocks[worker].stack) blocks[worker].stack = wt_alloc(WT_WORKER_STACK_BYTES);
  if (!blocks[worker].tls) blocks[worker].tls = wt_alloc(__builtin_wasm_tls_size());
  if (!blocks[worker].stack || !blocks[worker].tls) return 0;
  wt_pool_admit((int)worker);
  atomic_fetch_or(&prepared, bit(worker));
  return worker;
}

WT_EXPORT("wt_worker_stack") wt_word wt_worker_stack(wt_word worker) {
  return is_number(worker) ? (wt_word)(blocks[worker].stack + WT_WORKER_STACK_BYTES) : 0;
}

WT_EXPORT("wt_worker_tls") wt_word wt_worker_tls(wt_word worker) {
  return is_number(worker) ? (wt_word)blocks[worker].tls : 0;
}

WT_EXPORT("wt_workers_ready") wt_word wt_workers_ready(void) {
  return __builtin_popcountll(wt_pool_ready());
}

WT_EXPORT("wt_threads_wanted") wt_word wt_threads_wanted(void) { return wt_pool_threads(); }

WT_EXPORT("wt_workers_leave") void wt_workers_leave(void) { wt_pool_leave(atomic_load(&prepared)); }

WT_EXPORT("wt_workers_stop") void wt_workers_stop(void) { wt_pool_stop(atomic_load(&prepared)); }

WT_EXPORT("wt_recover") int wt_recover(void) {
  wt_pool_recover();
  wt_forget_failure();
  return wt_fail(WT_TRAP, 0, 0, 0);
}

WT_EXPORT("wt_worker_enter") wt_word wt_worker_enter(wt_word worker) {
  if (!is_number(worker) || !(atomic_load(&prepared) & bit(worker))) return WT_WORKER_STOPPED;
  int reason = wt_pool_serve((int)worker);
  if (reason == WT_WORKER_STOPPED) atomic_fetch_and(&prepared, ~bit(worker));
  return reason;
}

WT_EXPORT("wt_worker_failed") int wt_worker_failed(wt_word worker) {
  return is_number(worker) && wt_pool_drop((int)worker);
}

WT_EXPORT("wt_worker_lost") void wt_worker_lost(wt_word worker) {
  if (!is_number(worker)) return;
  wt_pool_drop((int)worker);
  atomic_fetch_and(&prepared, ~bit(worker));
}

#endif
