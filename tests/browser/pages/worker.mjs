/** Answers each message, Python code, with what `run` returns. */
const waiting = [];
self.onmessage = ({ data }) => waiting.push(data);
const { run } = await import("./python.mjs");
const answer = async (code) => self.postMessage(await run(code));
self.onmessage = ({ data }) => answer(data);
waiting.forEach(answer);
