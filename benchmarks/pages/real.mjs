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

async function load(name) {
  const runtime = await WASMTorch.init();
  const begun = performance.now();
  const model = await runtime.loadModel(`files/${name}.wasm`);
  return { runtime, model, load_ms: performance.now() - begun };
}

/** What every host tells of itself and of its memory. */
async function told({ runtime, load_ms }) {
  const { peakBytes } = await runtime.getMemoryStats();
  const { threads, variant } = runtime;
  return { load_ms, peak_bytes: peakBytes, threads, variant };
}

/** Calls `forward` with each row of the inputs in turn. */
export async function runCalls({ name, calls, inputs }) {
  const loaded = await load(name);
  try {
    const rows = await Promise.all(inputs.map(read));
    const outputs = [];
    const call_ms = [];
    for (let i = 0; i < calls; i++) {
      const given = rows.map((all) => {
        const size = all.length / calls;
        return all.slice(i * size, (i + 1) * size);
      });
      const begun = performance.now();
      outputs.push((await loaded.model.forward(...given)).data);
      call_ms.push(performance.now() - begun);
    }
    return { output: await base64(outputs), call_ms, ...(await told(loaded)) };
  } finally {
    loaded.runtime.dispose();
  }
}
