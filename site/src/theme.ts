/** Light or dark: as the system says, until the button says otherwise. */

import { byId } from "./dom";
import { remember, remembered } from "./storage";

const KEY = "theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** Calls ``onChange`` whenever the colours have changed. */
export function followTheme(onChange: () => void): void {
  const root = document.documentElement;
  const chosen = remembered(KEY);
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  byId("theme").addEventListener("click", () => {
    const current = root.dataset.theme ?? (dark.matches ? "dark" : "light");
    root.dataset.theme = current === "dark" ? "light" : "dark";
    remember(KEY, root.dataset.theme);
    onChange();
  });
  dark.addEventListener("change", onChange);
}
