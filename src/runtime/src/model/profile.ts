/** Times of a method's kernel calls, one by one: for those who make models and kernels faster. */
import type { Engine } from "../core/engine";
import type { Kernel, ModelCode, Wrap } from "./code";

/** One kernel call of a method. */
export interface Launch {
  /** The kernel with its version, such as "gemm@1". */
  readonly kernel: string;
  readonly milliseconds: number;
  /** Position in the `nodes` of the method's manifest. */
  readonly node: number;
  /** The kernel's argument struct (abi.h, as it is laid out in wasm32). */
  readonly args: Uint8Array<ArrayBuffer>;
}

/** Any status but 0: it ends a method's code, which then tells the node that it was at. */
const STOP = 1;

/** Runs a method's code with a clock around each of its kernels. */
export class Profiler {
  readonly #code: ModelCode;
  readonly #launches: Launch[] = [];
  readonly #nodes: number[] = [];
  /** Kernels do nothing until the one of this number, which ends the code; null: they run. */
  #end: number | null = null;
  #seen = 0;

  /** `instantiate` makes an instance of the model's code whose kernels are wrapped. */
  constructor(
    private readonly engine: Engine,
    instantiate: (wrap: Wrap) => ModelCode,
  ) {
    this.#code = instantiate((name, kernel) => (args) => this.#launch(name, kernel, args));
  }

  /** As that of ModelCode; the launches are then in `launches`. */
  run(method: string, call: number, arena: number): number {
    for (this.#end = 0; ; this.#end++) {
      this.#seen = 0;
      const result = this.#code.run(method, call, arena);
      if (result === 0) break;
      this.#nodes.push(result >>> 8);
    }
    this.#end = null;
    return this.#code.run(method, call, arena);
  }

  /** The kernel calls in their order. */
  get launches(): readonly Launch[] {
    return this.#launches;
  }

  #launch(name: string, kernel: Kernel, args: number): number {
    if (this.#end !== null) return this.#seen++ === this.#end ? STOP : 0;
    const begun = performance.now();
    const status = kernel(args);
    const milliseconds = performance.now() - begun;
    this.#launches.push({
      kernel: name,
      milliseconds,
      node: this.#nodes[this.#launches.length]!,
      args: this.#struct(args >>> 0),
    });
    return status;
  }

  /** A copy of a struct, which starts with its size. */
  #struct(address: number): Uint8Array<ArrayBuffer> {
    const view = (end: number) => this.engine.views.reaching(end).bytes;
    const size = new Uint32Array(view(address + 4).slice(address, address + 4).buffer)[0]!;
    const copy = new Uint8Array(size);
    copy.set(view(address + size).subarray(address, address + size));
    return copy;
  }
}
