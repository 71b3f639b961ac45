import assert from "node:assert/strict";
import { test } from "node:test";
import { type ImageOptions, planned } from "../src/image/options";
import { preprocess } from "../src/image/preprocess";
import { type Pixels, resized } from "../src/image/resize";
import { captured, isImageSource } from "../src/image/source";
import { ImageError } from "../src/model/errors";

/** Channels that differ, and an alpha that nobody should see. */
function picture(width: number, height: number): Pixels {
  const data = new Uint8Array(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    const [y, x] = [Math.floor(i / width), i % width];
    data.set(
      [(x * 37 + y * 101) & 255, (x * x * 11 + y * 7) & 255, (x * y * 29) & 255, i & 255],
      4 * i,
    );
  }
  return { data, width, height };
}

const PIL_REDUCED = [
  88, 10, 9, 118, 54, 41, 168, 148, 74, 137, 21, 28, 110, 65, 108, 143, 159, 127,
];
const PIL_ENLARGED = [
  0, 0, 0, 9, 3, 0, 28, 8, 0, 37, 11, 0, 63, 4, 0, 72, 7, 4, 91, 12, 14, 100, 15, 18, 139, 10, 0,
  148, 13, 10, 167, 18, 30, 176, 21, 40, 202, 14, 0, 211, 17, 15, 230, 22, 44, 239, 25, 58,
];

function whole(pixels: Pixels, height: number, width: number): number[] {
  return [...resized(pixels, height, width, { top: 0, left: 0, height, width })];
}

test("pictures are resized as PIL resizes them", () => {
  // Image.fromarray(rgb).resize((width, height), BILINEAR) of Pillow 13.
  assert.deepEqual(whole(picture(5, 4), 2, 3), PIL_REDUCED);
  assert.deepEqual(whole(picture(2, 3), 4, 4), PIL_ENLARGED);
  const same = picture(3, 2);
  const rgb = [...same.data].filter((_, i) => i % 4 !== 3);
  assert.deepEqual(whole(same, 2, 3), rgb, "a picture of the right size stays as it is");
});

test("a window is a part of the whole", () => {
  const pixels = picture(61, 47);
  const all = whole(pixels, 20, 31);
  const window = { top: 3, left: 7, height: 11, width: 13 };
  const part = resized(pixels, 20, 31, window);
  for (let y = 0; y < window.height; y++) {
    const row = part.subarray(3 * 13 * y, 3 * 13 * (y + 1));
    const from = 3 * (31 * (window.top + y) + window.left);
    assert.deepEqual([...row], all.slice(from, from + 39), `row ${y}`);
  }
});

test("the centre is cropped with Python's rounding, and normalised", () => {
  // 9 x 6 becomes 6 x 4; of 4 and 6, a crop of 3 leaves 0.5 and 1.5, which round to 0 and 2.
  const pixels = picture(9, 6);
  const plain: ImageOptions = { size: 3, resize: 4, mean: 0, std: 1 / 255 };
  const wanted = resized(pixels, 4, 6, { top: 0, left: 2, height: 3, width: 3 });
  const got = preprocess(pixels, planned(plain));
  const last = preprocess(pixels, planned({ ...plain, layout: "NHWC" }));
  for (let i = 0; i < 9; i++) {
    for (let channel = 0; channel < 3; channel++) {
      assert.equal(Math.round(got[channel * 9 + i]!), wanted[3 * i + channel]);
      assert.equal(last[3 * i + channel], got[channel * 9 + i]);
    }
  }
  const grey: Pixels = { data: new Uint8Array(4).fill(128), width: 1, height: 1 };
  const one = preprocess(grey, planned({ size: 1, crop: false }));
  // torch: (torch.tensor(128.0) / 255 - mean) / std
  assert.deepEqual([...one], [0.07406462728977203, 0.20518219470977783, 0.4264925718307495]);
});

test("by default the picture covers size / 0.875", () => {
  assert.deepEqual(planned({}).cover, [256, 256]);
  assert.deepEqual(planned({ size: 299 }).cover, [342, 342]);
  assert.deepEqual(planned({ size: [180, 320] }).cover, [206, 366]);
  assert.deepEqual(planned({ resize: 232 }).cover, [232, 232]);
  assert.equal(planned({ crop: false }).cover, undefined);
  const tall = picture(10, 300);
  assert.equal(preprocess(tall, planned({ size: [40, 8] })).length, 3 * 40 * 8);
});

test("options that cannot be are refused", () => {
  for (const [options, message] of [
    [{ size: 0 }, /size must be a number of pixels, or \[height, width\], not 0/],
    [{ size: 1.5 }, /not 1.5/],
    [{ size: [224] }, /not 224/],
    [{ size: null }, /not null/],
    [{ size: "224" }, /not 224/],
    [{ mean: [0.5, 0.5] }, /mean must be one number or three, not 0.5,0.5/],
    [{ mean: ["a", 1, 2] }, /mean must be/],
    [{ std: [1, Number.NaN, 1] }, /std must be/],
    [{ std: [1, 0, 1] }, /std must not be zero, as in 1,0,1/],
    [{ resize: 200 }, /resize is 200, which is less than size, 224 x 224/],
    [{ resize: -1 }, /resize must be/],
    [{ resize: 256, crop: false }, /omit resize/],
    [{ layout: "CHW" }, /layout must be "NCHW" or "NHWC", not CHW/],
  ] as [ImageOptions, RegExp][]) {
    assert.throws(
      () => planned(options),
      (error: Error) => {
        assert.ok(error instanceof ImageError);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});

test("what is no picture is refused", () => {
  assert.ok(isImageSource(picture(1, 1)));
  assert.ok(isImageSource(new Blob([])));
  for (const other of [null, undefined, "cat.jpg", new Float32Array(3), [1], { data: [1] }, {}]) {
    assert.ok(!isImageSource(other));
    assert.throws(() => captured(other as never), /is no picture: give a file/);
  }
  const refuses = (data: unknown, message: RegExp) =>
    assert.throws(() => captured({ data, width: 2, height: 2 } as never), message);
  refuses(new Uint8Array(12), /12 elements of a Uint8Array are not the RGBA bytes of 2 x 2 pixels/);
  refuses(new Float32Array(16), /Float32Array/);
});
