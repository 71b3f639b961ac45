/** The drawing pad, and the 28 × 28 image that the network gets of what was drawn. */

import { byId } from "./dom";

/** The pad's coordinates, whatever its size on the screen. */
const PAD = 280;
const PEN = 20;
/** Of the arrow keys. */
const STEP = 14;

export const SIDE = 28;
/** MNIST's digits fill a box of 20 × 20 pixels, with strokes about 2.6 pixels wide. */
const BOX = 20;
const STROKE = 2.6;
/** What is smaller than this on the pad is not enlarged further: a dot stays a dot. */
const SMALLEST = 70;

type Point = [x: number, y: number];
type Drawing = CanvasDrawPath & CanvasPath & CanvasPathDrawingStyles;

function trace(context: Drawing, strokes: Point[][], width: number): void {
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  for (const [first, ...rest] of strokes) {
    if (!first) continue;
    context.beginPath();
    context.moveTo(...first);
    // A line of no length is a dot, by its round caps.
    context.lineTo(...first);
    for (const point of rest) context.lineTo(...point);
    context.stroke();
  }
}

/**
 * Strokes as MNIST would hold them: scaled to the box and moved so that the centre of mass is the
 * image's centre (LeCun, Cortes and Burges, "The MNIST database"). Returns SIDE × SIDE bytes.
 */
export function rasterize(strokes: Point[][]): Uint8Array {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  const points = strokes.flat();
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const scale = (BOX - STROKE) / Math.max(right - left, bottom - top, SMALLEST);

  const render = (centreX: number, centreY: number) => {
    context.reset();
    const move = ([x, y]: Point): Point => [
      (x - centreX) * scale + SIDE / 2,
      (y - centreY) * scale + SIDE / 2,
    ];
    trace(
      context,
      strokes.map((stroke) => stroke.map(move)),
      STROKE,
    );
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    return Uint8Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i + 3]!);
  };

  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  const [massX, massY] = centreOfMass(render(x, y));
  return render(x + (massX - SIDE / 2) / scale, y + (massY - SIDE / 2) / scale);
}

/** Of SIDE × SIDE bytes, in pixels from the upper left corner. */
function centreOfMass(pixels: Uint8Array): Point {
  let [mass, x, y] = [0, 0, 0];
  pixels.forEach((value, i) => {
    mass += value;
    x += value * ((i % SIDE) + 0.5);
    y += value * (Math.floor(i / SIDE) + 0.5);
  });
  return mass ? [x / mass, y / mass] : [SIDE / 2, SIDE / 2];
}

/** ``pixels`` as ink of the element's text colour, one canvas pixel each. */
function paint(canvas: HTMLCanvasElement, pixels: Uint8Array | null): void {
  const context = canvas.getContext("2d")!;
  context.clearRect(0, 0, SIDE, SIDE);
  if (!pixels) return;
  context.fillStyle = getComputedStyle(canvas).color;
  pixels.forEach((value, i) => {
    context.globalAlpha = value / 255;
    context.fillRect(i % SIDE, Math.floor(i / SIDE), 1, 1);
  });
  context.globalAlpha = 1;
}

export class Pad {
  /** What the network sees: SIDE × SIDE bytes, or null while nothing is drawn. */
  pixels: Uint8Array | null = null;
  /** The digit, where the pad shows a test image. */
  label: number | null = null;
  private strokes: Point[][] = [];
  private pointer: number | null = null;
  private readonly canvas = byId<HTMLCanvasElement>("pad");
  private readonly seen = byId<HTMLCanvasElement>("seen");
  private readonly announcement = byId("pen");
  private cursor: Point = [PAD / 2, PAD / 2];
  private penDown = false;
  private keyboard = false;

  /** ``onChange`` is called when ``pixels`` has changed. */
  constructor(private readonly onChange: () => void) {
    const { canvas } = this;
    canvas.width = canvas.height = 2 * PAD;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const type of ["pointerup", "pointercancel"] as const) {
      canvas.addEventListener(type, (event) => this.release(event));
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => {
      this.keyboard = this.penDown = false;
      this.draw();
    });
  }

  clear(): void {
    this.strokes = [];
    this.pointer = null;
    this.penDown = false;
    this.take(null, null);
  }

  /** Shows an image instead of a drawing; the next stroke replaces it. */
  show(pixels: Uint8Array, label: number): void {
    this.strokes = [];
    this.pointer = null;
    this.penDown = false;
    this.take(pixels, label);
  }

  /** Draws again, such as after a change of colours. */
  draw(): void {
    const context = this.canvas.getContext("2d")!;
    context.setTransform(2, 0, 0, 2, 0, 0);
    context.clearRect(0, 0, PAD, PAD);
    context.strokeStyle = getComputedStyle(this.canvas).color;
    paint(this.seen, this.pixels);
    if (this.pixels && !this.strokes.length) {
      context.drawImage(this.seen, 0, 0, PAD, PAD);
    }
    trace(context, this.strokes, PEN);
    if (this.keyboard) {
      context.strokeStyle = getComputedStyle(this.canvas).accentColor;
      context.lineWidth = this.penDown ? 5 : 2;
      context.beginPath();
      context.arc(...this.cursor, PEN / 2 + 3, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  private take(pixels: Uint8Array | null, label: number | null): void {
    this.pixels = pixels;
    this.label = label;
    this.draw();
    this.onChange();
  }

  private changed(): void {
    this.take(rasterize(this.strokes), null);
  }

  private place(event: PointerEvent): Point {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * PAD,
      ((event.clientY - box.top) / box.height) * PAD,
    ];
  }

  private press(event: PointerEvent): void {
    if (this.pointer !== null || event.button !== 0) return;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.keyboard = this.penDown = false;
    this.strokes.push([this.place(event)]);
    this.changed();
  }

  private move(event: PointerEvent): void {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const part of events.length ? events : [event]) {
      this.strokes.at(-1)!.push(this.place(part));
    }
    this.changed();
  }

  private release(event: PointerEvent): void {
    if (event.pointerId === this.pointer) this.pointer = null;
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const ways: Record<string, Point> = {
      ArrowLeft: [-STEP, 0],
      ArrowRight: [STEP, 0],
      ArrowUp: [0, -STEP],
      ArrowDown: [0, STEP],
    };
    const way = ways[event.key];
    if (way) {
      const inside = (value: number) => Math.max(0, Math.min(PAD, value));
      this.cursor = [inside(this.cursor[0] + way[0]), inside(this.cursor[1] + way[1])];
      if (this.penDown) this.strokes.at(-1)!.push(this.cursor);
    } else if (event.key === " ") {
      this.penDown = !this.penDown;
      if (this.penDown) this.strokes.push([this.cursor]);
      this.announcement.textContent = this.penDown ? "Pen down" : "Pen up";
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.clear();
      this.announcement.textContent = "Cleared";
    } else {
      return;
    }
    event.preventDefault();
    this.keyboard = true;
    if (this.penDown) this.changed();
    else this.draw();
  }
}
