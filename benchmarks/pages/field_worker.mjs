/** The runner in a worker. What comes before it is ready waits in the queue of messages. */
import * as runner from "./field_runner.mjs";

self.onmessage = async ({ data: { name, argument } }) => {
  try {
    self.postMessage({ result: await runner[name](argument) });
  } catch (error) {
    self.postMessage({ error: String(error?.stack ?? error) });
  }
};
