// node node_flags.mjs PACKAGE FOLDER SIMD: runs linear.wasm on the synchronous runtime, with SIMD or
// without, and tries to load it with.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [dist, folder, simd] = process.argv.slice(2);
const { SyncRuntime, chooseVariant } = await import(pathToFileURL(join(dist, "sync.js")).href);

async function start(withSimd) {
  const variant = chooseVariant(withSimd);
  const module = new WebAssembly.Module(await readFile(join(dist, `${variant}.wasm`)));
  return new SyncRuntime(module, variant, undefined);
}

const x = new Float32Array((await readFile(join(folder, "x.bin"))).slice().buffer);
const file = join(folder, "linear.wasm");
const runtime = await start(simd === "true");
const before = (await runtime.info()).threads;
const [output] = (await runtime.load(file)).call("forward", [x]);
const after = (await runtime.info()).threads;
runtime.close();

const other = await start(true);
const plain = await other.load(file).then(
  () => "works",
  (error) => error.name,
);
other.close();
console.log(JSON.stringify({ output: Array.from(output), before, after, plain }));
