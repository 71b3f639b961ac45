"""Where benchmarks run Python: Pyodide in Node or in a browser's worker, and this process."""

from __future__ import annotations

import json
import os
import platform
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for folder in ("site", "tests", "tests/pyodide"):
    sys.path.insert(0, str(ROOT / folder))

from browsers import ask as ask  # noqa: E402
from browsers import launch  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402
from serve import SiteServer  # noqa: E402
from session import PyodideSession  # noqa: E402

PAGES = ROOT / "tests" / "browser" / "pages"
BROWSER_PYODIDE = "314.0.7"
RESULTS = ROOT / "build" / "bench"

_START = "import json\nasync def _body():\n"
_END = "\njson.dumps(await _body())\n"


def newest_wheel() -> Path:
    """The wheel of ``make wheel``; an exit that says so when there is none."""
    found = sorted((ROOT / "dist").glob("*wasm32.whl"), key=os.path.getmtime)
    if not found:
        raise SystemExit("There is no wheel in dist/ yet: run `make wheel` first.")
    return found[-1]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    models = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
    }


class BrowserPython:
    """Python in a worker of a browser's page."""

    def __init__(self, page: Page):
        self.page = page

    def run(self, code: str, timeout: float = 60) -> Any:
        """Runs the body of an async function; returns what it returns, through JSON."""
        self.page.set_default_timeout(timeout * 1000)
        body = textwrap.indent(textwrap.dedent(code), "    ")
        answer = self.page.evaluate("run", _START + body + _END)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return json.loads(answer["value"])


@contextmanager
def in_node(version: str) -> Iterator[PyodideSession]:
    """Pyodide of this version in a Node process, with the wheel."""
    with PyodideSession(version, [newest_wheel()]) as session:
        yield session


@contextmanager
def in_browser(name: str, mounts: dict[str, Path] | None = None) -> Iterator[BrowserPython]:
    """Pyodide with the wheel in a worker of a cross-origin isolated page."""
    served = {
        "pyodide": ROOT / ".toolchain" / "pyodide" / BROWSER_PYODIDE,
        "wheel": newest_wheel(),
        **(mounts or {}),
    }
    server = SiteServer(PAGES, isolated=True, mounts=served).start()
    try:
        with sync_playwright() as playwright:
            browser = launch(playwright, name)
            page = browser.new_page()
            page.goto(f"{server.url}worker.html")
            page.wait_for_function("window.run !== undefined")
            yield BrowserPython(page)
            browser.close()
    finally:
        server.stop()


def write(name: str, results: dict[str, Any]) -> Path:
    """Writes ``build/bench/<name>.json``."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    return path
