/**
 * A worker of the engine's thread pool. It hears one message, makes its own instance of the engine
 * on the shared memory, and serves jobs until the engine stops it.
 */
import { nodeBuiltin } from "./environment";
import { instantiate, WORKER_LEFT, type EngineExports } from "./exports";

export interface WorkerStart {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  /** Its number in the pool, from 1. */
  worker: number;
  /** Top of its stack and its block of thread-local memory: addresses. */
  stack: number;
  tls: number;
}

/** Serves jobs until asked to leave. A job's trap ends that job; any other ends this worker. */
function serve(engine: EngineExports, { worker, stack }: WorkerStart): number {
  for (;;) {
    try {
      return engine.wt_worker_enter(worker);
    } catch (trap) {
      engine.__stack_pointer.value = stack;
      if (engine.wt_worker_failed(worker) === 0) throw trap;
    }
  }
}

function start(message: WorkerStart): void {
  const engine = instantiate(message.module, message.memory);
  engine.__stack_pointer.value = message.stack;
  engine.__wasm_init_tls(message.tls);
  const enter = () => {
    if (serve(engine, message) === WORKER_LEFT) setTimeout(enter);
    else close();
  };
  enter();
}

interface NodePort {
  once(event: "message", listener: (message: WorkerStart) => void): void;
  close(): void;
}

const node = nodeBuiltin<{ parentPort: NodePort | null }>("worker_threads")?.parentPort;
const close = (): void => (node ? node.close() : self.close());
if (node) node.once("message", start);
else self.onmessage = ({ data }: MessageEvent<WorkerStart>) => start(data);
