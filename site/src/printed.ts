/** The box of printed text: its last part, shown once per frame. */

import { byId, integer } from "./dom";
import { MOST_OUTPUT, tail } from "./tail";

/** So much more may be shown before the beginning is cut off, which is not done at every line. */
const SLACK = 10_000;

/** A text without what a carriage return wipes out: its line so far, once more follows. */
function overwritten(text: string): string {
  if (!text.includes("\r")) return text;
  const lines = text.split("\n");
  return lines.map((line) => line.slice(line.lastIndexOf("\r", line.length - 2) + 1)).join("\n");
}

export class Printed {
  private readonly output = byId("output");
  private shown = "";
  /** Arrived since the last frame. */
  private pending = "";
  private dropped = 0;
  private frame = 0;

  clear(): void {
    cancelAnimationFrame(this.frame);
    this.shown = this.pending = "";
    this.frame = this.dropped = 0;
    this.output.textContent = "";
    byId("output-dropped").textContent = "";
    byId("output-box").hidden = true;
  }

  /** More text; `dropped` characters between what came before and this were not sent. */
  add(text: string, dropped: number): void {
    if (dropped) {
      this.dropped += this.shown.length + this.pending.length + dropped;
      this.shown = this.pending = "";
    }
    this.pending += text;
    // A page in the background draws no frames.
    if (this.pending.length > 4 * MOST_OUTPUT) {
      this.dropped += this.shown.length;
      this.shown = "";
      this.pending = this.cut(this.pending);
    }
    this.frame ||= requestAnimationFrame(() => this.show());
  }

  /** Shows what has arrived, without waiting for the next frame. */
  show(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (!this.pending) return;
    const { output } = this;
    const atEnd = output.scrollTop + output.clientHeight >= output.scrollHeight - 4;
    let text = overwritten(this.shown + this.pending);
    if (text.length > MOST_OUTPUT + SLACK) text = this.cut(text);
    // What is there stays untouched where it can, and with it what the reader has selected.
    if (this.shown && text.startsWith(this.shown)) output.append(text.slice(this.shown.length));
    else output.textContent = text;
    this.shown = text;
    this.pending = "";
    const note = this.dropped
      ? `The first ${integer.format(this.dropped)} characters are no longer kept.`
      : "";
    byId("output-dropped").textContent = note;
    byId("output-box").hidden = false;
    if (atEnd) output.scrollTop = output.scrollHeight;
  }

  private cut(text: string): string {
    const kept = tail(text);
    this.dropped += text.length - kept.length;
    return kept;
  }
}
