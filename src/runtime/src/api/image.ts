/** Pictures as tensors, made in the runtime's worker. */
import { type ImageOptions, planned } from "../image/options";
import type { Picture } from "../image/read";
import { captured, type ImageSource } from "../image/source";
import { Tensor } from "../model/tensor";
import type { Connection } from "./connection";

/** What is handed over instead of being copied: bitmaps, which are ours. */
function owned(picture: Picture): Transferable[] {
  return "close" in picture ? [picture] : [];
}

/** See `Runtime.imageTensor`. */
export async function imageTensor(
  connection: Connection,
  source: ImageSource,
  options: ImageOptions,
): Promise<Tensor> {
  const plan = planned(options);
  const capture = captured(source);
  // Pixels are posted at once: the page may go on to draw over them.
  const picture = capture instanceof Promise ? await capture : capture;
  const transfer = owned(picture);
  const [data] = await connection.request("image", { picture, plan }, { transfer });
  const [height, width] = plan.size;
  const shape = plan.channelsLast ? [1, height, width, 3] : [1, 3, height, width];
  return new Tensor(data!, shape, "float32");
}
