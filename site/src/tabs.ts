/** The tabs of the measurements: arrow keys move between them (ARIA Authoring Practices, Tabs). */

import { byId } from "./dom";

/** Calls ``onSelect`` after every change. */
export function setUpTabs(onSelect: () => void): void {
  const tabs = [byId("tab-training"), byId("tab-pulse")];
  const select = (chosen: HTMLElement) => {
    for (const tab of tabs) {
      const selected = tab === chosen;
      tab.setAttribute("aria-selected", `${selected}`);
      tab.tabIndex = selected ? 0 : -1;
      byId(tab.getAttribute("aria-controls")!).hidden = !selected;
    }
    onSelect();
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
