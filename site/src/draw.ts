/** The drawing pad, and the picture of 28 x 28 that the network sees of it. */

export const SIDE = 28;
const MNIST_BOX = 20;

export interface Pad {
  /** 784 bytes, centred as MNIST's digits are; null where nothing is drawn. */
  pixels(): Uint8Array | null;
  clear(): void;
}

/** Ink of a canvas as one number in 0..1 a pixel. */
function inkOf(canvas: HTMLCanvasElement): Float32Array {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d", { willReadFrequently: true })!.getImageData(0, 0, width, height);
  return Float32Array.from({ length: width * height }, (_, i) => data[4 * i + 3]! / 255);
}

/** The box around the ink: left, top, right, bottom (excluded); null without any. */
function boundsOf(ink: Float32Array, width: number): [number, number, number, number] | null {
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  ink.forEach((value, i) => {
    if (value < 0.1) return;
    const [x, y] = [i % width, Math.floor(i / width)];
    left = Math.min(left, x);
    right = Math.max(right, x + 1);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y + 1);
  });
  return right < 0 ? null : [left, top, right, bottom];
}

/** As MNIST was made: the ink scaled into 20 x 20, its centre of mass in the middle of 28 x 28. */
function centred(canvas: HTMLCanvasElement): Uint8Array | null {
  const bounds = boundsOf(inkOf(canvas), canvas.width);
  if (!bounds) return null;
  const [left, top, right, bottom] = bounds;
  const scale = MNIST_BOX / Math.max(right - left, bottom - top);
  const draw = (dx: number, dy: number) => {
    const small = document.createElement("canvas");
    small.width = small.height = SIDE;
    const context = small.getContext("2d", { willReadFrequently: true })!;
    context.imageSmoothingQuality = "high";
    context.setTransform(scale, 0, 0, scale, dx - left * scale, dy - top * scale);
    context.drawImage(canvas, 0, 0);
    return inkOf(small);
  };
  const corner = [(SIDE - (right - left) * scale) / 2, (SIDE - (bottom - top) * scale) / 2] as const;
  const first = draw(...corner);
  let [mass, x, y] = [0, 0, 0];
  first.forEach((value, i) => {
    mass += value;
    x += value * (i % SIDE);
    y += value * Math.floor(i / SIDE);
  });
  const middle = (SIDE - 1) / 2;
  const ink = draw(corner[0] + middle - x / mass, corner[1] + middle - y / mass);
  return Uint8Array.from(ink, (value) => Math.round(255 * value));
}

/** Lets mouse, finger, pen and keyboard draw; ``onChange`` is called after every stroke's step. */
export function createPad(canvas: HTMLCanvasElement, onChange: () => void): Pad {
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  const width = canvas.width / 14;
  let last: { x: number; y: number } | null = null;
  const cursor = { x: canvas.width / 2, y: canvas.height / 4, down: false };

  const stroke = (from: { x: number; y: number }, to: { x: number; y: number }) => {
    context.strokeStyle = getComputedStyle(canvas).color;
    context.lineWidth = width;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    onChange();
  };
  const place = (event: PointerEvent) => {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * canvas.width,
      y: ((event.clientY - box.top) / box.height) * canvas.height,
    };
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    stroke(last, { x: last.x + 0.01, y: last.y });
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const next = place(event);
    stroke(last, next);
    last = next;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => (last = null));
  }

  canvas.addEventListener("keydown", (event) => {
    const step = canvas.width / 28;
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    const move = moves[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    const from = { x: cursor.x, y: cursor.y };
    if (move) {
      cursor.x = Math.min(canvas.width, Math.max(0, cursor.x + move[0]));
      cursor.y = Math.min(canvas.height, Math.max(0, cursor.y + move[1]));
    } else {
      cursor.down = !cursor.down;
    }
    if (cursor.down) stroke(from, { x: cursor.x + 0.01, y: cursor.y });
  });

  return {
    pixels: () => centred(canvas),
    clear() {
      context.clearRect(0, 0, canvas.width, canvas.height);
      cursor.down = false;
      onChange();
    },
  };
}

/** Shows 784 bytes in a canvas of 28 x 28, in the page's ink. */
export function showPixels(canvas: HTMLCanvasElement, pixels: Uint8Array | null): void {
  const context = canvas.getContext("2d")!;
  context.clearRect(0, 0, SIDE, SIDE);
  if (!pixels) return;
  const [r = 0, g = 0, b = 0] = getComputedStyle(canvas).color.match(/\d+/g)!.map(Number);
  const image = context.createImageData(SIDE, SIDE);
  pixels.forEach((value, i) => image.data.set([r, g, b, value], 4 * i));
  context.putImageData(image, 0, 0);
}
