/** Which tensors of a file are complete while it arrives. */
import type { WeightInfo } from "./manifest";

const endOf = ({ offset, bytes }: WeightInfo) => offset + bytes;

export class Arrivals {
  /** Those that are not complete; what comes first in the payload is last here. */
  readonly #waiting: WeightInfo[];

  constructor(tensors: readonly WeightInfo[]) {
    this.#waiting = [...tensors].sort((a, b) => endOf(b) - endOf(a));
  }

  /** Those that the payload's first `bytes` bytes complete, and that were not given before. */
  take(bytes: number): WeightInfo[] {
    const complete: WeightInfo[] = [];
    for (let next = this.#waiting.at(-1); next !== undefined; next = this.#waiting.at(-1)) {
      if (endOf(next) > bytes) break;
      complete.push(next);
      this.#waiting.pop();
    }
    return complete;
  }
}
