// Runs the cases of small_models.py on the runtime: the same in pages and in Node.

const ARRAYS = {
  float32: Float32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
};

function flat(result) {
  if (result?.data !== undefined) return [result];
  return Object.values(result).flatMap(flat);
}

/**
 * Runs every case; `tensor` is the package's, `read(name)` gives a file's bytes, `address(name)` what loadModel takes. Returns
 * for each case its outputs' shapes and dtypes and their differences to torch's results, relative to
 * the largest.
 */
export async function runCases(runtime, tensor, read, address) {
  const cases = JSON.parse(new TextDecoder().decode(await read("cases.json")));
  const results = [];
  for (const { model: name, method, inputs, outputs } of cases) {
    const model = await runtime.loadModel(address(`${name}.wasm`));
    const load = async ({ file, dtype }) => new ARRAYS[dtype]((await read(file)).slice().buffer);
    const data = await Promise.all(inputs.map(load));
    // Typed arrays alone where they say all; tensors where their shapes may vary.
    const varies = model.signature(method).inputs.some(({ shape }) => shape.some(isNaN));
    const given = data.map((d, i) => (varies ? tensor(d, inputs[i].shape, inputs[i].dtype) : d));
    const got = flat(await model.call(method, ...given));
    const wanted = await Promise.all(outputs.map(load));
    const differences = got.map(({ data }, i) => {
      let worst = 0;
      let scale = 1e-30;
      for (let k = 0; k < data.length; k++) {
        worst = Math.max(worst, Math.abs(Number(data[k]) - Number(wanted[i][k])));
        scale = Math.max(scale, Math.abs(Number(wanted[i][k])));
      }
      return data.length === wanted[i].length ? worst / scale : Infinity;
    });
    results.push({
      name: `${name}.${method}`,
      shapes: got.map(({ shape }) => shape),
      dtypes: got.map(({ dtype }) => dtype),
      wantedShapes: outputs.map(({ shape }) => shape),
      wantedDtypes: outputs.map(({ dtype }) => dtype),
      differences,
    });
    await model.dispose();
  }
  return results;
}
