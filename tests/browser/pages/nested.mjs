/** A worker that passes messages on to a worker of its own. */
const inner = new Worker("worker.mjs", { type: "module" });
inner.onmessage = ({ data }) => self.postMessage(data);
self.onmessage = ({ data }) => inner.postMessage(data);
