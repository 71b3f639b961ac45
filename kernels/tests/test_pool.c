/* The thread pool: every item once, chunk ranges, thread numbers, nesting, failing workers. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
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

/* ---- leaving and stopping ----------------------------------------------------------------------
 */
enum { GUEST = 40 }; /* the number of a worker which the test itself runs */

static void *serve_as_guest(void *reason) {
  *(int *)reason = wt_pool_serve(GUEST);
  return NULL;
}

/* A leave asks once, whether the worker is inside already or only about to enter; a stop for good,
 * until the number is admitted again. */
TEST(pool_leave_and_stop) {
  uint64_t guest = (uint64_t)1 << GUEST;
  for (int inside = 0; inside <= 1; inside++) {
    pthread_t thread;
    int reason = 0;
    if (!inside) wt_pool_leave(guest);
    CHECK(pthread_create(&thread, NULL, serve_as_guest, &reason) == 0);
    if (inside) {
      while (!(wt_pool_ready() & guest)) sched_yield();
      check_job(1000, 1, 10); /* a number beyond the limit takes no part, and is not waited for */
      wt_pool_leave(guest);
    }
    pthread_join(thread, NULL);
    CHECK(reason == WT_WORKER_LEFT);
    CHECK(!(wt_pool_ready() & guest));
  }
  int reason = 0;
  wt_pool_stop(guest);
  serve_as_guest(&reason);
  CHECK(reason == WT_WORKER_STOPPED);
  serve_as_guest(&reason);
  CHECK(reason == WT_WORKER_STOPPED);
  wt_pool_admit(GUEST);
  wt_pool_leave(guest);
  serve_as_guest(&reason);
  CHECK(reason == WT_WORKER_LEFT);
}

/* ---- a caller that traps -----------------------------------------------------------------------
 */
static jmp_buf trap;

/* The workers hold their first chunks until the caller has trapped, so that it gets one. */
static void trap_in_caller(void *context, wt_word begin, wt_word end, int thread) {
  (void)begin, (void)end;
  _Atomic bool *trapped = context;
  if (thread == 0) {
    atomic_store(trapped, true);
    longjmp(trap, 1);
  }
  while (!atomic_load(trapped)) wt_spin_pause();
}

TEST(pool_recovers_from_a_trap_in_the_caller) {
  for (int threads = 1; threads <= 3; threads++) {
    wt_set_num_threads(threads);
    static _Atomic bool trapped;
    atomic_store(&trapped, false);
    if (setjmp(trap) == 0) {
      wt_parallel_for(1000, 1, trap_in_caller, &trapped);
      CHECK(false);
    }
    wt_pool_recover();
    check_job(1000, 1, 10);
    CHECK(!wt_pool_take_failure());
  }
}

/* ---- a forked child ----------------------------------------------------------------------------
 */
/* ThreadSanitizer ends a forked child that starts threads. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITHOUT_FORK 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(__EMSCRIPTEN__)
#define WITHOUT_FORK 1
#endif

#if !defined(WITHOUT_FORK)
#include <sys/wait.h>
#include <unistd.h>

/* The child inherits no thread but its own: jobs run on one, and more can be started anew. */
TEST(pool_in_a_forked_child) {
  wt_set_num_threads(3);
  check_job(1000, 1, 10);
  pid_t child = fork();
  if (child == 0) {
    bool alone = wt_get_num_threads() == 1;
    check_job(1000, 1, 10);
    bool again = wt_set_num_threads(2) == 2;
    check_job(1000, 1, 10);
    _exit(alone && again ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(wt_get_num_threads() == 3);
}
#endif

/* ---- workers that fail ------------------------------------------------------------------------
 */
/* A worker is counted out in the middle of a chunk, as the host does for one that trapped, and
 * ends. The caller's own first chunk waits for it, so that some worker takes part. */
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
