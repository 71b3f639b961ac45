/** node op_profile_node.mjs MODEL PEAKS PACKAGE THREADS SECONDS ROUNDS: prints a profile as JSON. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { profile, someInputs } from "./pages/op_profile.mjs";

const [model, peaks, dist, ...numbers] = process.argv.slice(2);
const [threads, seconds, rounds] = numbers.map(Number);
const sync = await import(pathToFileURL(join(dist, "sync.js")).href);
const variant = sync.chooseVariant(true);
const compiled = async (file) => WebAssembly.compile(await readFile(file));
const told = await profile({
  sync,
  engine: await compiled(join(dist, `${variant}.wasm`)),
  variant,
  peaks: await compiled(peaks),
  model: await readFile(model),
  inputs: someInputs,
  threads,
  seconds,
  rounds,
});
console.log(JSON.stringify(told));
