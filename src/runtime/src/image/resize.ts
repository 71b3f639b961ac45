/**
 * Resizing as PIL's `Image.resize(size, BILINEAR)` does it, to the bit: a triangle as wide as the
 * reduction, along the rows and then along the columns, each rounded to 8 bits from fixed point.
 * (Pillow 13 takes the columns first for some tall pictures, which differ by 1 of 255 then.)
 *
 * The algorithm is that of Pillow's src/libImaging/Resample.c, whose weights go back to Turkowski,
 * "Filters for Common Resampling Tasks", Graphics Gems I (1990).
 */

/** RGBA, row by row. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** A rectangle of the resized picture. */
export interface Window {
  top: number;
  left: number;
  height: number;
  width: number;
}

/** Of a 32-bit sum, 8 bits are the value and 2 are left for the sum's carry. */
const PRECISION = 32 - 8 - 2;
const HALF = 1 << (PRECISION - 1);

/** For each place along one axis: the first source pixel, how many there are, and their weights. */
interface Taps {
  readonly begin: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
  /** Places of `weights` for each place of the axis. */
  readonly most: number;
}

/** Of the places from `first` on, of an axis that goes from `from` pixels to `to`. */
function tapsOf(from: number, to: number, first: number, places: number): Taps {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const most = 2 * Math.ceil(support) + 1;
  const begin = new Int32Array(places);
  const count = new Int32Array(places);
  const weights = new Int32Array(places * most);
  const exact = new Float64Array(most);
  for (let place = 0; place < places; place++) {
    const centre = (first + place + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const taps = Math.min(from, Math.trunc(centre + support + 0.5)) - low;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const distance = Math.abs((tap + low - centre + 0.5) * (1 / support));
      exact[tap] = Math.max(0, 1 - distance);
      sum += exact[tap]!;
    }
    for (let tap = 0; tap < taps; tap++) {
      weights[place * most + tap] = Math.trunc(0.5 + (exact[tap]! / sum) * (1 << PRECISION));
    }
    begin[place] = low;
    count[place] = taps;
  }
  return { begin, count, weights, most };
}

/**
 * A window of the picture resized to `height` x `width`: RGB, row by row. Only what the window
 * needs is computed.
 */
export function resized(pixels: Pixels, height: number, width: number, window: Window): Uint8Array {
  const across = tapsOf(pixels.width, width, window.left, window.width);
  const down = tapsOf(pixels.height, height, window.top, window.height);
  const last = window.height - 1;
  const top = down.begin[0]!;
  const rows = down.begin[last]! + down.count[last]! - top;
  return alongColumns(alongRows(pixels, across, window.width, top, rows), down, window, top);
}

/** The source's rows from `top` on, each `width` pixels of RGB. */
function alongRows(pixels: Pixels, taps: Taps, width: number, top: number, rows: number) {
  const { data } = pixels;
  const { begin, count, weights, most } = taps;
  const out = new Uint8Array(rows * width * 3);
  let to = 0;
  for (let y = top; y < top + rows; y++) {
    for (let x = 0; x < width; x++) {
      let from = 4 * (y * pixels.width + begin[x]!);
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      for (let tap = x * most, end = tap + count[x]!; tap < end; tap++, from += 4) {
        const weight = weights[tap]!;
        red += Math.imul(data[from]!, weight);
        green += Math.imul(data[from + 1]!, weight);
        blue += Math.imul(data[from + 2]!, weight);
      }
      out[to++] = red >> PRECISION;
      out[to++] = green >> PRECISION;
      out[to++] = blue >> PRECISION;
    }
  }
  return out;
}

/** From rows of the source, the first of which is its row `top`, to those of the window. */
function alongColumns(rows: Uint8Array, taps: Taps, { height, width }: Window, top: number) {
  const { begin, count, weights, most } = taps;
  const stride = width * 3;
  const out = new Uint8Array(height * stride);
  const sums = new Int32Array(stride);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF);
    for (let tap = 0; tap < count[y]!; tap++) {
      const weight = weights[y * most + tap]!;
      const row = (begin[y]! - top + tap) * stride;
      for (let i = 0; i < stride; i++) sums[i]! += Math.imul(rows[row + i]!, weight);
    }
    for (let i = 0; i < stride; i++) out[y * stride + i] = sums[i]! >> PRECISION;
  }
  return out;
}
