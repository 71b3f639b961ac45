/* The pool's threads on a desktop, and in programs with Emscripten's own runtime: pthreads, started
 * when first wanted and never ended. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* syscall, sched_getaffinity */
#endif
#include "core/pool.h"

#if !WT_BARE

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum {
  SPIN_TURNS = 4000, /* about 100 microseconds */
  DEFAULT_THREADS = 4,
  STACK_BYTES = 4 << 20
};

/* ---- sleeping ------------------------------------------------------------------------------ */
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>

void wt_thread_wait(_Atomic uint32_t *word, uint32_t expected, int milliseconds) {
  struct timespec timeout = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, milliseconds < 0 ? NULL : &timeout, NULL,
          0);
}

void wt_thread_wake_all(_Atomic uint32_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#else
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

void wt_thread_wait(_Atomic uint32_t *word, uint32_t expected, int milliseconds) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += milliseconds / 1000;
  until.tv_nsec += milliseconds % 1000 * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  pthread_mutex_lock(&mutex);
  if (atomic_load(word) == expected) {
    if (milliseconds < 0) {
      pthread_cond_wait(&changed, &mutex);
    } else {
      pthread_cond_timedwait(&changed, &mutex, &until);
    }
  }
  pthread_mutex_unlock(&mutex);
}

void wt_thread_wake_all(_Atomic uint32_t *word) {
  (void)word;
  pthread_mutex_lock(&mutex);
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}
#endif

bool wt_caller_may_wait(void) { return true; }

/* ---- how many ------------------------------------------------------------------------------ */
static int cores(void) {
  static _Atomic int count;
  int known = atomic_load_explicit(&count, memory_order_relaxed);
  if (known > 0) return known;
  known = (int)sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) known = CPU_COUNT(&allowed);
#endif
  if (known < 1) known = 1;
  atomic_store_explicit(&count, known, memory_order_relaxed);
  return known;
}

int wt_default_threads(void) {
  int threads = cores() < DEFAULT_THREADS ? cores() : DEFAULT_THREADS;
  return threads < WT_THREADS_BUILT ? threads : WT_THREADS_BUILT;
}

int wt_maximum_threads(void) { return WT_THREADS_BUILT; }

/* With more threads than cores a thread that spins keeps one that works from running. */
int wt_spin_limit(void) { return wt_pool_threads() <= cores() ? SPIN_TURNS : 0; }

/* ---- starting ------------------------------------------------------------------------------ */
static int started; /* workers 1..started exist; only a caller that holds `starting` looks */
static _Atomic bool starting;

static void *worker_main(void *argument) {
  wt_pool_serve((int)(intptr_t)argument);
  return NULL;
}

static void restart_in_child(void) {
  started = 0;
  atomic_store(&starting, false);
  wt_pool_reset();
}

/* Signals stay with the threads of the program. */
static bool start_worker(int number) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, worker_main, (void *)(intptr_t)number);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error == 0;
}

void wt_start_threads(void) {
  static bool watched;
  int wanted = wt_pool_threads() - 1;
  if (atomic_exchange_explicit(&starting, true, memory_order_acquire)) return;
  if (!watched) watched = pthread_atfork(NULL, NULL, restart_in_child) == 0;
  while (started < wanted && start_worker(started + 1)) {
    started++;
    while (!(wt_pool_ready() >> started & 1)) sched_yield();
  }
  atomic_store_explicit(&starting, false, memory_order_release);
}

#endif
