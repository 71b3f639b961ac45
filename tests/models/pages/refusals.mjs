// What the runtime refuses, and that it works on afterwards: the same in pages and in Node.

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

const HEADER_BYTES = 24;

/** Where the header's fields begin: after the magic, and the section's id, size and name. */
function headerAt(file) {
  return 8 + 1 + 1 + 1 + file[10];
}

/** A file with some change, and its checksum of code and manifest made good again. */
function changed(file, change, mend = true) {
  const copy = file.slice();
  change(copy);
  if (mend) {
    const at = headerAt(copy);
    const view = new DataView(copy.buffer, at);
    const prefix = view.getUint32(8, true);
    view.setUint32(12, crc32(copy.subarray(at + HEADER_BYTES, prefix)), true);
  }
  return copy;
}

function find(file, text) {
  const wanted = new TextEncoder().encode(text);
  for (let i = 0; i + wanted.length <= file.length; i++) {
    if (wanted.every((byte, k) => file[i + k] === byte)) return i;
  }
  throw new Error(`${text} is not in the file`);
}

/** Files that are not what they should be, with the class of error that each should give. */
function files(good) {
  const prefix = new DataView(good.buffer, good.byteOffset + headerAt(good)).getUint32(8, true);
  const flip = (at) => changed(good, (copy) => void (copy[at] ^= 16), false);
  const text = new TextEncoder().encode("<!doctype html><title>404</title>");
  return {
    empty: [new Uint8Array(0), "NotWasm"],
    "a page": [text, "NotWasm"],
    "another module": [Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0), "NotOurs"],
    "cut in the header": [good.slice(0, 20), "Truncated"],
    "cut in the code": [good.slice(0, prefix - 100), "Truncated"],
    "cut in the weights": [good.slice(0, good.length - 1), "Truncated"],
    "cut before the weights": [good.slice(0, prefix), "Truncated"],
    "too long": [Uint8Array.from([...good, 0]), "Damaged"],
    "a flipped bit in the code": [flip(headerAt(good) + HEADER_BYTES + 40), "Damaged"],
    "a flipped bit in the manifest": [flip(prefix - 30), "Damaged"],
    "a flipped bit in the weights": [flip(good.length - 5), "Damaged"],
    "another mark": [changed(good, (copy) => void (copy[headerAt(copy)] = 88)), "NotOurs"],
    "a newer format": [changed(good, (copy) => void (copy[headerAt(copy) + 4] = 255)), "NewerFormat"],
    "an unknown kernel": [
      changed(good, (copy) => void (copy[find(copy, "layer_norm@1")] = 120)),
      "MissingKernel",
    ],
    "a foreign import": [changed(good, (copy) => void (copy[find(copy, "arena")] = 65)), "Damaged"],
    "no such method": [
      changed(good, (copy) => void (copy[find(copy, "method:forward") + 7] = 70)),
      "Damaged",
    ],
    "no dtype of ours": [
      changed(good, (copy) => void (copy[find(copy, '"dtype":"float32"') + 9] = 88)),
      "Damaged",
    ],
  };
}

async function refusal(promise, message = "") {
  try {
    await promise;
    return "nothing was thrown";
  } catch (error) {
    return error.message.includes(message) ? error.name : `${error.name}: ${error.message}`;
  }
}

/** For each case: what should be thrown, what was, and whether memory and runtime were as before. */
export async function refused(runtime, good, missingAddress) {
  const model = await runtime.loadModel(good);
  const ids = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
  const wanted = (await model.forward(ids)).data.join();
  const { heapUsed } = await runtime.getMemoryStats();
  const results = [];
  const record = async (name, expected, promise) => {
    const got = await refusal(promise);
    const same = (await model.forward(ids)).data.join() === wanted;
    const leaked = (await runtime.getMemoryStats()).heapUsed - heapUsed;
    results.push({ name, expected, got, same, leaked });
  };
  for (const [name, [file, expected]] of Object.entries(files(good))) {
    await record(name, expected, runtime.loadModel(file));
  }
  await record("nothing there", "FetchError", runtime.loadModel(missingAddress));
  await record("too few", "ModelInputError", model.forward());
  await record("a wrong shape", "ModelInputError", model.forward([[1, 2, 3]]));
  await record("a wrong name", "ModelInputError", model.forward({ tokens: ids }));
  await record("a wrong dtype", "ModelInputError", model.forward(new Float32Array(14)));
  await record("a wrong method", "ModelInputError", model.call("train", ids));
  await record("an index that is out of range", "ExecutionError", model.forward(ids.map((i) => 50 * i)));
  const aborted = AbortSignal.abort();
  await record("aborted", "AbortError", runtime.loadModel(good, { signal: aborted }));
  await record("aborted call", "AbortError", model.run("forward", [ids], { signal: aborted }));
  await record("halfway", "AbortError", abortedHalfway(runtime, good));
  const other = await runtime.loadModel(good);
  await other.dispose();
  await record("disposed", "Disposed", other.forward(ids));
  await record("disposed twice", "nothing was thrown", other.dispose());
  await model.dispose();
  return results;
}

/** As `refused`, for the sizes of a model that takes ids of shape [batch, length]. */
export async function refusedSizes(runtime, tensor, varying) {
  const model = await runtime.loadModel(varying);
  const ids = (batch, length) => {
    return tensor(new BigInt64Array(batch * length), [batch, length], "int64");
  };
  const wanted = (await model.forward(ids(2, 3))).data.join();
  const { heapUsed } = await runtime.getMemoryStats();
  const results = [];
  for (const [name, given, expected, message] of [
    ["a size beyond the range", ids(17, 5), "ModelInputError", "expected \"batch\" to be in [1, 16]"],
    ["a size of 0", ids(2, 0), "ModelInputError", "expected \"length\" to be in [1, 256]"],
    ["too few dimensions", [1n, 2n], "ModelInputError", "varies in more than one dimension"],
    ["another rank", tensor([1, 2], [2], "int64"), "ModelInputError", "for [batch, length]"],
  ]) {
    const got = await refusal(model.forward(given), message);
    const same = (await model.forward(ids(2, 3))).data.join() === wanted;
    const leaked = (await runtime.getMemoryStats()).heapUsed - heapUsed;
    results.push({ name, expected, got, same, leaked });
  }
  await model.dispose();
  return results;
}

/** A load that is aborted when the first bytes have come. */
function abortedHalfway(runtime, good) {
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  return runtime.loadModel(good, { signal: controller.signal, onProgress });
}

/** Memory in use before and after many calls, and after many rounds of loading and disposing. */
export async function soaked(runtime, good, calls, rounds) {
  const ids = Array.from({ length: 14 }, (_, i) => i);
  const used = async () => (await runtime.getMemoryStats()).heapUsed;
  const reserved = async () => (await runtime.getMemoryStats()).reservedBytes;
  const empty = await used();
  const model = await runtime.loadModel(good);
  await model.forward(ids);
  const before = { used: await used(), reserved: await reserved() };
  const pending = [];
  for (let i = 0; i < calls; i++) pending.push(model.forward(ids));
  const outputs = await Promise.all(pending);
  const same = outputs.every(({ data }) => data.join() === outputs[0].data.join());
  const after = { used: await used(), reserved: await reserved() };
  await model.dispose();
  for (let i = 0; i < rounds; i++) await (await runtime.loadModel(good)).dispose();
  const rest = { used: await used(), reserved: await reserved() };
  const trimmed = await runtime.trim();
  const progress = [];
  const again = await runtime.loadModel(good, { onProgress: (told) => progress.push(told) });
  const works = (await again.forward(ids)).data.join() === outputs[0].data.join();
  await again.dispose();
  const { loaded, total } = progress.at(-1);
  const arrived = loaded === good.length && total === good.length;
  return { empty, before, after, rest, same, trimmed, works, arrived };
}
