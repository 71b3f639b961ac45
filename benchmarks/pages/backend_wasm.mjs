/** Our runtime as a page uses it. */
import { WASMTorch } from "/dist/wasm-torch.js";

export async function load({ model, threads }, inputs) {
  const runtime = await WASMTorch.init({ threads });
  const loaded = await runtime.loadModel(`/files/${model}.wasm`);
  if (runtime.threads !== threads) throw new Error(`there are ${runtime.threads} threads`);
  const arrays = inputs.map(({ data }) => data);
  return {
    call: async () => (await loaded.forward(...arrays)).data,
    // Linear memory, as for the others; it lies in the runtime's own worker.
    peak: async () => (await runtime.getMemoryStats()).reservedBytes,
  };
}
