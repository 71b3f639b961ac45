// node node_refusals.mjs PACKAGE FILE VARYING: prints what pages/refusals.mjs found, as JSON.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { refused, refusedSizes, soaked } from "./pages/refusals.mjs";

const [dist, file, varying] = process.argv.slice(2);
const { WASMTorch, tensor } = await import(pathToFileURL(join(dist, "wasm-torch.js")).href);
const runtime = await WASMTorch.init();
const good = new Uint8Array(await readFile(file));
const refusals = await refused(runtime, good, `${file}.missing`);
refusals.push(...(await refusedSizes(runtime, tensor, new Uint8Array(await readFile(varying)))));
const soak = await soaked(runtime, good, 1000, 50);
const last = await runtime.loadModel(good);
const gone = last.dispose();
runtime.dispose();
const late = await runtime.loadModel(good).catch((error) => error.name);
await Promise.all([gone, last.dispose()]); // the runtime took the model along
console.log(JSON.stringify({ refusals, soak, late }));
