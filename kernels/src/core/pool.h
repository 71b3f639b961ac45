/* The thread pool, from the inside: what pool.c shares with the two kinds of threads it runs on
 * (threads_native.c: pthreads; threads_wasm.c: workers which the host starts).
 *
 * Sets of workers are 64-bit masks: bit n is worker n, bit 0 is not a worker.
 */
#ifndef WASM_TORCH_POOL_H
#define WASM_TORCH_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wasm_torch/host.h"

/* The bare engine, whose host is JavaScript; a program with Emscripten's own runtime (the tests in
 * Node) is built with WT_HOSTED=1 and is like a native one. */
#if defined(__wasm__) && !defined(WT_HOSTED)
#define WT_BARE 1
#else
#define WT_BARE 0
#endif

#if defined(WT_SINGLE_THREAD)
#define WT_THREADS_BUILT 1
#else
#define WT_THREADS_BUILT WT_MAX_THREADS
#endif

typedef _Atomic uint64_t wt_worker_set;

/* ---- pool.c -------------------------------------------------------------------------------- */
/* Serves jobs as worker `number` until asked to leave or stop; returns a wt_worker_exit. */
int wt_pool_serve(int number);
/* Takes a worker that failed or is gone out of the ready ones and out of the running job, which
 * ends: returns whether it took part in one. */
bool wt_pool_drop(int number);
/* Asks a set of workers to return from wt_pool_serve. */
void wt_pool_leave(uint64_t workers);
void wt_pool_stop(uint64_t workers);
/* A number that was stopped may serve again. */
void wt_pool_admit(int number);
uint64_t wt_pool_ready(void);
/* Threads of a job from now on, at most; the caller included. */
void wt_pool_set_threads(int count);
int wt_pool_threads(void);
/* Whether a worker failed within a job since the last call. */
bool wt_pool_take_failure(void);
/* Ends a job whose caller trapped. */
void wt_pool_recover(void);
/* Back to one thread and no worker, without talking to any: in a forked child. */
void wt_pool_reset(void);

/* ---- run.c --------------------------------------------------------------------------------- */
/* Makes room for the next failure's detail. */
void wt_forget_failure(void);

/* ---- threads_native.c, threads_wasm.c ------------------------------------------------------- */
/* Sleeps while *word == expected, at most `milliseconds` (negative: for ever); may return early. */
void wt_thread_wait(_Atomic uint32_t *word, uint32_t expected, int milliseconds);
void wt_thread_wake_all(_Atomic uint32_t *word);
/* Whether the caller may sleep in wt_thread_wait. */
bool wt_caller_may_wait(void);
/* Turns of the loop before a thread that has nothing to do goes to sleep. */
int wt_spin_limit(void);
/* Threads of a job until wt_set_num_threads, and the most it accepts (1 in an engine built with
 * WT_SINGLE_THREAD). */
int wt_default_threads(void);
int wt_maximum_threads(void);
/* Starts the threads that are wanted and not there yet, where the engine can. */
void wt_start_threads(void);

static inline void wt_spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

#endif
