/** onnxruntime-web on WebAssembly, with all of its graph optimisations. */
import * as ort from "/ort/ort.wasm.min.mjs";

export async function load({ model, threads }, inputs) {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = "/ort/";
  const session = await ort.InferenceSession.create(`/files/${model}.onnx`, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
  });
  const call = async () => {
    const feeds = inputs.map(({ data, dtype, shape }, i) => [
      session.inputNames[i],
      new ort.Tensor(dtype, data, shape),
    ]);
    const results = await session.run(Object.fromEntries(feeds));
    return results[session.outputNames[0]].data;
  };
  return { call };
}
