/** Light or dark: the system's choice until the button is pressed; then the user's, kept. */

const KEY = "theme";

export function setUpTheme(button: HTMLButtonElement): void {
  const root = document.documentElement;
  const dark = () =>
    root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
  try {
    const kept = localStorage.getItem(KEY);
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem(KEY, root.dataset.theme);
    } catch {
      // As above.
    }
  });
}
