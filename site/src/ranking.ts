/** The network's guesses: a sentence, five bars, and the figures of the run. */

import { type Answer, type Guess, pixelsOf } from "./classifier";
import { byId, megabytes, percent } from "./dom";

const ROWS = 5;

/** "9.4 ms", "31 ms" */
function milliseconds(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

function sentence({ name, probability }: Guess): string {
  const certainty = percent(probability, 0);
  if (probability > 0.8) return `It sees: ${name}, ${certainty} sure.`;
  return probability > 0.35 ? `Probably: ${name}, ${certainty} sure.` : `Perhaps: ${name}?`;
}

export class Ranking {
  private readonly text = byId("answer");
  private readonly seen = byId<HTMLCanvasElement>("input").getContext("2d")!;
  private readonly rows = Array.from({ length: ROWS }, () => {
    const row = document.createElement("li");
    const [name, value, track, bar] = ["span", "span", "span", "i"].map((tag) =>
      document.createElement(tag),
    ) as [HTMLElement, HTMLElement, HTMLElement, HTMLElement];
    name.className = "name";
    value.className = "value";
    track.className = "track";
    track.append(bar);
    row.append(name, value, track);
    byId("ranking").append(row);
    return { row, name, value, bar };
  });

  constructor() {
    this.clear("Nothing yet.");
  }

  clear(text: string): void {
    this.say(text);
    this.seen.clearRect(0, 0, this.seen.canvas.width, this.seen.canvas.height);
    for (const { row, name, value, bar } of this.rows) {
      row.classList.remove("best");
      name.textContent = value.textContent = "–";
      bar.style.width = "0";
    }
  }

  show({ guesses, image, prepareMs, forwardMs, memoryBytes }: Answer): void {
    this.say(sentence(guesses[0]!));
    this.rows.forEach(({ row, name, value, bar }, i) => {
      const guess = guesses[i]!;
      row.classList.toggle("best", i === 0);
      name.textContent = guess.name;
      value.textContent = percent(guess.probability);
      bar.style.width = `${100 * guess.probability}%`;
    });
    byId("forward").textContent = milliseconds(forwardMs);
    byId("prepare").textContent = milliseconds(prepareMs);
    byId("memory").textContent = megabytes(memoryBytes);
    this.seen.putImageData(pixelsOf(image), 0, 0);
  }

  /** Unchanged text stays untouched, so that a screen reader does not repeat it. */
  private say(text: string): void {
    if (this.text.textContent !== text) this.text.textContent = text;
  }
}
