/** A loaded model, as a page uses it. */
import { bindInputs, type InputNest, nestOutputs, type OutputNest } from "../model/bind";
import { ModelInputError } from "../model/errors";
import type { Manifest, MethodInfo, TensorInfo } from "../model/manifest";
import type { MemoryStats } from "../model/runtime";
import type { Connection } from "./connection";
import type { Queue } from "./queue";

export interface CallOptions {
  /** Takes the call out of the queue while it waits; one that runs already is not interrupted. */
  signal?: AbortSignal;
}

export class Model {
  /** @internal Models come from `runtime.loadModel`. */
  constructor(
    private readonly connection: Connection,
    private readonly queue: Queue,
    private readonly number: number,
    /** What the file says of itself: producer, weights, methods. */
    readonly manifest: Manifest,
  ) {}

  /** The names of the methods. */
  get methods(): string[] {
    return Object.keys(this.manifest.methods);
  }

  /** What `forward` runs: the method of this name, or the only one. */
  get defaultMethod(): string {
    const { methods } = this;
    return methods.includes("forward") || methods.length !== 1 ? "forward" : methods[0]!;
  }

  /** The inputs of `forward`. */
  get inputs(): readonly TensorInfo[] {
    return this.#method(this.defaultMethod).inputs;
  }

  /** The outputs of `forward`. */
  get outputs(): readonly TensorInfo[] {
    return this.#method(this.defaultMethod).outputs;
  }

  /** The inputs and outputs of a method. Throws ModelInputError where there is none. */
  signature(method: string): Pick<MethodInfo, "inputs" | "outputs"> {
    const { inputs, outputs } = this.#method(method);
    return { inputs, outputs };
  }

  #method(name: string): MethodInfo {
    const { methods } = this.manifest;
    if (Object.hasOwn(methods, name)) return methods[name]!;
    throw new ModelInputError(
      `this model has no method "${name}"; it has ${this.methods.join(", ")}`,
    );
  }

  /**
   * Runs the method `forward`: tensors, typed arrays or nested numbers by position, one object with
   * the inputs by name, or the nest that the exported model took. Gives a tensor, or the nest of
   * arrays and objects which the exported model gave.
   *
   * Calls of one runtime run one after another, in order.
   *
   * @throws ModelInputError for inputs that do not fit; OutOfMemory and ExecutionError where the
   * engine refuses. The model goes on working.
   */
  // eslint-free: one output is by far the most frequent, and `any` lets it be used as a Tensor.
  // biome-ignore lint/suspicious/noExplicitAny: the nest is the model's, not known to the compiler
  async forward(...inputs: InputNest[]): Promise<any> {
    return this.call(this.defaultMethod, ...inputs);
  }

  /** Runs a method by its name; see `forward`. */
  // biome-ignore lint/suspicious/noExplicitAny: as for forward
  async call(method: string, ...inputs: InputNest[]): Promise<any> {
    return this.run(method, inputs);
  }

  /** As `call`, with options. */
  async run(
    method: string,
    inputs: readonly InputNest[],
    { signal }: CallOptions = {},
  ): Promise<OutputNest> {
    const info = this.#method(method);
    const bound = bindInputs(method, info, inputs);
    const content = { model: this.number, method, ...bound };
    const send = () => this.connection.request("call", content);
    return nestOutputs(info, await this.queue.run(send, signal), bound.sizes);
  }

  /** Gives every buffer that calls change the value that it has in the file. */
  async resetState(): Promise<void> {
    const send = () => this.connection.request("resetState", { model: this.number });
    await this.queue.run(send);
  }

  /** Bytes of the engine's memory, which all models of the runtime share. */
  getMemoryStats(): Promise<MemoryStats> {
    return this.connection.request("stats", undefined);
  }

  /** Gives the model's memory back; it cannot be called any more. */
  async dispose(): Promise<void> {
    const send = () => this.connection.request("dispose", { model: this.number });
    await this.queue.run(send);
  }
}
