"""The demo page, as its visitors use it."""

from __future__ import annotations

from itertools import pairwise

from playwright.sync_api import Browser, Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

LOAD_MS = 40_000
TRAIN_MS = 60_000
#: Strokes of a digit: points of the pad, whose corners are (0, 0) and (1, 1).
Strokes = list[list[tuple[float, float]]]


class DemoPage:
    """A new page on the demo of ``url``, loaded until Python is ready (or could not be).

    While a WebDriver BiDi client is attached, Firefox 153 sometimes never returns from
    `new Worker` in a worker; then the page is opened anew.
    """

    def __init__(self, browser: Browser, url: str, images: int = 2_000) -> None:
        self.page: Page = browser.new_page()
        attempts = 3 if browser.browser_type.name == "firefox" else 1
        for attempts_left in reversed(range(attempts)):
            self.page.goto(f"{url}?images={images}")
            try:
                self.wait_for("ready", "failed", timeout=LOAD_MS)
                break
            except PlaywrightTimeout:
                if not attempts_left:
                    raise

    def wait_for(self, *states: str, timeout: float = TRAIN_MS) -> None:
        selector = ", ".join(f"body[data-state={state}]" for state in states)
        self.page.wait_for_selector(selector, timeout=timeout)

    def element(self, name: str) -> Locator:
        return self.page.locator(f"#{name}")

    def text(self, name: str) -> str:
        return self.element(name).inner_text().strip()

    @property
    def program(self) -> str:
        """The editor's text, of which only the visible lines are in the page."""
        return "\n".join(self.page.locator(".cm-line").all_text_contents())

    def run(self, *lines: str) -> None:
        """Writes a program of lines without indentation and waits for its end."""
        self.write_program(*lines)
        self.train()

    @property
    def printed(self) -> str:
        """What the program has printed, to the letter, as far as it is kept."""
        return self.element("output").text_content() or ""

    def write_program(self, *lines: str) -> None:
        """Replaces the editor's text by lines without indentation."""
        self.page.locator(".cm-content").click()
        keyboard = self.page.keyboard
        keyboard.press("ControlOrMeta+A")
        keyboard.press("Delete")
        for number, line in enumerate(lines):
            if number:
                keyboard.press("Enter")
            keyboard.insert_text(line)

    def train(self) -> None:
        """Presses Train, which changes the state at once, and waits for the program's end."""
        self.element("train").click()
        self.wait_for("ready", "failed")

    def draw(self, strokes: Strokes) -> None:
        """Draws with the mouse, on an empty pad."""
        self.element("clear").click()
        pad = self.element("pad")
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        assert box is not None
        mouse = self.page.mouse

        def move(point: tuple[float, float], steps: int) -> None:
            x, y = point
            mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=steps)

        for stroke in strokes:
            move(stroke[0], 1)
            mouse.down()
            for _, point in pairwise(stroke):
                move(point, 5)
            mouse.up()

    def wait_for_answer(self, start: str) -> None:
        """Waits until the answer begins with ``start``."""
        self.page.wait_for_function(
            "start => document.getElementById('answer').textContent.startsWith(start)",
            arg=start,
            timeout=10_000,
        )

    def close(self) -> None:
        self.page.close()
