/** One live line over "images seen", as SVG: axes with labels, the mean line, and a read-out. */

import { integer } from "./dom";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 520;
const HEIGHT = 200;
const LEFT = 52;
const RIGHT = 16;
const TOP = 26;
const BOTTOM = 38;
/** More points than this are merged pairwise, so that a long run stays cheap to draw. */
const MOST_POINTS = 400;

export interface PlotOptions {
  title: string;
  yLabel: string;
  /** The upper end of the y axis for the largest value so far; the lower end is 0. */
  top: (largest: number) => number;
  format: (value: number) => string;
}

interface Point {
  x: number;
  /** The mean of the finite values; NaN where there is none, which leaves a gap. */
  y: number;
  /** Messages merged into this point. */
  weight: number;
  /** Those of them whose value is finite. */
  finite: number;
}

/** A stretch of values that cannot be drawn: where it began, with what, and whether it goes on. */
interface Unfit {
  x: number;
  value: number;
  lasting: boolean;
}

/** Larger ones overflow in the reckoning of the axes. */
const LARGEST = 1e300;

/** Two points as one, at the place of the later. */
function merged(a: Point, b: Point): Point {
  const finite = a.finite + b.finite;
  const sum = (a.finite && a.y * a.finite) + (b.finite && b.y * b.finite);
  return { x: b.x, y: sum / finite, weight: a.weight + b.weight, finite };
}

type Attributes = Record<string, string | number>;

function svg(tag: string, attributes: Attributes, parent: Element, text?: string): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, `${value}`);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

/** 1, 2 or 5 times a power of ten, so that a span has about ``count`` steps. */
function niceStep(span: number, count: number): number {
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 5].find((factor) => factor * power >= raw) ?? 10);
}

export class Plot {
  private points: Point[] = [];
  private unfit: Unfit | null = null;
  private merge = 1;
  private total = 1;
  private marker: { x: number; y: number; label: string } | null = null;
  private readonly root: SVGElement;
  private readonly axes: SVGElement;
  private readonly raw: SVGElement;
  private readonly line: SVGElement;
  private readonly overlay: SVGElement;
  private readonly readout: SVGElement;
  private yTop = 1;

  constructor(
    parent: HTMLElement,
    private readonly options: PlotOptions,
  ) {
    this.root = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }, parent);
    this.axes = svg("g", { class: "axes" }, this.root);
    this.raw = svg("path", { class: "raw" }, this.root);
    this.line = svg("path", { class: "mean" }, this.root);
    this.overlay = svg("g", { class: "overlay" }, this.root);
    this.readout = svg("g", { class: "readout" }, this.root);
    this.root.addEventListener("pointermove", (event) => this.showReadout(event as PointerEvent));
    this.root.addEventListener("pointerleave", () => this.readout.replaceChildren());
    this.clear(1);
  }

  /** Empties the plot; ``total`` is the right end of the x axis, in images. */
  clear(total: number): void {
    this.points = [];
    this.unfit = null;
    this.merge = 1;
    this.total = total;
    this.marker = null;
    this.readout.replaceChildren();
    this.draw();
  }

  add(x: number, y: number, total: number): void {
    this.total = Math.max(total, x);
    const fit = Math.abs(y) < LARGEST;
    if (fit && this.unfit) this.unfit.lasting = false;
    if (!fit && !this.unfit?.lasting) this.unfit = { x, value: y, lasting: true };
    const point = { x, y: fit ? y : Number.NaN, weight: 1, finite: fit ? 1 : 0 };
    const last = this.points.at(-1);
    if (last && last.weight < this.merge) this.points.splice(-1, 1, merged(last, point));
    else this.points.push(point);
    if (this.points.length > MOST_POINTS) this.halve();
    this.draw();
  }

  /** A labelled dot at the right end, such as the accuracy on the test images. */
  mark(y: number, label: string): void {
    this.marker = { x: this.points.at(-1)?.x ?? this.total, y, label };
    this.draw();
  }

  private halve(): void {
    const halved: Point[] = [];
    for (let i = 0; i < this.points.length; i += 2) {
      const a = this.points[i]!;
      const b = this.points[i + 1];
      halved.push(b ? merged(a, b) : a);
    }
    this.points = halved;
    this.merge *= 2;
  }

  private px = (x: number) => LEFT + (x / this.total) * (WIDTH - LEFT - RIGHT);
  private py = (y: number) => TOP + (1 - Math.min(y / this.yTop, 1)) * (HEIGHT - TOP - BOTTOM);

  private draw(): void {
    const drawn = this.points.filter((p) => p.finite);
    this.yTop = this.options.top(drawn.reduce((most, p) => Math.max(most, p.y), 0));
    this.drawAxes();
    const path = (ys: number[]) =>
      ys
        .map((y, i) => {
          if (Number.isNaN(y)) return "";
          const [x, v] = [this.px(this.points[i]!.x), this.py(y)];
          return `${this.points[i - 1]?.finite ? "L" : "M"}${x.toFixed(1)} ${v.toFixed(1)}`;
        })
        .join("");
    this.raw.setAttribute("d", path(this.points.map((p) => p.y)));
    this.line.setAttribute("d", path(this.smoothed()));
    this.overlay.replaceChildren();
    if (this.marker) {
      const { x, y, label } = this.marker;
      svg("circle", { cx: this.px(x), cy: this.py(y), r: 4.5 }, this.overlay);
      // Clear of the line, which wavers about the dot's height.
      const shift = y > this.yTop / 2 ? 34 : -20;
      svg(
        "text",
        { x: this.px(x), y: this.py(y) + shift, "text-anchor": "end" },
        this.overlay,
        label,
      );
    }
    const words = this.unfitInWords();
    if (words) {
      // Beside the title, clear of the line.
      const place = { x: LEFT + 72, y: 13, class: "unfit" };
      svg("text", place, this.overlay, words);
    }
    const last = this.smoothed().at(-1);
    let now = last === undefined ? "no values yet" : `now ${this.options.format(last)}`;
    if (words) now = this.unfit!.lasting ? words : `${now}; ${words}`;
    this.root.setAttribute("aria-label", `${this.options.title} over images seen: ${now}`);
  }

  /** "NaN from 1,280 images on" */
  private unfitInWords(): string {
    if (!this.unfit) return "";
    const { x, value, lasting } = this.unfit;
    const what = Number.isNaN(value) ? "NaN" : `${value < 0 ? "minus " : ""}infinity`;
    const images = `${integer.format(x)} images`;
    return lasting ? `${what} from ${images} on` : `${what} at ${images}`;
  }

  /** A running mean: it follows the steep beginning closely, and later spans about 12 points. */
  private smoothed(): number[] {
    let mean = 0;
    let count = 0;
    return this.points.map(({ y, finite }) => {
      if (!finite) return y;
      mean += (y - mean) / Math.min(12, 1 + count / 8);
      count += 1;
      return mean;
    });
  }

  private drawAxes(): void {
    const { axes, options } = this;
    axes.replaceChildren();
    svg("text", { x: LEFT, y: 13, class: "title" }, axes, options.title);
    svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, axes, "images seen");
    svg("text", { x: WIDTH - RIGHT, y: 13, "text-anchor": "end" }, axes, options.yLabel);
    const yStep = niceStep(this.yTop, 4);
    for (let y = 0; y <= this.yTop * 1.0001; y += yStep) {
      const v = this.py(y);
      svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: v, y2: v }, axes);
      svg("text", { x: LEFT - 8, y: v + 4, "text-anchor": "end" }, axes, options.format(y));
    }
    if (this.total <= 1) return;
    const xStep = niceStep(this.total, 5);
    for (let x = 0; x <= this.total; x += xStep) {
      const v = this.px(x);
      const base = HEIGHT - BOTTOM;
      svg("line", { x1: v, x2: v, y1: base, y2: base + 4 }, axes);
      const anchor = this.total - x < xStep / 4 ? "end" : "middle";
      svg("text", { x: v, y: base + 17, "text-anchor": anchor }, axes, integer.format(x));
    }
  }

  private showReadout(event: PointerEvent): void {
    this.readout.replaceChildren();
    if (!this.points.some((p) => p.finite)) return;
    const box = this.root.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const values = this.smoothed();
    let best = this.points.findIndex((p) => p.finite);
    this.points.forEach((p, i) => {
      const distance = Math.abs(this.px(p.x) - x);
      if (p.finite && distance < Math.abs(this.px(this.points[best]!.x) - x)) best = i;
    });
    const v = this.px(this.points[best]!.x);
    const y = this.py(values[best]!);
    svg("line", { x1: v, x2: v, y1: TOP, y2: HEIGHT - BOTTOM }, this.readout);
    svg("circle", { cx: v, cy: y, r: 3.5 }, this.readout);
    const anchor = v > WIDTH / 2 ? "end" : "start";
    const shift = anchor === "end" ? -8 : 8;
    const text = `${this.options.format(values[best]!)} at ${integer.format(this.points[best]!.x)}`;
    const above = y - 9 < TOP + 10 ? y + 18 : y - 9;
    svg("text", { x: v + shift, y: above, "text-anchor": anchor }, this.readout, text);
  }
}
