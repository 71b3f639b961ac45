/** Whether threads can run here, and if not, what is missing. */

const NEEDED: Record<string, RegExp> = {
  "Cross-Origin-Opener-Policy: same-origin": /^same-origin$/,
  "Cross-Origin-Embedder-Policy: require-corp": /^(require-corp|credentialless)$/,
};

/** The reason for running on one thread, for a person; null where the page is isolated. */
export async function whyNotIsolated(): Promise<string | null> {
  if (window.crossOriginIsolated) return null;
  if (!window.isSecureContext) {
    return (
      "Browsers share memory with worker threads only on pages from https or localhost, " +
      "and this page came from neither. Everything works, on one thread."
    );
  }
  const response = await fetch(location.href, { method: "HEAD", cache: "no-store" });
  const missing = Object.entries(NEEDED)
    .filter(([line, accepted]) => {
      const value = response.headers.get(line.slice(0, line.indexOf(":")));
      return !value || !accepted.test(value.trim());
    })
    .map(([line]) => line);
  const headers = missing.length
    ? `The server did not send ${missing.join(" and ")}.`
    : "The headers are there, but the page around this frame does not allow isolation.";
  return (
    `${headers} Without that, browsers do not share memory with worker threads. ` +
    "Everything works, on one thread."
  );
}
