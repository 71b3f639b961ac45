/** The network of the page: loaded once, asked again and again, and timed. */

import type { ImageSource, Model, Runtime, Tensor } from "../../src/runtime/src/index";

export const SIDE = 224;
/** What imageTensor takes from the channels and divides them by, unless told otherwise. */
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];
const SHOWN = 5;

export interface Guess {
  name: string;
  probability: number;
}

export interface Answer {
  /** The likeliest first. */
  guesses: Guess[];
  /** The tensor that the network was given. */
  image: Tensor;
  prepareMs: number;
  forwardMs: number;
  memoryBytes: number;
}

export class Classifier {
  private constructor(
    readonly runtime: Runtime,
    private readonly model: Model,
    private readonly names: string[],
  ) {}

  /** Starts the engine and loads the network; told of the part that has arrived, from 0 to 1. */
  static async load(onProgress: (part: number) => void): Promise<Classifier> {
    const runtime = await WASMTorch.init();
    try {
      const model = await runtime.loadModel("models/mobilenet_v2.wasm", {
        onProgress: ({ loaded, total }) => onProgress(total === undefined ? 0 : loaded / total),
      });
      const response = await fetch("models/classes.json");
      if (!response.ok) throw new Error(`${response.url}: HTTP status ${response.status}`);
      const names: string[] = await response.json();
      // The first run touches memory that no later one does, and code that is not yet compiled.
      await model.forward(await runtime.imageTensor(new ImageData(SIDE, SIDE), { size: SIDE }));
      return new Classifier(runtime, model, names);
    } catch (error) {
      runtime.dispose();
      throw error;
    }
  }

  async classify(picture: ImageSource): Promise<Answer> {
    const begun = performance.now();
    const image = await this.runtime.imageTensor(picture, { size: SIDE });
    const prepared = performance.now();
    const probabilities: Tensor = await this.model.forward(image);
    const forwardMs = performance.now() - prepared;
    const guesses = probabilities
      .topk(SHOWN)
      .map(({ index, value }) => ({ name: this.names[index]!, probability: value }));
    const { peakBytes } = await this.runtime.getMemoryStats();
    return { guesses, image, prepareMs: prepared - begun, forwardMs, memoryBytes: peakBytes };
  }
}

/** The picture that a tensor was made of, as far as the network sees it. */
export function pixelsOf({ data }: Tensor): ImageData {
  const pixels = new ImageData(SIDE, SIDE);
  const count = SIDE * SIDE;
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = Number(data[channel * count + i]) * STD[channel]! + MEAN[channel]!;
      pixels.data[4 * i + channel] = Math.round(255 * value);
    }
    pixels.data[4 * i + 3] = 255;
  }
  return pixels;
}
