// node node_images.mjs PACKAGE FOLDER: writes FOLDER/NAME.out for each case of FOLDER/images.json.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [dist, folder] = process.argv.slice(2);
const { WASMTorch } = await import(pathToFileURL(join(dist, "wasm-torch.js")).href);
const runtime = await WASMTorch.init({ threads: 1 });
const cases = JSON.parse(await readFile(join(folder, "images.json"), "utf8"));
const shapes = {};
for (const { name, width, height, options } of cases) {
  const data = new Uint8Array(await readFile(join(folder, `${name}.rgba`)));
  const image = await runtime.imageTensor({ data, width, height }, options);
  shapes[name] = image.shape;
  await writeFile(join(folder, `${name}.out`), new Uint8Array(image.data.buffer));
}
const refusal = await runtime.imageTensor(new Blob(["x"])).catch((error) => error);
console.log(JSON.stringify({ shapes, refusal: [refusal.name, refusal.message] }));
runtime.dispose();
