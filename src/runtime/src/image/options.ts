/** How a picture becomes a tensor, checked. */
import { ImageError } from "../model/errors";

/** What is usual for networks trained on ImageNet. */
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];
/** The side of the crop, as a part of the resized picture's shorter side: 224 of 256. */
const CROP = 0.875;

/** The preprocessing of torchvision's classification networks. */
export interface ImageOptions {
  /** Height and width of the tensor, or one number for both. 224 by default. */
  size?: number | readonly [height: number, width: number];
  /**
   * The length of the shorter side when the picture has been resized, before the crop. By default
   * the picture is resized until it just covers `size` / 0.875, rounded: 256 for 224.
   */
  resize?: number;
  /** False stretches the whole picture to `size` instead of cropping its centre. */
  crop?: boolean;
  /** Taken from the channels, of which 1 is the brightest; one number for all. ImageNet's. */
  mean?: number | readonly number[];
  /** What the channels are divided by after that. ImageNet's. */
  std?: number | readonly number[];
  /** "NCHW" gives [1, 3, H, W] and is the default, "NHWC" gives [1, H, W, 3]. */
  layout?: "NCHW" | "NHWC";
}

/** The options with nothing left open; sizes are [height, width] in pixels. */
export interface ImagePlan {
  size: [number, number];
  /** What the resized picture has to cover; undefined stretches it to `size`. */
  cover: [number, number] | undefined;
  mean: number[];
  std: number[];
  channelsLast: boolean;
}

function isLength(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 32768;
}

/** A list, or one value repeated. */
function listed(value: number | readonly number[], count: number): number[] {
  return typeof value === "object" && value !== null ? Array.from(value) : Array(count).fill(value);
}

function channels(name: string, value: number | readonly number[]): number[] {
  const three = listed(value, 3);
  const fits = three.length === 3 && three.every((number) => Number.isFinite(number));
  if (!fits) throw new ImageError(`${name} must be one number or three, not ${value}`);
  return three;
}

/** Throws ImageError where an option is not what it may be. */
export function planned(options: ImageOptions): ImagePlan {
  const { size = 224, resize, crop = true, mean = MEAN, std = STD, layout = "NCHW" } = options;
  const sides = listed(size, 2);
  if (sides.length !== 2 || !sides.every(isLength)) {
    throw new ImageError(`size must be a number of pixels, or [height, width], not ${size}`);
  }
  const [height, width] = sides as [number, number];
  let cover: [number, number] | undefined;
  if (resize !== undefined) {
    if (!crop) throw new ImageError("with crop: false the picture is resized to size; omit resize");
    if (!isLength(resize)) {
      throw new ImageError(`resize must be a number of pixels, not ${resize}`);
    }
    if (resize < height || resize < width) {
      throw new ImageError(`resize is ${resize}, which is less than size, ${height} x ${width}`);
    }
    cover = [resize, resize];
  } else if (crop) {
    cover = [Math.round(height / CROP), Math.round(width / CROP)];
  }
  if (layout !== "NCHW" && layout !== "NHWC") {
    throw new ImageError(`layout must be "NCHW" or "NHWC", not ${layout}`);
  }
  const divisors = channels("std", std);
  if (divisors.includes(0)) throw new ImageError(`std must not be zero, as in ${std}`);
  return {
    size: [height, width],
    cover,
    mean: channels("mean", mean),
    std: divisors,
    channelsLast: layout === "NHWC",
  };
}
