// A page as a bundler's user writes it: the package is found by its name, its engine comes along.
import { WASMTorch } from "wasm-torch";

window.ready = true;
window.run = async (address, ids) => {
  const runtime = await WASMTorch.init({ threads: 2 });
  const model = await runtime.loadModel(address);
  const { data } = await model.forward(ids);
  runtime.dispose();
  return Array.from(data);
};
