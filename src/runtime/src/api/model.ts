/** A loaded model, as a page uses it. */
import { type ImageSource, isImageSource } from "../image/source";
import { bindInputs, type InputNest, nestOutputs, type OutputNest } from "../model/bind";
import { Disposed, ModelInputError } from "../model/errors";
import type { Manifest, MethodInfo, TensorInfo } from "../model/manifest";
import type { MemoryStats } from "../model/runtime";
import type { Sizes } from "../model/sizes";
import type { Connection } from "./connection";
import { imageTensor } from "./image";
import type { Queue } from "./queue";

export interface CallOptions {
  /** Takes the call out of the queue while it waits; one that runs already is not interrupted. */
  signal?: AbortSignal;
}

/** What a method takes: see `Model.forward`. */
export type ModelInput = InputNest | ImageSource;

/** Height and width of the picture which a method's only input is; undefined where it is none. */
function pictureSize({ inputs }: MethodInfo): [number, number] | undefined {
  const [info, ...others] = inputs;
  if (info?.dtype !== "float32" || others.length > 0) return undefined;
  const [count, channels, height, width, ...rest] = info.shape;
  if (typeof count === "number" && count !== 1) return undefined;
  if (channels !== 3 || rest.length > 0) return undefined;
  if (typeof height !== "number" || typeof width !== "number") return undefined;
  return height * width > 0 ? [height, width] : undefined;
}

type Bound = ReturnType<typeof bindInputs>;

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
   * Where the only input is float32 of shape [1, 3, H, W], a picture may be given: it is made a
   * tensor as `runtime.imageTensor` does it for the size [H, W], with ImageNet's mean and std.
   *
   * Calls of one runtime run one after another, in order.
   *
   * The result is typed `any`: its nest is the model's, and mostly it is one Tensor.
   *
   * @throws ModelInputError for inputs that do not fit, ImageError for pictures that are none;
   * OutOfMemory and ExecutionError where the engine refuses. The model goes on working.
   */
  async forward(...inputs: ModelInput[]): Promise<any> {
    return this.call(this.defaultMethod, ...inputs);
  }

  /** Runs a method by its name; see `forward`. */
  async call(method: string, ...inputs: ModelInput[]): Promise<any> {
    return this.run(method, inputs);
  }

  /** As `call`, with options. */
  async run(
    method: string,
    inputs: readonly ModelInput[],
    { signal }: CallOptions = {},
  ): Promise<OutputNest> {
    const info = this.#method(method);
    const given = this.#bound(method, info, inputs);
    let sizes: Sizes = new Map();
    const send = async () => {
      const bound = await given;
      sizes = bound.sizes;
      return this.connection.request("call", { model: this.number, method, ...bound });
    };
    const outputs = await this.queue.run(send, signal);
    return nestOutputs(info, outputs, sizes);
  }

  /** Numbers are checked at once; a picture becomes a tensor while earlier calls run. */
  #bound(method: string, info: MethodInfo, given: readonly ModelInput[]): Bound | Promise<Bound> {
    const [picture] = given;
    const size = pictureSize(info);
    if (size === undefined || given.length !== 1 || !isImageSource(picture)) {
      return bindInputs(method, info, given as readonly InputNest[]);
    }
    const tensor = imageTensor(this.connection, picture, { size });
    const bound = tensor.then((image) => bindInputs(method, info, [image]));
    bound.catch(() => undefined); // whoever awaits the call is told
    return bound;
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

  /** Gives the model's memory back, unless it went with the runtime; it cannot be called any more. */
  async dispose(): Promise<void> {
    const send = () => this.connection.request("dispose", { model: this.number });
    await this.queue.run(send).catch((error: unknown) => {
      if (!(error instanceof Disposed)) throw error;
    });
  }
}
