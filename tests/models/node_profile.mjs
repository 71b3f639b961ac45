// node node_profile.mjs PACKAGE FILE: calls, profiles and calls a model of one input, prints JSON.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [dist, file] = process.argv.slice(2);
const { SyncRuntime, chooseVariant } = await import(pathToFileURL(join(dist, "sync.js")).href);
const variant = chooseVariant(true);
const engine = await WebAssembly.compile(await readFile(join(dist, `${variant}.wasm`)));
const runtime = new SyncRuntime(engine, variant, 1);
const program = await runtime.load(await readFile(file));
const { inputs, nodes } = program.manifest.methods.forward;
const count = inputs[0].shape.reduce((a, b) => a * b, 1);
const input = Float32Array.from({ length: count }, (_, i) => Math.sin(i));
const run = () => Array.from(program.call("forward", [input])[0]);
const before = run();
const { heapUsed } = runtime.memoryStats();
const launches = program.profile("forward", [input]).map(({ kernel, milliseconds, node, args }) => ({
  kernel,
  milliseconds,
  ...nodes[node],
  args: Buffer.from(args).toString("base64"),
}));
const leaked = runtime.memoryStats().heapUsed - heapUsed;
console.log(JSON.stringify({ before, launches, after: run(), leaked }));
runtime.close();
