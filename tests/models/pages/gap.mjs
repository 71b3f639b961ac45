// How long a page's thread is kept from what else it has to do.

/**
 * Milliseconds that `work` took, and the longest between two turns of a timer of this thread in that
 * time. A timer that sets itself again comes after 4 ms at the soonest.
 */
export async function longestGap(work) {
  let longest = 0;
  let running = true;
  let last;
  const turn = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) setTimeout(turn);
  };
  last = performance.now();
  setTimeout(turn);
  const begun = performance.now();
  await work();
  running = false;
  const ended = performance.now();
  return { milliseconds: ended - begun, gap: Math.max(longest, ended - last) };
}
