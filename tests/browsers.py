"""The two installed browsers, driven by Playwright."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

BROWSERS = ("chromium", "firefox")


def launch(playwright: Playwright, name: str, *arguments: str) -> Browser:
    """Starts Debian's Chromium or Firefox, without a window. The arguments are for Chromium."""
    if name == "chromium":
        return playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-dev-shm-usage", *arguments],
        )
    return playwright.firefox.launch(channel="moz-firefox", executable_path="/usr/bin/firefox-esr")


#: Starts a page's asynchronous function without waiting for it, so that waiting can end.
_BEGIN = """([source, argument]) => {
    window.answer = null;
    const run = (0, eval)(`(${source})`);
    Promise.resolve(run(argument)).then(
        (value) => (window.answer = { value }),
        (error) => (window.answer = { error: String(error) }),
    );
}"""


def ask(browser: Browser, url: str, function: str, argument: Any = None, seconds: int = 60) -> Any:
    """What a JavaScript function gives on a page of its own; ``window.ready`` tells of the page.

    While a WebDriver BiDi client is attached, Firefox 153 sometimes never returns from `new Worker`
    in a worker, with or without us; then a new page is asked.
    Raises AssertionError with what the function threw, and Playwright's TimeoutError.
    """
    from playwright.sync_api import TimeoutError as PlaywrightTimeout

    attempts = 3 if browser.browser_type.name == "firefox" else 1
    for left in reversed(range(attempts)):
        page = browser.new_page()
        try:
            page.goto(url)
            page.wait_for_function("window.ready === true")
            page.evaluate(_BEGIN, [function, argument])
            page.wait_for_function("window.answer !== null", timeout=1000 * seconds)
            answer = page.evaluate("window.answer")
            assert "error" not in answer, answer["error"]
            return answer["value"]
        except PlaywrightTimeout:
            if left == 0:
                raise
        finally:
            page.close()
    return None
