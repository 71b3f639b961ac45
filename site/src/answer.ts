/** What the network says about the drawing: a sentence and ten bars. */

import { byId, percent } from "./dom";

const DIGITS = 10;

export class Answer {
  private readonly text = byId("answer");
  private readonly rows: { row: HTMLElement; bar: HTMLElement; value: HTMLElement }[];

  constructor() {
    const list = byId("bars");
    this.rows = Array.from({ length: DIGITS }, (_, digit) => {
      const row = document.createElement("li");
      const [name, track, bar, value] = ["b", "span", "i", "span"].map((tag) =>
        document.createElement(tag),
      ) as [HTMLElement, HTMLElement, HTMLElement, HTMLElement];
      name.textContent = `${digit}`;
      track.className = "track";
      value.className = "value";
      track.append(bar);
      row.append(name, track, value);
      list.append(row);
      return { row, bar, value };
    });
    this.show(null);
  }

  /** A sentence without a prediction: the bars are emptied. */
  say(text: string): void {
    this.setText(text);
    this.show(null);
  }

  /** Ten probabilities; ``label`` is known for test images only. */
  tell(probabilities: number[], label: number | null): void {
    const best = probabilities.indexOf(Math.max(...probabilities));
    const certainty = percent(probabilities[best] ?? 0);
    let text = `It reads a ${best}, ${certainty} sure.`;
    if (label !== null) {
      text += label === best ? ` The label says ${label} too.` : ` The label says ${label}.`;
    }
    this.setText(text);
    this.show(probabilities, best);
  }

  private show(probabilities: number[] | null, best = -1): void {
    this.rows.forEach(({ row, bar, value }, digit) => {
      const probability = probabilities?.[digit] ?? 0;
      row.classList.toggle("best", digit === best);
      bar.style.width = `${100 * probability}%`;
      value.textContent = probabilities ? percent(probability) : "–";
    });
  }

  /** Unchanged text stays untouched, so that a screen reader does not repeat it. */
  private setText(text: string): void {
    if (this.text.textContent !== text) this.text.textContent = text;
  }
}
