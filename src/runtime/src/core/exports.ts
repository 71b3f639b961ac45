/**
 * What the engine exports: the port of kernels/include/wasm_torch/abi.h and the host contract of
 * host.h. Addresses and sizes are i32 and come back signed; read them as `value >>> 0`.
 */
export interface EngineExports extends WebAssembly.Exports {
  readonly __stack_pointer: WebAssembly.Global<"i32">;
  readonly __indirect_function_table: WebAssembly.Table;
  __wasm_init_tls(block: number): void;

  wt_submit(kernel: number, ...words: number[]): number;
  wt_run(kernel: number, args: number): number;
  wt_allocate(bytes: number): number;
  wt_release(address: number): void;
  wt_argument_slot(): number;
  wt_error_detail(): number;
  wt_memory_stat(which: number): number;
  wt_reset_peak_memory(): void;
  wt_empty_cache(): number;
  wt_crc32(address: number, count: number, crc: number): number;
  wt_unpack(out: number, from: number, count: number, dtype: number): void;
  wt_set_num_threads(count: number): number;
  wt_get_num_threads(): number;

  wt_engine_start(maximumThreads: number, callerMayBlock: number, maximumPages: number): number;
  wt_worker_prepare(): number;
  wt_worker_stack(worker: number): number;
  wt_worker_tls(worker: number): number;
  wt_workers_ready(): number;
  wt_threads_wanted(): number;
  wt_recover(): number;
  wt_worker_enter(worker: number): number;
  wt_worker_failed(worker: number): number;
  wt_worker_lost(worker: number): void;
}

/** WT_MAX_THREADS of host.h. */
export const MAX_THREADS = 64;

/** wt_worker_exit of host.h. */
export const WORKER_LEFT = 1;

export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): EngineExports {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as EngineExports;
}
