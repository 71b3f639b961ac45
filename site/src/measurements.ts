/** The figures and plots of a run. */

import { byId, duration, integer, megabytes, percent } from "./dom";
import { Plot } from "./plot";
import type { Progress } from "./protocol";

/** The throughput shown is that of the last messages, about ten a second. */
const WINDOW = 30;

export class Measurements {
  private recent: Progress[] = [];
  private first: Progress | null = null;
  private readonly loss = new Plot(byId("loss-plot"), {
    title: "Loss",
    yLabel: "cross entropy",
    top: (largest) => Math.max(0.5, Math.ceil(2 * largest) / 2),
    format: (value) => (value < 1e4 ? value.toFixed(2) : value.toExponential(1)),
  });
  private readonly accuracy = new Plot(byId("accuracy-plot"), {
    title: "Accuracy",
    yLabel: "of the images just seen",
    top: () => 1,
    format: (value) => percent(value, 0),
  });

  /** Empties all for a new run. */
  clear(): void {
    this.recent = [];
    this.first = null;
    this.loss.clear(1);
    this.accuracy.clear(1);
    for (const id of ["throughput", "time"]) byId(id).textContent = "–";
    byId("count").textContent = "";
  }

  usage(threads: number, memoryBytes: number): void {
    byId("threads").textContent = integer.format(threads);
    byId("memory").textContent = megabytes(memoryBytes);
  }

  add(progress: Progress): void {
    this.first ??= progress;
    this.recent.push(progress);
    if (this.recent.length > WINDOW) this.recent.shift();
    const { seen, total, seconds } = progress;
    this.loss.add(seen, progress.loss, total);
    this.accuracy.add(seen, progress.accuracy, total);
    this.usage(progress.threads, progress.memoryBytes);
    byId("time").textContent = duration(seconds);
    const rate = this.rate(this.recent[0]!, progress);
    let count = `${integer.format(seen)} of ${integer.format(total)} images`;
    if (rate && seen < total) count += `, ${duration((total - seen) / rate)} left`;
    byId("count").textContent = count;
    this.showRate(rate);
  }

  /** The end of a run: from here on the throughput is that of the whole run. */
  finish(): void {
    const last = this.recent.at(-1);
    if (last && this.first) this.showRate(this.rate(this.first, last));
  }

  /** ``accuracy`` on the test images, a fraction. */
  tested(accuracy: number): void {
    this.accuracy.mark(accuracy, `${percent(accuracy)} of the test images`);
  }

  private rate(from: Progress, to: Progress): number | null {
    const seconds = to.seconds - from.seconds;
    return seconds > 0 ? (to.seen - from.seen) / seconds : null;
  }

  private showRate(rate: number | null): void {
    if (rate !== null) byId("throughput").textContent = integer.format(Math.round(rate));
  }
}
