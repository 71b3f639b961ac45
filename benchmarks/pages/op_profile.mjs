/**
 * Times the kernel calls of a model's methods: in a worker of a page, and in Node.
 *
 * `sync` is the module wasm-torch/sync, `engine` and `peaks` are compiled modules, `model` is an
 * address or the file's bytes, and `inputs` gives the arrays of a method by its name and manifest.
 * Each method is called for some seconds first. Gives lists of milliseconds, of whole calls and of
 * each launch, and what one thread reaches at most, in GFLOP/s and GB/s.
 */
export async function profile(settings) {
  const { sync, engine, variant, peaks, model, inputs, threads, seconds, rounds } = settings;
  const runtime = new sync.SyncRuntime(engine, variant, threads);
  try {
    const info = await runtime.info();
    if (info.threads !== threads) throw new Error(`there are ${info.threads} threads`);
    const program = await runtime.load(model);
    const methods = {};
    for (const [name, method] of Object.entries(program.manifest.methods)) {
      methods[name] = profileMethod(program, name, inputs(name, method), seconds, rounds);
    }
    return { methods, ...measurePeaks(peaks) };
  } finally {
    runtime.close();
  }
}

function profileMethod(program, name, inputs, seconds, rounds) {
  const deadline = performance.now() + 1000 * seconds;
  do program.call(name, inputs);
  while (performance.now() < deadline);
  const { nodes } = program.manifest.methods[name];
  const calls = [];
  let launches;
  for (let round = 0; round < rounds; round++) {
    const begun = performance.now();
    program.call(name, inputs);
    calls.push(performance.now() - begun);
    const seen = program.profile(name, inputs);
    launches ??= seen.map(({ kernel, node, args }) => ({
      kernel,
      ...nodes[node],
      args: btoa(String.fromCharCode(...args)),
      times: [],
    }));
    seen.forEach(({ milliseconds }, i) => launches[i].times.push(milliseconds));
  }
  return { calls, launches };
}

/** The best of many runs of the loops of fma.c and memory.c. */
export function measurePeaks(module) {
  const { fma_loop, copy_loop } = new WebAssembly.Instance(module, {}).exports;
  const best = (run, times) => {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < times; i++) {
      const begun = performance.now();
      run();
      least = Math.min(least, performance.now() - begun);
    }
    return least;
  };
  const loops = 100_000;
  return {
    gflops: (loops * 12 * 4 * 2) / best(() => fma_loop(loops, 1e-3), 200) / 1e6,
    gbytes: (2 * 2 ** 24) / best(copy_loop, 50) / 1e6,
  };
}

/** Float32 inputs of a method, of a fixed sequence of numbers between -1 and 1. */
export function someInputs(_, { inputs }) {
  return inputs.map(({ shape }) =>
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i)),
  );
}
