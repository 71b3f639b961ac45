/** The submit of the port, as a function that stores its words and calls a guarded run. */
import { HEADER, leb, name, section, signedLeb } from "./encode";
import { functionType } from "./table";

/** WT_SUBMIT_WORDS of abi.h. */
const WORDS = 16;

const LOCAL_GET = 0x20;
const I32_CONST = 0x41;
const I32_STORE = 0x36;
const CALL = 0x10;
const END = 0x0b;
const ALIGNED_TO_WORDS = 0x02;

/** Any shared memory of up to 4 GiB satisfies this import: flags, minimum, maximum. */
const SHARED_MEMORY = [0x03, ...leb(0), ...leb(65536)];

/**
 * A WebAssembly function (kernel, w0, ..., w15) -> status that writes the words to the engine's
 * argument slot and calls `run(kernel, slot)`.
 *
 * The trap is caught in JavaScript, which is slow to pass seventeen arguments to: on a stack that
 * can be suspended, where Pyodide runs Python in browsers with JSPI, Firefox takes several times
 * longer for seventeen than for two (`make bench-eager` shows what a call costs).
 */
export function submitThrough(
  run: CallableFunction,
  memory: WebAssembly.Memory,
  slot: number,
): CallableFunction {
  const stores = Array.from({ length: WORDS }, (_, i) => [
    ...[I32_CONST, ...signedLeb(slot), LOCAL_GET, i + 1],
    ...[I32_STORE, ALIGNED_TO_WORDS, ...leb(4 * i)],
  ]);
  const call = [LOCAL_GET, 0, I32_CONST, ...signedLeb(slot), CALL, 0];
  const body = [0x00, ...stores.flat(), ...call, END]; // no locals
  const bytes = HEADER.concat(
    section(1, [functionType("i".repeat(WORDS + 2)), functionType("iii")]),
    section(2, [
      [...name("e"), ...name("run"), 0x00, 1],
      [...name("e"), ...name("memory"), 0x02, ...SHARED_MEMORY],
    ]),
    section(3, [[0]]),
    section(7, [[...name("submit"), 0x00, 1]]),
    section(10, [[...leb(body.length), ...body]]),
  );
  const module = new WebAssembly.Module(Uint8Array.from(bytes));
  const imports = { run: run as WebAssembly.ImportValue, memory };
  return new WebAssembly.Instance(module, { e: imports }).exports.submit as CallableFunction;
}
