/**
 * Loads a model into one backend and times calls of it, in a page or in a worker.
 *
 * A backend is a module with `load(settings, inputs)`, which gives `call()`, whose result is a typed
 * array that can be read, and `peak()`. Settings: model, threads.
 */
import { watchMemories } from "./memories.mjs";

const ARRAYS = { float32: Float32Array, int64: BigInt64Array, int32: Int32Array };

let backend;

async function read({ file, dtype, shape }) {
  return { data: new ARRAYS[dtype](await (await fetch(file)).arrayBuffer()), dtype, shape };
}

/** Milliseconds from starting the runtime to a model that can be called. */
export async function load({ backend: name, inputs, ...settings }) {
  const given = await Promise.all(inputs.map(read));
  const linearMemory = watchMemories();
  const begun = performance.now();
  const module = await import(`./backend_${name}.mjs`);
  backend = { peak: linearMemory, ...(await module.load(settings, given)) };
  return performance.now() - begun;
}

/** Calls for some seconds, so that the code is compiled by the best tier. */
export async function warm(seconds) {
  const deadline = performance.now() + 1000 * seconds;
  do await backend.call();
  while (performance.now() < deadline);
}

/** Milliseconds of a call, after a pause in seconds and a call that is not timed. */
export async function turn(pause) {
  await new Promise((resolve) => setTimeout(resolve, 1000 * pause));
  await backend.call();
  const begun = performance.now();
  await backend.call();
  return performance.now() - begun;
}

/** What a call gives, as base64. */
export async function output() {
  const data = await backend.call();
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) {
    text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  }
  return btoa(text);
}

/** Bytes of linear memory, which never shrinks. */
export async function peak() {
  return backend.peak();
}

/** Times the kernel calls of a model of ours, on some inputs if none are given; see op_profile.mjs. */
export async function profile({ model, inputs, threads, seconds, rounds }) {
  const sync = await import("/dist/sync.js");
  const { profile: run, someInputs } = await import("./op_profile.mjs");
  const variant = sync.chooseVariant(true);
  const compiled = async (address) => WebAssembly.compile(await (await fetch(address)).arrayBuffer());
  const given = inputs && (await Promise.all(inputs.map(read)));
  return run({
    sync,
    engine: await compiled(`/dist/${variant}.wasm`),
    variant,
    peaks: await compiled("/peaks/peaks.wasm"),
    model: new URL(`/files/${model}.wasm`, self.location.href).href,
    inputs: given ? () => given.map(({ data }) => data) : someInputs,
    threads,
    seconds,
    rounds,
  });
}
