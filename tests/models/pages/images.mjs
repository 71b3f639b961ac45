// Pictures of every kind that a page has, as tensors; and what is refused.

export async function blobOf(name) {
  return (await fetch(`pictures/${name}`)).blob();
}

async function wantedOf(name) {
  return new Float32Array(await (await fetch(`pictures/${name}.bin`)).arrayBuffer());
}

/** The largest difference of two tensors' elements, in steps of a byte (of the channels' smallest). */
export function difference(got, wanted) {
  if (got.length !== wanted.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < got.length; i++) worst = Math.max(worst, Math.abs(got[i] - wanted[i]));
  return worst * 255 * 0.229;
}

/** For each file, how far its tensor is from the one that PIL and torch made. */
export async function fileDifferences(runtime, names) {
  const result = {};
  for (const name of names) {
    const { data } = await runtime.imageTensor(await blobOf(name));
    result[name] = difference(data, await wantedOf(name));
  }
  return result;
}

export async function imageElement(name) {
  const image = new Image();
  image.src = `pictures/${name}`;
  await image.decode();
  return image;
}

export function canvasOf(image, canvas = document.createElement("canvas")) {
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas;
}

/** A video that shows a canvas. */
export async function videoOf(canvas) {
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = canvas.captureStream(30);
  // A canvas's stream begins with the first drawing after it was asked for.
  const { width, height } = canvas;
  const copy = canvas.getContext("2d").getImageData(0, 0, width, height);
  const redraw = setInterval(() => canvas.getContext("2d").putImageData(copy, 0, 0), 20);
  await video.play();
  while (video.readyState < 2 || video.videoWidth === 0) await new Promise((r) => setTimeout(r, 20));
  await new Promise((resolve) => setTimeout(resolve, 200));
  clearInterval(redraw);
  return video;
}

/** One picture as everything that a page may hold it as: how far each is from PIL's tensor. */
export async function sourceDifferences(runtime, name) {
  const blob = await blobOf(name);
  const image = await imageElement(name);
  const canvas = canvasOf(image);
  const { width, height } = canvas;
  const offscreen = new OffscreenCanvas(width, height);
  offscreen.getContext("2d").drawImage(image, 0, 0);
  const imageData = canvas.getContext("2d").getImageData(0, 0, width, height);
  const sources = {
    File: new File([blob], "picture.png", { type: blob.type }),
    HTMLImageElement: image,
    HTMLCanvasElement: canvas,
    OffscreenCanvas: offscreen,
    ImageBitmap: await createImageBitmap(blob),
    ImageData: imageData,
    pixels: { data: new Uint8Array(imageData.data), width, height },
    HTMLVideoElement: await videoOf(canvas),
  };
  if (typeof VideoFrame === "function") sources.VideoFrame = new VideoFrame(canvas, { timestamp: 0 });
  const wanted = await wantedOf(name);
  const result = {};
  for (const [kind, source] of Object.entries(sources)) {
    // Twice: what was given is still the page's.
    await runtime.imageTensor(source);
    result[kind] = difference((await runtime.imageTensor(source)).data, wanted);
  }
  sources.VideoFrame?.close();
  return result;
}

async function refusal(promise) {
  try {
    await promise;
    return "nothing was thrown";
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

export async function imageRefusals(runtime) {
  const refuse = (source, options) => refusal(runtime.imageTensor(source, options));
  const good = await blobOf("plain.png");
  const broken = new Image();
  broken.src = "pictures/text.png";
  const closed = await createImageBitmap(good);
  closed.close();
  const hidden = new OffscreenCanvas(0, 0);
  const named = new File([await blobOf("text.png")], "text.png", { type: "image/png" });
  return {
    text: await refuse(await blobOf("text.png")),
    named: await refuse(named),
    cut: await refuse(await blobOf("cut.png")),
    empty: await refuse(await blobOf("empty.png")),
    broken: await refuse(broken),
    closed: await refuse(closed),
    video: await refuse(document.createElement("video")),
    canvas: await refuse(Object.assign(document.createElement("canvas"), { width: 0 })),
    offscreen: await refuse(hidden),
    address: await refuse("pictures/plain.png"),
    nothing: await refuse(null),
    size: await refuse(good, { size: -1 }),
    mean: await refuse(good, { mean: [1, 2] }),
    std: await refuse(good, { std: 0 }),
    "still works": await refuse(good),
  };
}

/**
 * The most that a timer on this thread is late, in milliseconds, while `work` runs; the smallest of
 * some attempts, since other programs use the processors, too.
 */
export async function lateness(work, allowed, attempts = 12) {
  let best = Infinity;
  for (let i = 0; i < attempts && best > allowed; i++) {
    let worst = 0;
    let due = performance.now() + 4;
    let timer = 0;
    const tick = () => {
      worst = Math.max(worst, performance.now() - due);
      due = performance.now() + 4;
      timer = setTimeout(tick, 4);
    };
    timer = setTimeout(tick, 4);
    await work();
    worst = Math.max(worst, performance.now() - due);
    clearTimeout(timer);
    best = Math.min(best, worst);
  }
  return best;
}
