/** JavaScript functions as entries of another module's function table. */
import { HEADER, leb, name, section } from "./encode";

/** "i" is i32, "f" f64, "v" nothing. The first letter is the result, the others the parameters. */
export type Signature = string;

const VALUE_TYPES: Record<string, number> = { i: 0x7f, f: 0x7c };

export function functionType(signature: Signature): number[] {
  const types = [...signature].map((letter) => {
    const type = VALUE_TYPES[letter];
    return type === undefined ? [] : [type];
  });
  const [result = [], ...parameters] = types;
  return [0x60, ...leb(parameters.length), ...parameters.flat(), result.length, ...result];
}

/**
 * WebAssembly functions that call these JavaScript ones, in the same order.
 *
 * A table takes only functions of known type. A module that exports its own imports makes some;
 * number `n` is called by the name `n`, in base 36, in import and export.
 */
export function typedFunctions(
  functions: readonly { signature: Signature; call: (...args: never[]) => unknown }[],
): CallableFunction[] {
  const nameOf = (index: number) => name(index.toString(36));
  const bytes = HEADER.concat(
    section(
      1,
      functions.map(({ signature }) => functionType(signature)),
    ),
    section(
      2,
      functions.map((_, i) => [...name("e"), ...nameOf(i), 0x00, ...leb(i)]),
    ),
    section(
      7,
      functions.map((_, i) => [...nameOf(i), 0x00, ...leb(i)]),
    ),
  );
  const imports = Object.fromEntries(functions.map(({ call }, i) => [i.toString(36), call]));
  const module = new WebAssembly.Module(Uint8Array.from(bytes));
  const exports = new WebAssembly.Instance(module, { e: imports as WebAssembly.ModuleImports })
    .exports;
  return functions.map((_, i) => exports[i.toString(36)] as CallableFunction);
}

/** Appends functions to a table and returns their indexes. */
export function addToTable(
  table: WebAssembly.Table,
  functions: readonly CallableFunction[],
): number[] {
  const first = table.grow(functions.length);
  functions.forEach((entry, i) => table.set(first + i, entry));
  return functions.map((_, i) => first + i);
}
