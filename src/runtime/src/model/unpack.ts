/**
 * Weights that the file keeps in 16 bits. The payload is written to the end of the memory that the
 * weights take, and unpacked from the first tensor to the last: none is then written over before it
 * is read, and no further memory is needed.
 */
import type { Engine } from "../core/engine";
import { DTYPES } from "./dtypes";
import { aligned, type Manifest, memoryBytes, storedBytes } from "./manifest";

/** Codes of abi.h. */
const CODES = { uint8: 0, float16: 5, bfloat16: 15 } as const;

/** Unpacks a payload that lies at the end of the weights' memory, which begins at `address`. */
export function unpackWeights(engine: Engine, manifest: Manifest, address: number): void {
  const { weights, constants } = manifest;
  if (weights.memory === undefined) return;
  const { wt_unpack } = engine.exports;
  const payload = address + memoryBytes(manifest) - weights.bytes;
  let source = 0;
  const unpack = (target: number, count: number, dtype: keyof typeof CODES) => {
    wt_unpack((address + target) | 0, (payload + source) | 0, count | 0, CODES[dtype]);
  };
  for (const tensor of weights.tensors) {
    const bytes = storedBytes(tensor);
    const dtype = tensor.stored ?? "uint8";
    unpack(tensor.offset, bytes / DTYPES[dtype].bytes, dtype);
    source += aligned(bytes);
  }
  unpack(constants.offset, weights.bytes - source, "uint8");
}
