/** LiteRT.js on WebAssembly: XNNPACK with relaxed SIMD. */
import { loadAndCompile, loadLiteRt, Tensor } from "/litert/litert.mjs";

const WASM = "/litert/wasm/";

export async function load({ model, threads }, inputs) {
  // In a worker it cannot tell where its script lies, which its threads run, too.
  const script = new URL(`${WASM}litert_wasm_threaded_internal.js`, self.location.href).href;
  self.Module = { mainScriptUrlOrBlob: script, locateFile: (name) => WASM + name };
  await loadLiteRt(WASM, { threads: threads > 1 });
  const loaded = await loadAndCompile(`/files/${model}.tflite`, {
    accelerator: "wasm",
    cpuOptions: { numThreads: threads },
  });
  const arrays = inputs.map(({ data, dtype, shape }) => ({
    data: dtype === "int64" ? Int32Array.from(data, Number) : data,
    shape,
  }));
  const call = async () => {
    const tensors = arrays.map(({ data, shape }) => new Tensor(data, shape));
    const results = await loaded.run(tensors);
    const output = results[0].toTypedArray();
    for (const tensor of [...tensors, ...results]) tensor.delete();
    return output;
  };
  return { call };
}
