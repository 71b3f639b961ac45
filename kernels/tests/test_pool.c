/* The thread pool: every item once, chunk ranges, thread numbers, nesting, failing workers. */
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"
#include "core/pool.h"

enum { MOST_ITEMS = 20000 };

typedef struct job {
  wt_word count, grain;
  _Atomic unsigned char done[MOST_ITEMS];
  _Atomic bool thread_busy[WT_MAX_THREADS];
  _Atomic int calls, errors;
  int work; /* turns per item */
} job;

static job shared_job;

static void visit(void *context, wt_word begin, wt_word end, int thread) {
  job *j = context;
  atomic_fetch_add(&j->calls, 1);
  bool in_range = 0 <= begin && begin < end && end <= j->count && begin % j->grain == 0 &&
                  (end - begin >= j->grain || begin == 0) && thread >= 0 &&
                  thread < wt_thread_limit();
  if (!in_range || atomic_exchange(&j->thread_busy[thread], true)) atomic_fetch_add(&j->errors, 1);
  for (wt_word i = begin; i < end; i++) {
    for (volatile int turn = 0; turn < j->work; turn++) {
    }
    atomic_fetch_add(&j->done[i], 1);
  }
  atomic_store(&j->thread_busy[thread], false);
}

static void check_job(wt_word count, wt_word grain, int work) {
  job *j = &shared_job;
  memset(j, 0, sizeof *j);
  j->count = count;
  j->grain = grain;
  j->work = work;
  wt_parallel_for(count, grain, visit, j);
  bool once = true;
  for (wt_word i = 0; i < count; i++) once = once && j->done[i] == 1;
  CHECK(once);
  CHECK(j->errors == 0);
  CHECK(count == 0 ? j->calls == 0 : j->calls >= 1);
  if (count < 2 * grain && count > 0) CHECK(j->calls == 1);
}

TEST(pool_every_item_once) {
  check_random random = {2};
  for (int threads = 1; threads <= 4; threads++) {
    CHECK(wt_set_num_threads(threads) == threads);
    CHECK(wt_get_num_threads() == threads);
    CHECK(wt_thread_limit() == threads);
    check_job(0, 1, 0);
    check_job(1, 1, 0);
    check_job(MOST_ITEMS, 1, 20);
    check_job(MOST_ITEMS, MOST_ITEMS, 0);
    for (int i = 0; i < 200; i++) {
      check_job(check_integer(&random, 1, 500), check_integer(&random, 1, 40), 10);
    }
  }
}

TEST(pool_thread_counts_are_clamped) {
  CHECK(wt_set_num_threads(0) == 1);
  CHECK(wt_set_num_threads(-5) == 1);
  CHECK(wt_set_num_threads(3) == 3);
  CHECK(wt_set_num_threads(2) == 2);
  check_job(1000, 1, 10);
}

static void nothing(void *context, wt_word begin, wt_word end, int thread) {
  (void)begin, (void)end, (void)thread;
  atomic_fetch_add((_Atomic int *)context, 1);
}

TEST(pool_many_tiny_jobs) {
  for (int threads = 2; threads <= 4; threads += 2) {
    wt_set_num_threads(threads);
    static _Atomic int calls;
    atomic_store(&calls, 0);
    for (int i = 0; i < 5000; i++) wt_parallel_for(8, 1, nothing, &calls);
    CHECK(atomic_load(&calls) == 5000 * 8);
  }
}

/* ---- nesting --------------------------------------------------------------------------------- */
typedef struct outer_job {
  _Atomic int inner_items;
  _Atomic int errors;
} outer_job;

typedef struct inner_job {
  outer_job *outer;
  int thread;
} inner_job;

static void inner(void *context, wt_word begin, wt_word end, int thread) {
  inner_job *j = context;
  if (thread != j->thread || begin != 0 || end != 100) atomic_fetch_add(&j->outer->errors, 1);
  atomic_fetch_add(&j->outer->inner_items, (int)(end - begin));
}

static void outer(void *context, wt_word begin, wt_word end, int thread) {
  inner_job j = {context, thread};
  for (wt_word i = begin; i < end; i++) wt_parallel_for(100, 1, inner, &j);
}

TEST(pool_nested_jobs_run_inline) {
  wt_set_num_threads(4);
  for (int i = 0; i < 50; i++) {
    outer_job j = {0, 0};
    wt_parallel_for(64, 1, outer, &j);
    CHECK(atomic_load(&j.inner_items) == 6400);
    CHECK(atomic_load(&j.errors) == 0);
  }
}

TEST(pool_noop_kernel) {
  wt_set_num_threads(2);
  wt_noop_args args = {.size_bytes = sizeof args, .count = 1000};
  CHECK(wt_run(WT_KERNEL_noop, (wt_word)&args) == WT_OK);
}

/* ---- workers that fail ------------------------------------------------------------------------ */
/* A worker is counted out in the middle of a chunk, as the host does for one that trapped, and ends.
 * The caller's own first chunk waits for it, so that some worker takes part. */
static void fail_once(void *context, wt_word begin, wt_word end, int thread) {
  (void)begin, (void)end;
  _Atomic int *failures = context;
  if (thread == 0) {
    while (atomic_load(failures) == 0) wt_spin_pause();
  } else if (atomic_fetch_add(failures, 1) == 0) {
    wt_pool_drop(thread);
    pthread_exit(NULL);
  }
}

/* Last in this file: the program has a worker fewer afterwards. */
TEST(pool_survives_a_failing_worker) {
  wt_set_num_threads(2);
  CHECK(!wt_pool_take_failure());
  _Atomic int failures = 0;
  wt_parallel_for(64, 1, fail_once, &failures);
  CHECK(atomic_load(&failures) >= 1);
  CHECK(wt_pool_take_failure());
  CHECK(!wt_pool_take_failure());
  CHECK(wt_get_num_threads() == 1);
  check_job(1000, 1, 10);
  wt_set_num_threads(4);
  check_job(1000, 1, 10);
}
