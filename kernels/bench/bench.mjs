// Times the cases of bench.c in this JavaScript engine, on one thread:
//   node [--experimental-wasm-relaxed-simd] bench.mjs bench.wasm [text that the name contains]
import { readFileSync } from "node:fs";

const [path, filter = ""] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(path));
const memory = new WebAssembly.Memory({ initial: 1024, maximum: 65536, shared: true });
const imports = {};
for (const { module: space, name, kind } of WebAssembly.Module.imports(module)) {
  imports[space] ??= {};
  imports[space][name] = kind === "memory" ? memory : () => 0;
}
const engine = new WebAssembly.Instance(module, imports).exports;
engine.wt_engine_start?.(1, 1, 65536);

const text = (address) => {
  const bytes = new Uint8Array((engine.memory ?? memory).buffer).slice(address, address + 80);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
};

// V8 compiles twice: warm up by time, then nine runs of at least 20 ms, the fastest first.
const secondsPerRuns = (index) => {
  let repeats = 1;
  for (let end = performance.now() + 300, taken = 0; performance.now() < end || taken < 20; ) {
    const start = performance.now();
    const status = engine.bench_run(index, repeats);
    if (status !== 0) throw new Error(`status ${status}`);
    taken = performance.now() - start;
    if (taken < 20) repeats *= 2;
  }
  const times = Array.from({ length: 9 }, () => {
    const start = performance.now();
    engine.bench_run(index, repeats);
    return (performance.now() - start) / repeats;
  });
  return times.sort((a, b) => a - b).map((milliseconds) => milliseconds / 1000);
};

console.log(`node ${process.version}, V8 ${process.versions.v8}`);
for (let index = 0, operations; (operations = engine.bench_prepare(index)); index++) {
  const name = text(engine.bench_name(index) >>> 0);
  if (!name.includes(filter)) continue;
  const seconds = secondsPerRuns(index);
  const rate = (time) => (operations / time / 1e9).toFixed(1).padStart(7);
  const median = (seconds[4] * 1e6).toFixed(2).padStart(10);
  console.log(`${name.padEnd(44)} ${median} us ${rate(seconds[4])} GFLOP/s, best ${rate(seconds[0])}`);
}
