/** Frame times of the page's own thread, as bars: what training in workers leaves free. */

import { byId } from "./dom";

const SECONDS = 5;
const FRAME_BUDGET_MS = 1000 / 60;
/** Frames longer than this fill the height. */
const TALLEST_MS = 50;

/** Measures and draws while its panel is shown; call it when that has changed. */
export function startPulse(): () => void {
  const canvas = byId<HTMLCanvasElement>("pulse-canvas");
  const panel = byId("pulse");
  const frames: { at: number; ms: number }[] = [];
  let previous = 0;
  let request = 0;

  const draw = (now: number) => {
    const box = canvas.getBoundingClientRect();
    canvas.width = Math.round(box.width * devicePixelRatio);
    canvas.height = Math.round(box.height * devicePixelRatio);
    const context = canvas.getContext("2d")!;
    const style = getComputedStyle(canvas);
    for (const { at, ms } of frames) {
      const x = canvas.width * (1 - (now - at) / (1000 * SECONDS));
      const height = canvas.height * Math.min(1, ms / TALLEST_MS);
      context.fillStyle = ms > 2 * FRAME_BUDGET_MS ? style.accentColor : style.color;
      context.fillRect(x, canvas.height - height, Math.max(1, devicePixelRatio), height);
    }
    const longest = frames.reduce((most, frame) => Math.max(most, frame.ms), 0);
    const span = frames.length > 1 ? (now - frames[0]!.at) / 1000 : 1;
    byId("frames").textContent = `${Math.round(frames.length / span)}`;
    byId("longest").textContent = `${longest.toFixed(0)} ms`;
  };

  const tick = (now: number) => {
    if (previous) frames.push({ at: now, ms: now - previous });
    previous = now;
    while (frames.length && now - frames[0]!.at > 1000 * SECONDS) frames.shift();
    draw(now);
    request = requestAnimationFrame(tick);
  };
  const restart = () => {
    cancelAnimationFrame(request);
    previous = 0;
    frames.length = 0;
    if (!panel.hidden) request = requestAnimationFrame(tick);
  };
  document.addEventListener("visibilitychange", restart);
  return restart;
}
