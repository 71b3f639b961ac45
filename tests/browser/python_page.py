"""A page under tests/browser/pages on which Python code can be run."""

from __future__ import annotations

import json
import os
import textwrap
from typing import Any

from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

CORES = len(os.sched_getaffinity(0))

PATIENCE_MS = 60_000
ASK = """(code) => {
    window.answer = null;
    run(code).catch((error) => ({ error: String(error) })).then((answer) => {
        window.answer = answer;
    });
}"""

START = "import json\nasync def _body():\n"
END = "\njson.dumps(await _body())\n"


class PythonPage:
    """A page with Python on it: the first thing it runs starts Pyodide."""

    def __init__(self, browser: Browser, url: str, isolated: bool) -> None:
        self.isolated = isolated
        self.console: list[str] = []
        self._browser = browser
        self._url = url
        self._page = self._open()

    def _open(self) -> Page:
        page = self._browser.new_page()
        page.goto(self._url)
        page.wait_for_function("window.run !== undefined")
        assert page.evaluate("crossOriginIsolated") is self.isolated
        return page

    def run(self, *parts: str) -> Any:
        """Runs the parts as one async function's body; returns what it returns, by way of JSON.

        While a WebDriver BiDi client is attached, Firefox 153 sometimes never returns from
        `new Worker` in a worker, with or without us; then a new page runs the parts.
        """
        for attempts_left in (2, 1, 0):
            try:
                return self._run(parts)
            except PlaywrightTimeout:
                if attempts_left == 0 or self._browser.browser_type.name != "firefox":
                    raise
                self.close()
                self._page = self._open()
        return None

    def _run(self, parts: tuple[str, ...]) -> Any:
        code = "".join(textwrap.dedent(part) for part in parts)
        self._page.evaluate(ASK, START + textwrap.indent(code, "    ") + END)
        self._page.wait_for_function("window.answer !== null", timeout=PATIENCE_MS)
        answer = self._page.evaluate("window.answer")
        self.console = answer["console"]
        assert "error" not in answer, answer["error"]
        return json.loads(answer["value"])

    def close(self) -> None:
        """Closes the page and what it started."""
        self._page.close()

    @property
    def expected_threads(self) -> int:
        """The caller, and the workers that the page can have."""
        return min(4, CORES) if self.isolated else 1
