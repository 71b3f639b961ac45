/** The runner in a worker. It is no module, since LiteRT.js calls importScripts. */
const ready = import("./field_runner.mjs");

self.onmessage = async ({ data: { name, argument } }) => {
  try {
    const runner = await ready;
    self.postMessage({ result: await runner[name](argument) });
  } catch (error) {
    self.postMessage({ error: String(error?.stack ?? error) });
  }
};
