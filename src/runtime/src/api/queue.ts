/** Calls that run one after another; one that waits can be taken out. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `send` when all before it have been answered. Rejects with the signal's reason. */
  run<T>(send: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last;
    const result = (async () => {
      await before;
      signal?.throwIfAborted();
      return send();
    })();
    this.#last = result.catch(() => undefined);
    return signal === undefined ? result : Promise.race([result, aborted(signal)]);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const refuse = () => reject(signal.reason);
    if (signal.aborted) refuse();
    else signal.addEventListener("abort", refuse, { once: true });
  });
}
