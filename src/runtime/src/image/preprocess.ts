/** From pixels to a network's input, as torchvision's Resize, CenterCrop and Normalize do it. */
import type { ImagePlan } from "./options";
import { type Pixels, resized, type Window } from "./resize";

/** Python's `round` of n / 2: to the even neighbour where it is halfway. */
function roundedHalf(n: number): number {
  const half = Math.floor(n / 2);
  return n % 2 === 1 && half % 2 === 1 ? half + 1 : half;
}

/**
 * The height and width to which a picture is resized so that it just covers a rectangle. For a
 * square that is torchvision's rule: the shorter side is the square's, the longer one rounded down.
 */
function covering(pixels: Pixels, [height, width]: [number, number]): [number, number] {
  return pixels.width * height >= pixels.height * width
    ? [height, Math.floor((height * pixels.width) / pixels.height)]
    : [Math.floor((width * pixels.height) / pixels.width), width];
}

/** The elements of the tensor, of shape [1, 3, H, W] or [1, H, W, 3]. Alpha is dropped. */
export function preprocess(pixels: Pixels, plan: ImagePlan): Float32Array {
  const [height, width] = plan.size;
  const full = plan.cover === undefined ? plan.size : covering(pixels, plan.cover);
  const window: Window = {
    top: roundedHalf(full[0] - height),
    left: roundedHalf(full[1] - width),
    height,
    width,
  };
  return normalized(resized(pixels, ...full, window), plan);
}

/** Each byte v becomes (v / 255 - mean) / std, in the precision and order of torch's float32. */
function normalized(rgb: Uint8Array, { mean, std, channelsLast }: ImagePlan): Float32Array {
  const { fround } = Math;
  const count = rgb.length / 3;
  const out = new Float32Array(rgb.length);
  const values = new Float32Array(256);
  for (let channel = 0; channel < 3; channel++) {
    for (let byte = 0; byte < 256; byte++) {
      const centred = fround(fround(byte / 255) - fround(mean[channel]!));
      values[byte] = centred / fround(std[channel]!);
    }
    const step = channelsLast ? 3 : 1;
    let to = channelsLast ? channel : channel * count;
    for (let from = channel; from < rgb.length; from += 3, to += step)
      out[to] = values[rgb[from]!]!;
  }
  return out;
}
