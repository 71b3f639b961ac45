// What a call costs that computes nothing: from the page to a model and back, and across the pool.

const ECHO = "onmessage = ({ data }) => postMessage(data);";

// The engine's calling thread: see kernels/include/wasm_torch/host.h.
const CALLER = `
let engine;
onmessage = ({ data: { module, memory, threads, jobs, rounds } }) => {
  if (module !== undefined) {
    engine = new WebAssembly.Instance(module, { env: { memory } }).exports;
    engine.wt_engine_start(2, 1, 65536);
    const worker = engine.wt_worker_prepare();
    const [stack, tls] = [engine.wt_worker_stack(worker), engine.wt_worker_tls(worker)];
    postMessage({ worker, stack: stack >>> 0, tls: tls >>> 0 });
    return;
  }
  engine.wt_set_num_threads(threads);
  const times = [];
  for (let i = 0; i < rounds; i++) {
    const begun = performance.now();
    const status = engine.wt_submit(0, 8, jobs); // the kernel noop, that many times
    times.push((1000 * (performance.now() - begun)) / jobs);
    if (status !== 0) throw new Error("noop gave " + status);
  }
  postMessage({ threads: engine.wt_get_num_threads(), times });
};`;

const SERVER = `
onmessage = ({ data: { module, memory, worker, stack, tls } }) => {
  const engine = new WebAssembly.Instance(module, { env: { memory } }).exports;
  engine.__stack_pointer.value = stack;
  engine.__wasm_init_tls(tls);
  engine.wt_worker_enter(worker);
};`;

function start(source) {
  const worker = new Worker(URL.createObjectURL(new Blob([source])));
  const ask = (message) =>
    new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.postMessage(message);
    });
  return { worker, ask };
}

async function timed(calls, call) {
  const begun = performance.now();
  for (let i = 0; i < calls; i++) await call();
  return (performance.now() - begun) / calls;
}

/**
 * Milliseconds of a round trip to a worker that echoes, and of a model that copies one number;
 * each the mean of `calls`, in turn, `rounds` times.
 */
export async function perCall({ file, threads, calls, rounds }) {
  const { worker, ask } = start(ECHO);
  const runtime = await WASMTorch.init({ threads });
  const model = await runtime.loadModel(file);
  const input = Float32Array.of(1);
  const forward = () => model.forward(input);
  const bare = () => ask(0);
  for (const call of [bare, forward]) await timed(500, call);
  const result = { bare: [], forward: [] };
  for (let i = 0; i < rounds; i++) {
    result.bare.push(await timed(calls, bare));
    result.forward.push(await timed(calls, forward));
  }
  runtime.dispose();
  worker.terminate();
  return result;
}

/** Microseconds of a job without work, the mean of `jobs`, on one thread and on two, in turn. */
export async function perJob({ engine, jobs, rounds }) {
  const bytes = await (await fetch(engine)).arrayBuffer();
  const module = await WebAssembly.compile(bytes);
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true });
  const caller = start(CALLER);
  const server = start(SERVER);
  const prepared = await caller.ask({ module, memory });
  server.worker.postMessage({ module, memory, ...prepared });
  let answer = { threads: 1 };
  for (let i = 0; i < 1000 && answer.threads < 2; i++) {
    answer = await caller.ask({ threads: 2, jobs: 1000, rounds: 1 });
  }
  const result = { joined: answer.threads, 1: [], 2: [] };
  for (let i = 0; i < 20; i++) {
    for (const threads of [1, 2]) {
      result[threads].push(...(await caller.ask({ threads, jobs, rounds })).times);
    }
  }
  for (const { worker } of [caller, server]) worker.terminate();
  return result;
}
