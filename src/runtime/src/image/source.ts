/** What counts as a picture on a page, and how it gets to the worker without holding the page up. */
import { ImageError } from "../model/errors";
import { AS_IN_THE_FILE, type Picture, read } from "./read";
import type { Pixels } from "./resize";

/** A picture: what a page has it as, or RGBA pixels row by row. */
export type ImageSource =
  | Blob
  | ImageData
  | ImageBitmap
  | VideoFrame
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | Pixels;

type Drawn = Exclude<ImageSource, Blob | ImageData | Pixels>;

/** The classes of `Drawn`; not all exist everywhere. */
const DRAWN = [
  "ImageBitmap",
  "VideoFrame",
  "HTMLImageElement",
  "HTMLVideoElement",
  "HTMLCanvasElement",
  "OffscreenCanvas",
];

function isA(value: unknown, name: string): boolean {
  const type = (globalThis as Record<string, unknown>)[name];
  return typeof type === "function" && value instanceof type;
}

function hasPixels(value: unknown): value is Pixels {
  const { data, width, height } = (value ?? {}) as Partial<Pixels>;
  return ArrayBuffer.isView(data) && typeof width === "number" && typeof height === "number";
}

/** Whether a value is a picture rather than numbers. */
export function isImageSource(value: unknown): value is ImageSource {
  return value instanceof Blob || hasPixels(value) || DRAWN.some((name) => isA(value, name));
}

/** A picture as it is now, ready for the worker. Pixels are copied when they are posted. */
export function captured(source: ImageSource): Picture | Promise<Picture> {
  if (source instanceof Blob) return workerReads() ? source : read(source);
  if (hasPixels(source)) return checkedPixels(source);
  if (!isImageSource(source)) {
    const kind = (source as object | null)?.constructor?.name ?? String(source);
    throw new ImageError(`a ${kind} is no picture: give a file, an image, a canvas or a video`);
  }
  return drawn(source);
}

function checkedPixels({ data, width, height }: Pixels): Pixels {
  const bytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  if (!bytes || data.length === 0 || data.length !== 4 * width * height) {
    throw new ImageError(
      `the ${data.length} elements of a ${data.constructor.name} are not the RGBA bytes of ` +
        `${width} x ${height} pixels`,
    );
  }
  return { data, width, height };
}

async function drawn(source: Drawn): Promise<Picture> {
  if ("naturalWidth" in source) {
    await source.decode().catch(() => {
      throw new ImageError(`the image ${source.currentSrc} could not be loaded`);
    });
    const file = await fileOf(source);
    if (file !== undefined) return captured(file);
  } else if ("videoWidth" in source) {
    if (source.readyState < source.HAVE_CURRENT_DATA || source.videoWidth === 0) {
      throw new ImageError('the video has no picture yet: wait for its event "loadeddata"');
    }
  } else if (
    "displayWidth" in source ? source.format === null : source.width * source.height === 0
  ) {
    throw new ImageError(`the ${source.constructor.name} has no pixels`);
  }
  try {
    if (!workerReads()) return await read(await createImageBitmap(source, AS_IN_THE_FILE));
    if (typeof VideoFrame !== "function" || "naturalWidth" in source) {
      return await createImageBitmap(source, AS_IN_THE_FILE);
    }
    // A frame shares its pixels with most sources, where a bitmap copies them, here and now.
    return "displayWidth" in source ? source.clone() : new VideoFrame(source, { timestamp: 0 });
  } catch (error) {
    throw new ImageError(`the ${source.constructor.name} cannot be read (${error})`);
  }
}

/**
 * The file of an image, to be decoded in the worker: of this origin, and as the browser holds it,
 * since another request might give another picture.
 */
async function fileOf({ currentSrc }: HTMLImageElement): Promise<Blob | undefined> {
  const { protocol, origin } = new URL(currentSrc);
  if (protocol !== "data:" && origin !== location.origin) return undefined;
  try {
    const response = await fetch(currentSrc, { mode: "same-origin", cache: "only-if-cached" });
    const file = await response.blob();
    return response.ok && !file.type.startsWith("image/svg") ? file : undefined;
  } catch {
    return undefined;
  }
}

let offscreen: boolean | undefined;

/** Whether workers have a canvas to read pixels from; Node's have none, and answer so. */
function workerReads(): boolean {
  offscreen ??=
    globalThis.document === undefined ||
    (typeof OffscreenCanvas === "function" && new OffscreenCanvas(1, 1).getContext("2d") !== null);
  return offscreen;
}
