/** The worker that runs Python, from the page's side: started, restarted, asked. */

import type { Reply, Request } from "./protocol";

export class Session {
  private worker: Worker | null = null;
  private asked = 0;

  constructor(
    private readonly trainingImages: number,
    private readonly onReply: (reply: Reply) => void,
  ) {}

  /** Starts Python in a new worker; one that ran before is ended, whatever it was doing. */
  start(): void {
    this.worker?.terminate();
    const worker = new Worker("worker.js", { type: "module", name: "Python" });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      if (worker === this.worker) this.onReply(data);
    };
    worker.onerror = (event) => {
      if (worker !== this.worker) return;
      const reason = event.message || "worker.js could not be loaded";
      this.onReply({ type: "failed", stage: "python", reason });
    };
    this.worker = worker;
    this.send({ type: "load", base: document.baseURI, trainingImages: this.trainingImages });
  }

  run(source: string): void {
    this.send({ type: "run", source });
  }

  stop(): void {
    this.send({ type: "stop" });
  }

  /** Asks for the probabilities of 784 bytes; the reply bears the id that is returned. */
  predict(pixels: Uint8Array): number {
    this.asked += 1;
    this.send({ type: "predict", id: this.asked, pixels });
    return this.asked;
  }

  /** Asks for a test image, chosen at random; the reply bears the id that is returned. */
  sample(): number {
    this.asked += 1;
    this.send({ type: "sample", id: this.asked });
    return this.asked;
  }

  private send(request: Request): void {
    this.worker?.postMessage(request);
  }
}
