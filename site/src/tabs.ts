/** The tabs of the measurements: arrows move between them, as the ARIA pattern asks. */

import { byId } from "./dom";

export function setUpTabs(): void {
  const tabs = [byId("tab-training"), byId("tab-pulse")];
  const select = (chosen: HTMLElement) => {
    for (const tab of tabs) {
      const selected = tab === chosen;
      tab.setAttribute("aria-selected", `${selected}`);
      tab.tabIndex = selected ? 0 : -1;
      byId(tab.getAttribute("aria-controls")!).hidden = !selected;
    }
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
      const next = tabs[(i + 1) % tabs.length]!;
      select(next);
      next.focus();
    });
  });
}
