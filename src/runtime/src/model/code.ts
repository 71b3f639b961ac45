/** A model's code on an engine: what it may ask for, and calls that survive traps. */
import type { Engine } from "../core/engine";
import { Damaged, MissingKernel } from "./errors";

/** The imports that any model may have, besides kernels. */
const ENVIRONMENT: Readonly<Record<string, WebAssembly.ImportExportKind>> = {
  memory: "memory",
  weights: "global",
  constants: "global",
  arena: "global",
};

/** Refuses a module that asks for more than a model may, or lacks what its manifest promises. */
export function checkModule(
  module: WebAssembly.Module,
  methods: readonly string[],
  engine: Engine,
): void {
  const missing: string[] = [];
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from === "kernel" && kind === "function") {
      if (!(name in engine.exports) || !name.includes("@")) missing.push(name);
    } else if (from !== "env" || ENVIRONMENT[name] !== kind) {
      throw new Damaged(`the model's code asks for ${from}.${name}, which no model may`);
    }
  }
  if (missing.length > 0) {
    throw new MissingKernel(
      `the model calls ${missing.sort().join(", ")}, which this version's engine lacks: update ` +
        "wasm-torch, or export the model again with this version",
    );
  }
  const found = new Set(
    WebAssembly.Module.exports(module)
      .filter(({ kind }) => kind === "function")
      .map(({ name }) => name),
  );
  for (const method of methods) {
    if (!found.has(`method:${method}`)) {
      throw new Damaged(`the model's code lacks the method ${method}: export the model again`);
    }
  }
}

type MethodFunction = (call: number) => number;

/** A kernel of the engine: the address of its arguments to a status. */
export type Kernel = (args: number) => number;
/** Puts a function in the place of a kernel that a model imports. */
export type Wrap = (name: string, kernel: Kernel) => Kernel;

/** The instance of a checked module, on the engine of this thread. */
export class ModelCode {
  readonly #arena: WebAssembly.Global<"i32">;
  readonly #functions: WebAssembly.Exports;

  /**
   * `weights` and `constants` are addresses in the engine's memory; calls take one thread where
   * `serial`. `wrap` is for profiles.
   */
  constructor(
    private readonly engine: Engine,
    module: WebAssembly.Module,
    weights: number,
    constants: number,
    private readonly serial: boolean,
    wrap: Wrap = (_, kernel) => kernel,
  ) {
    const i32 = (value: number, mutable: boolean) =>
      new WebAssembly.Global({ value: "i32", mutable }, value | 0);
    this.#arena = i32(0, true);
    const kernel: WebAssembly.ModuleImports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      if (from === "kernel") kernel[name] = wrap(name, engine.exports[name] as Kernel);
    }
    const env = {
      memory: engine.views.memory,
      weights: i32(weights, false),
      constants: i32(constants, false),
      arena: this.#arena,
    };
    this.#functions = new WebAssembly.Instance(module, { env, kernel }).exports;
  }

  /** Packs the weights, once, before any run: 0, or `weight << 8 | status`. */
  prepare(): number {
    return "prepare" in this.#functions ? this.#guarded("prepare", 0) : 0;
  }

  /** Runs a method on a call block and an arena: 0, or `node << 8 | status`. */
  run(method: string, call: number, arena: number): number {
    this.#arena.value = arena | 0;
    return this.#guarded(`method:${method}`, call);
  }

  #guarded(name: string, call: number): number {
    const { wt_set_num_threads, wt_threads_wanted } = this.engine.exports;
    const threads = wt_threads_wanted();
    if (this.serial) wt_set_num_threads(1);
    try {
      return (this.#functions[name] as MethodFunction)(call | 0);
    } catch {
      return this.engine.recover();
    } finally {
      if (this.serial) wt_set_num_threads(threads);
    }
  }
}
