/* The thread pool: jobs of independent items, shared by the caller and the workers that are awake.
 *
 * The caller publishes a job, opens the gate and wakes the workers once. A worker takes part by
 * setting its bit in the gate while the gate is open; all take chunks from one counter. When the
 * counter has run out the caller closes the gate and waits for the bits that are still set. So a
 * worker that sleeps, starts or has died is not waited for, and one that dies within a job is
 * counted out by clearing its bit, whoever does it.
 *
 * The job's plain fields are written only while the gate is closed and empty, and read only by the
 * caller and by workers inside the gate.
 */
#include "core/pool.h"

#include <stdalign.h>

#include "core/core.h"

enum {
  CHUNKS_PER_THREAD = 4, /* enough to even out threads of unequal speed */
  JOIN_TIMEOUT_MS = 100
};

#define GATE_OPEN 1u /* bit 0; bits 1..63 are the workers inside */

static struct {
  /* What a worker looks at between jobs. */
  alignas(64) _Atomic uint32_t generation; /* changes with every job and every request */
  _Atomic uint32_t sleepers;               /* workers waiting for `generation` to change */
  _Atomic int threads;                     /* of a job, at most; 0: the default */
  wt_worker_set ready, leave, stop;

  alignas(64) wt_worker_set gate;
  _Atomic uint32_t joins; /* changes when the last worker leaves a closed gate */
  _Atomic bool caller_sleeps;
  _Atomic bool failed;
  _Atomic bool busy;

  alignas(64) _Atomic wt_word next_chunk;

  alignas(64) wt_range_fn fn;
  void *context;
  wt_word count, chunk, chunks;
} pool;

static _Thread_local int current_thread;

/* ---- jobs ---------------------------------------------------------------------------------- */
static void run_chunks(int thread) {
  for (;;) {
    wt_word i = atomic_fetch_add_explicit(&pool.next_chunk, 1, memory_order_relaxed);
    if (i >= pool.chunks) return;
    wt_word begin = i * pool.chunk;
    wt_word end = i == pool.chunks - 1 ? pool.count : begin + pool.chunk;
    pool.fn(pool.context, begin, end, thread);
  }
}

/* Chunks are multiples of `grain`; the last one also takes the items left over. */
static void publish(wt_word count, wt_word grain, int threads, wt_range_fn fn, void *context) {
  wt_word grains = count / grain;
  wt_word target = (wt_word)threads * CHUNKS_PER_THREAD;
  wt_word grains_per_chunk = grains / target + (grains % target != 0);
  pool.fn = fn;
  pool.context = context;
  pool.count = count;
  pool.chunk = grains_per_chunk * grain;
  pool.chunks = grains / grains_per_chunk + (grains % grains_per_chunk != 0);
  atomic_store_explicit(&pool.next_chunk, 0, memory_order_relaxed);
  atomic_store_explicit(&pool.gate, GATE_OPEN, memory_order_release);
}

/* A sleeper counts itself before it looks at the generation a last time, and here the generation
 * changes before the sleepers are counted: one of the two sees the other. */
static void announce(void) {
  atomic_fetch_add(&pool.generation, 1);
  if (atomic_load(&pool.sleepers) != 0) wt_thread_wake_all(&pool.generation);
}

/* Closes the gate and waits until no worker is inside. */
static void join(void) {
  uint64_t inside =
      atomic_fetch_and_explicit(&pool.gate, ~(uint64_t)GATE_OPEN, memory_order_acq_rel);
  inside &= ~(uint64_t)GATE_OPEN;
  for (int turn = 0; inside != 0; turn++) {
    if (turn < wt_spin_limit() || !wt_caller_may_wait()) {
      wt_spin_pause();
    } else {
      uint32_t joins = atomic_load(&pool.joins);
      atomic_store(&pool.caller_sleeps, true);
      if (atomic_load(&pool.gate) != 0) wt_thread_wait(&pool.joins, joins, JOIN_TIMEOUT_MS);
      atomic_store(&pool.caller_sleeps, false);
    }
    inside = atomic_load_explicit(&pool.gate, memory_order_acquire);
  }
}

/* Takes a worker out of the gate; false if it was not inside. */
static bool leave_gate(uint64_t worker) {
  uint64_t before = atomic_fetch_and(&pool.gate, ~worker);
  if (before == worker) { /* the last one, and the gate is closed */
    atomic_fetch_add(&pool.joins, 1);
    if (atomic_load(&pool.caller_sleeps)) wt_thread_wake_all(&pool.joins);
  }
  return (before & worker) != 0;
}

static bool enter_gate(uint64_t worker) {
  uint64_t seen = atomic_load_explicit(&pool.gate, memory_order_relaxed);
  while (seen & GATE_OPEN) {
    if (atomic_compare_exchange_weak_explicit(&pool.gate, &seen, seen | worker,
                                              memory_order_acquire, memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

static int threads_in_force(void) {
  int threads = wt_pool_threads();
  uint64_t counted = threads >= 64 ? ~(uint64_t)1 : ((uint64_t)1 << threads) - 2;
  return 1 + __builtin_popcountll(wt_pool_ready() & counted);
}

void wt_parallel_for(wt_word count, wt_word grain, wt_range_fn fn, void *context) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  if (count < 2 * grain || wt_pool_threads() == 1 ||
      atomic_exchange_explicit(&pool.busy, true, memory_order_acquire)) {
    fn(context, 0, count, current_thread);
    return;
  }
  wt_start_threads();
  int threads = threads_in_force();
  if (threads == 1) {
    fn(context, 0, count, 0);
  } else {
    publish(count, grain, threads, fn, context);
    announce();
    run_chunks(0);
    join();
  }
  atomic_store_explicit(&pool.busy, false, memory_order_release);
}

int wt_thread_limit(void) { return wt_pool_threads(); }

/* ---- workers ------------------------------------------------------------------------------- */
static void wait_for_change(uint32_t seen) {
  for (int turn = 0; turn < wt_spin_limit(); turn++) {
    if (atomic_load_explicit(&pool.generation, memory_order_acquire) != seen) return;
    wt_spin_pause();
  }
  atomic_fetch_add(&pool.sleepers, 1);
  while (atomic_load(&pool.generation) == seen) wt_thread_wait(&pool.generation, seen, -1);
  atomic_fetch_sub(&pool.sleepers, 1);
}

static int serve_until_asked(int number, uint64_t worker) {
  for (;;) {
    uint32_t seen = atomic_load_explicit(&pool.generation, memory_order_acquire);
    if (atomic_load(&pool.stop) & worker) return WT_WORKER_STOPPED;
    if (atomic_load(&pool.leave) & worker) {
      atomic_fetch_and(&pool.leave, ~worker);
      return WT_WORKER_LEFT;
    }
    if (number < wt_pool_threads() && enter_gate(worker)) {
      /* Asked again, because a job that has begun since may be for fewer threads, with scratch for
       * these alone. */
      if (number < wt_pool_threads()) run_chunks(number);
      leave_gate(worker);
    }
    wait_for_change(seen);
  }
}

int wt_pool_serve(int number) {
  uint64_t worker = (uint64_t)1 << number;
  current_thread = number;
  atomic_fetch_or(&pool.ready, worker);
  int reason = serve_until_asked(number, worker);
  atomic_fetch_and(&pool.ready, ~worker);
  current_thread = 0;
  return reason;
}

bool wt_pool_drop(int number) {
  uint64_t worker = (uint64_t)1 << number;
  atomic_fetch_and(&pool.ready, ~worker);
  if (atomic_load(&pool.gate) & worker) {
    /* While the worker is inside, the job is this one. It has failed as a whole: no thread takes
     * another chunk of it, this worker included, should it be back before the gate is closed. */
    atomic_store_explicit(&pool.next_chunk, pool.chunks, memory_order_relaxed);
    /* Stored before the worker leaves the gate: the caller reads it after the join. */
    atomic_store(&pool.failed, true);
  }
  return leave_gate(worker);
}

void wt_pool_leave(uint64_t workers) {
  atomic_fetch_or(&pool.leave, workers);
  announce();
}

void wt_pool_stop(uint64_t workers) {
  atomic_fetch_or(&pool.stop, workers);
  announce();
}

void wt_pool_admit(int number) {
  uint64_t worker = (uint64_t)1 << number;
  atomic_fetch_and(&pool.leave, ~worker);
  atomic_fetch_and(&pool.stop, ~worker);
}

/* ---- settings and repair ------------------------------------------------------------------- */
uint64_t wt_pool_ready(void) { return atomic_load_explicit(&pool.ready, memory_order_acquire); }

void wt_pool_set_threads(int count) {
  atomic_store_explicit(&pool.threads, count, memory_order_release);
}

int wt_pool_threads(void) {
  int threads = atomic_load_explicit(&pool.threads, memory_order_acquire);
  return threads > 0 ? threads : wt_default_threads();
}

WT_EXPORT("wt_set_num_threads") wt_word wt_set_num_threads(wt_word count) {
  int most = wt_maximum_threads();
  wt_pool_set_threads(count < 1 ? 1 : count > most ? most : (int)count);
  wt_start_threads();
  return threads_in_force();
}

WT_EXPORT("wt_get_num_threads") wt_word wt_get_num_threads(void) {
  wt_start_threads();
  return threads_in_force();
}

bool wt_pool_take_failure(void) {
  return atomic_load_explicit(&pool.failed, memory_order_relaxed) &&
         atomic_exchange(&pool.failed, false);
}

void wt_pool_recover(void) {
  if (atomic_load(&pool.busy)) {
    atomic_store(&pool.next_chunk, pool.chunks);
    join();
    atomic_store(&pool.busy, false);
  }
  atomic_store(&pool.failed, false);
  current_thread = 0;
}

void wt_pool_reset(void) {
  atomic_store(&pool.threads, 1);
  atomic_store(&pool.ready, 0);
  atomic_store(&pool.leave, 0);
  atomic_store(&pool.stop, 0);
  atomic_store(&pool.gate, 0);
  atomic_store(&pool.sleepers, 0);
  atomic_store(&pool.caller_sleeps, false);
  atomic_store(&pool.busy, false);
  atomic_store(&pool.failed, false);
  current_thread = 0;
}
