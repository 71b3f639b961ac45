/** Runs real models in a page, for benchmarks/real_hosts.py. */

const ARRAYS = { float32: Float32Array, int64: BigInt64Array, uint8: Uint8Array };

async function read({ file, dtype }) {
  return new ARRAYS[dtype](await (await fetch(`files/${file}`)).arrayBuffer());
}

/** The bytes of arrays, one after another, as base64. */
function base64(arrays) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(new Blob(arrays));
  });
}

/**
 * Loads a model on an engine of its own and lets `use` call it; `use` gives lists of arrays by
 * name. The result has them in base64, and what the host tells of itself.
 */
async function using(name, use) {
  const runtime = await WASMTorch.init();
  try {
    const begun = performance.now();
    const model = await runtime.loadModel(`files/${name}.wasm`);
    const load_ms = performance.now() - begun;
    const call_ms = {};
    const call = async (method, ...inputs) => {
      const called = performance.now();
      const { data } = await model.call(method, ...inputs);
      call_ms[method] ??= [];
      call_ms[method].push(performance.now() - called);
      return data;
    };
    const outputs = {};
    for (const [key, arrays] of Object.entries(await use(call))) {
      outputs[key] = await base64(arrays);
    }
    const { peakBytes } = await runtime.getMemoryStats();
    const { threads, variant } = runtime;
    return { outputs, call_ms, load_ms, peak_bytes: peakBytes, threads, variant };
  } finally {
    runtime.dispose();
  }
}

/** Calls `forward` with each row of the inputs in turn. */
export async function runCalls({ name, inputs, calls }) {
  const all = await Promise.all(inputs.map(read));
  return using(name, async (call) => {
    const output = [];
    for (let i = 0; i < calls; i++) {
      const row = (data) => data.slice((i * data.length) / calls, ((i + 1) * data.length) / calls);
      output.push(await call("forward", ...all.map(row)));
    }
    return { output };
  });
}

/** Takes the best token after each, until the end is the best. */
export async function transcribe({ name, inputs, prompt, end, most }) {
  const samples = await read(inputs[0]);
  const once = async (call) => {
    const mel = await call("mel", samples);
    const features = await call("encode", mel);
    const tokens = [...prompt];
    const scores = [];
    for (let i = 0; i < tokens.length && i < most; i++) {
      const next = await call("step", [tokens[i]], [i]);
      scores.push(next);
      if (i + 1 < tokens.length) continue;
      const best = next.reduce((top, score, token) => (score > next[top] ? token : top), 0);
      if (best !== end) tokens.push(best);
    }
    return { mel: [mel], features: [features], scores, tokens: [BigInt64Array.from(tokens, BigInt)] };
  };
  return using(name, async (call) => {
    await once(call); // the second run begins with what the first has left in the buffers
    return once(call);
  });
}
