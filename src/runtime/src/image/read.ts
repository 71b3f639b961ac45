/** From a file or a bitmap to pixels: in the runtime's worker, or on the page where that cannot. */
import { ImageError } from "../model/errors";
import type { Pixels } from "./resize";

type Drawable = ImageBitmap | VideoFrame;

/** A picture as it goes to the worker. */
export type Picture = Blob | Drawable | Pixels;

/** The numbers of the file: no colour profile is applied, and transparent pixels keep theirs. */
export const AS_IN_THE_FILE: ImageBitmapOptions = {
  premultiplyAlpha: "none",
  colorSpaceConversion: "none",
};

/** Of WebCodecs; TypeScript's library does not have it yet. */
interface Decoder {
  decode(): Promise<{ image: VideoFrame }>;
  close(): void;
}
declare const ImageDecoder: {
  new (init: { data: ReadableStream; type: string; colorSpaceConversion: string }): Decoder;
  isTypeSupported(type: string): Promise<boolean>;
};

/**
 * A picture without transparency, by WebCodecs: Firefox decodes for createImageBitmap on the page's
 * main thread, even when a worker asks. Undefined where this does not work.
 */
async function decodedOpaque(blob: Blob): Promise<VideoFrame | undefined> {
  const { type } = blob;
  if (typeof ImageDecoder !== "function" || !(await ImageDecoder.isTypeSupported(type))) return;
  const decoder = new ImageDecoder({ data: blob.stream(), type, colorSpaceConversion: "none" });
  try {
    const { image } = await decoder.decode();
    if (image.format?.endsWith("X")) return image;
    image.close();
  } catch {
    // The type may be a wrong one, which createImageBitmap does not mind.
  } finally {
    decoder.close();
  }
}

/** Turned as EXIF says. */
async function decoded(blob: Blob): Promise<Drawable> {
  if (typeof createImageBitmap !== "function") {
    throw new ImageError("files are decoded in browsers only; give { data, width, height } here");
  }
  try {
    return (await decodedOpaque(blob)) ?? (await createImageBitmap(blob, AS_IN_THE_FILE));
  } catch (error) {
    const { name } = blob as File;
    const file = name === undefined ? "the data" : `the file "${name}"`;
    const type = blob.type === "" ? "" : `, of type ${blob.type},`;
    throw new ImageError(`${file}${type} is no picture that this browser can decode (${error})`);
  }
}

function canvas(width: number, height: number): OffscreenCanvas | HTMLCanvasElement {
  if (typeof OffscreenCanvas === "function") return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** The pixels of a picture, which is closed. Throws ImageError where there are none. */
export async function read(picture: Picture): Promise<Pixels> {
  if ("data" in picture) return picture;
  const drawable = picture instanceof Blob ? await decoded(picture) : picture;
  const isFrame = "displayWidth" in drawable;
  const width = isFrame ? drawable.displayWidth : drawable.width;
  const height = isFrame ? drawable.displayHeight : drawable.height;
  try {
    const context = canvas(width, height).getContext("2d", {
      willReadFrequently: true,
    }) as OffscreenCanvasRenderingContext2D | null;
    if (context === null) throw new Error("there is no canvas of this size");
    context.drawImage(drawable, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const exact = isFrame || isOpaque(data) ? undefined : await straight(drawable);
    return { data: exact ?? data, width, height };
  } catch (error) {
    throw new ImageError(
      `the pixels of the picture, ${width} x ${height}, cannot be read (${error})`,
    );
  } finally {
    drawable.close();
  }
}

function isOpaque(data: Uint8ClampedArray): boolean {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return false;
  return true;
}

/**
 * The pixels of a transparent picture. A canvas multiplies them with their alpha, which loses what
 * PIL's convert("RGB") keeps; WebGL does not (in Chromium), nor a video frame (in Firefox).
 * Undefined where there is neither.
 */
async function straight(bitmap: ImageBitmap): Promise<Uint8Array | undefined> {
  const { width, height } = bitmap;
  const gl = canvas(1, 1).getContext("webgl2") as WebGL2RenderingContext | null;
  if (gl !== null) {
    const { TEXTURE_2D, FRAMEBUFFER, RGBA, UNSIGNED_BYTE } = gl;
    const texture = gl.createTexture();
    gl.bindTexture(TEXTURE_2D, texture);
    gl.texImage2D(TEXTURE_2D, 0, RGBA, RGBA, UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(FRAMEBUFFER, gl.createFramebuffer());
    gl.framebufferTexture2D(FRAMEBUFFER, gl.COLOR_ATTACHMENT0, TEXTURE_2D, texture, 0);
    const data = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, RGBA, UNSIGNED_BYTE, data);
    const failed = gl.getError();
    gl.getExtension("WEBGL_lose_context")?.loseContext();
    if (!failed) return data;
  }
  if (typeof VideoFrame !== "function") return undefined;
  const frame = new VideoFrame(bitmap, { timestamp: 0 });
  try {
    const format = { format: "RGBA" } as VideoFrameCopyToOptions;
    const data = new Uint8Array(frame.allocationSize(format));
    await frame.copyTo(data, format);
    return data.length === 4 * width * height ? data : undefined;
  } catch {
    return undefined;
  } finally {
    frame.close();
  }
}
