// node node_cases.mjs PACKAGE FOLDER OPTIONS: runs the cases on the npm package in Node, prints JSON.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runCases } from "./pages/cases.mjs";

const [dist, folder, options] = process.argv.slice(2);
const { WASMTorch, tensor } = await import(pathToFileURL(join(dist, "wasm-torch.js")).href);
const runtime = await WASMTorch.init(JSON.parse(options));
const read = (name) => readFile(join(folder, name));
const cases = await runCases(runtime, tensor, read, (name) => join(folder, name));
console.log(JSON.stringify({ variant: runtime.variant, threads: runtime.threads, cases }));
runtime.dispose();
