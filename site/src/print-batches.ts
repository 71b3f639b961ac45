/** Printed text on its way to the page: at once while it is little, in batches else. */

import { MOST_OUTPUT, tail } from "./tail";

/** Milliseconds between two batches of a program that prints without end. */
const INTERVAL = 50;
/** Messages that may be sent at once before batching begins; one comes back each INTERVAL. */
const BURST = 50;

export class PrintBatches {
  private text = "";
  private dropped = 0;
  private credit = BURST;
  private creditedAt = 0;
  private timer = 0;

  constructor(private readonly send: (text: string, dropped: number) => void) {}

  /** What Pyodide writes a stream's UTF-8 bytes to. */
  stream(): { write(bytes: Uint8Array): number } {
    const decoder = new TextDecoder();
    return {
      write: (bytes) => {
        this.add(decoder.decode(bytes, { stream: true }));
        return bytes.length;
      },
    };
  }

  /** Sends what has come together. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = 0;
    if (!this.text) return;
    this.drop();
    this.send(this.text, this.dropped);
    this.text = "";
    this.dropped = 0;
  }

  private add(text: string): void {
    this.text += text;
    // Python may run without a pause, in which no timer fires and no answer could arrive.
    if (this.text.length > 4 * MOST_OUTPUT) this.drop();
    const now = performance.now();
    this.credit = Math.min(BURST, this.credit + (now - this.creditedAt) / INTERVAL);
    this.creditedAt = now;
    if (this.credit >= 1) {
      this.credit -= 1;
      this.flush();
    } else {
      this.timer ||= self.setTimeout(() => this.flush(), INTERVAL);
    }
  }

  private drop(): void {
    const kept = tail(this.text);
    this.dropped += this.text.length - kept.length;
    this.text = kept;
  }
}
