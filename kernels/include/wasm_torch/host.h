/* The contract between the bare wasm engine and its host (a page, a worker, Pyodide, Node).
 *
 * The module imports one thing, `env.memory`: a shared memory whose maximum the host chose. It
 * exports, under the C names, the port of abi.h, the functions below, the kernels as
 * "name@version", the linker's `__stack_pointer` (a mutable i32 global), `__wasm_init_tls(i32)` and
 * `__indirect_function_table`. In JavaScript every wt_word is an i32 and every double an f64;
 * addresses come back signed, so read them as `value >>> 0`.
 *
 * Three kinds of threads call in:
 *   caller   the one thread, on the first instance, that runs kernels and allocates memory;
 *   worker   a thread with its own instance of the same module on the same memory;
 *   any      either.
 *
 * The caller's instance:
 *     e = instantiate(module, {env: {memory}})
 *     e.wt_engine_start(maximumThreads, mayBlock, maximumPages)
 *   A call that may trap is wrapped:
 *     sp = e.__stack_pointer.value
 *     try { return e.wt_run(kernel, args) }
 *     catch { e.__stack_pointer.value = sp; return e.wt_recover() }
 *
 * A worker, for each worker wanted:
 *     caller:  n = e.wt_worker_prepare(); stack = e.wt_worker_stack(n) >>> 0;
 *              tls = e.wt_worker_tls(n) >>> 0; post (module, memory, n, stack, tls)
 *     worker:  w = instantiate(module, {env: {memory}})
 *              w.__stack_pointer.value = stack; w.__wasm_init_tls(tls)
 *              try { reason = w.wt_worker_enter(n) }
 *              catch { w.__stack_pointer.value = stack; if (!w.wt_worker_failed(n)) close }
 *   `enter` returns only when asked to: at WT_WORKER_LEFT the worker returns to its event loop,
 *   handles what was posted, and enters again; at WT_WORKER_STOPPED it closes. After
 *   wt_worker_failed it may enter again or close.
 *
 * A job runs with the workers that are inside wt_worker_enter and awake when it starts; one that is
 * starting, away, failed or lost is never waited for.
 */
#ifndef WASM_TORCH_HOST_H
#define WASM_TORCH_HOST_H

#include "wasm_torch/abi.h"

/* Most threads of a job, the caller included. Worker numbers are 1..WT_MAX_THREADS-1. */
#define WT_MAX_THREADS 64

/* Bytes of a worker's stack, which wt_worker_prepare allocates. */
#define WT_WORKER_STACK_BYTES 262144

/* Why wt_worker_enter returned. */
typedef enum wt_worker_exit {
  WT_WORKER_LEFT = 1,   /* wt_workers_leave: enter again after the event loop's turn */
  WT_WORKER_STOPPED = 2 /* wt_workers_stop, or the number is not a prepared worker's: do not */
} wt_worker_exit;

/* ---- the caller ---------------------------------------------------------------------------- */
/* Once, before anything else. `maximum_threads` (1..WT_MAX_THREADS, clamped) bounds
 * wt_set_num_threads, whose first value is min(4, maximum_threads). `caller_may_block`: 0 where
 * Atomics.wait throws (a page's main thread); the caller then spins. `maximum_pages`: the memory's
 * maximum in pages of 64 KiB, 0 where unknown. Returns WT_OK. */
int wt_engine_start(wt_word maximum_threads, wt_word caller_may_block, wt_word maximum_pages);

/* Allocates the stack and the thread-local block of one more worker. Returns its number (the lowest
 * free one), or 0 where all maximum_threads - 1 numbers are taken or memory does not suffice. */
wt_word wt_worker_prepare(void);

/* The value for the worker's `__stack_pointer`, and the argument for its `__wasm_init_tls`. */
wt_word wt_worker_stack(wt_word worker);
wt_word wt_worker_tls(wt_word worker);

/* Workers now inside wt_worker_enter (so the pool has one thread more: the caller). */
wt_word wt_workers_ready(void);

/* The last wt_set_num_threads in force, whether or not so many workers are ready: a host that has
 * prepared fewer than wt_threads_wanted() - 1 workers may start more. */
wt_word wt_threads_wanted(void);

/* Asks every prepared worker to return from wt_worker_enter once with WT_WORKER_LEFT. Does not
 * wait. One that is not inside at the moment returns as soon as it enters, so a message posted
 * before this call has always been handled when the worker is inside for good. */
void wt_workers_leave(void);

/* Asks every prepared worker to return for ever with WT_WORKER_STOPPED. Does not wait; afterwards
 * (wt_workers_ready() == 0, or the workers were terminated and reported lost) numbers may be
 * prepared anew. */
void wt_workers_stop(void);

/* After a trap on the caller's thread was caught and its `__stack_pointer` restored: ends the job
 * that was running (waits for the workers to finish the chunks they hold), makes the pool usable
 * again, and returns WT_TRAP. Memory which the trapped kernel had taken stays taken. */
int wt_recover(void);

/* ---- a worker ------------------------------------------------------------------------------ */
/* Marks the worker ready and serves jobs until asked to leave or stop. Spins briefly between jobs,
 * then waits with memory.atomic.wait32. Returns a wt_worker_exit. */
wt_word wt_worker_enter(wt_word worker);

/* From the worker itself, after it caught a trap out of wt_worker_enter and restored its
 * `__stack_pointer`: counts it out of the job, whose wt_run then returns WT_TRAP. Returns 1 where
 * the trap was a job's, so that the worker may enter again, and 0 where the worker itself is at
 * fault and would trap for ever. */
int wt_worker_failed(wt_word worker);

/* ---- any thread ---------------------------------------------------------------------------- */
/* The worker is gone and will not call again (it did not start, was terminated, or closed). Counts
 * it out of a running job as wt_worker_failed does, and frees its number for wt_worker_prepare. */
void wt_worker_lost(wt_word worker);

#endif
