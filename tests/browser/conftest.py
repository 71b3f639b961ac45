"""Servers with and without isolation headers, the wheel, and the browsers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_page import DemoPage
from playwright.sync_api import Browser
from serve import SiteServer

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = Path(__file__).resolve().parent / "pages"
SITE = ROOT / "build" / "site"
PYODIDE = ROOT / ".toolchain" / "pyodide" / "314.0.7"


@pytest.fixture(scope="session")
def servers(pyodide_wheel: Path) -> Iterator[dict[bool, SiteServer]]:
    """The pages under tests/browser/pages: by whether they are cross-origin isolated."""
    mounts = {"pyodide": PYODIDE, "wheel": pyodide_wheel}
    started = {
        isolated: SiteServer(PAGES, isolated=isolated, mounts=mounts).start()
        for isolated in (True, False)
    }
    yield started
    for server in started.values():
        server.stop()


@pytest.fixture(scope="session")
def sites() -> Iterator[dict[bool, SiteServer]]:
    """The assembled site: by whether its pages are cross-origin isolated."""
    if not (SITE / "index.html").exists():
        pytest.fail("build/site holds no site yet: run `make site`")
    started = {isolated: SiteServer(SITE, isolated=isolated).start() for isolated in (True, False)}
    yield started
    for server in started.values():
        server.stop()


@pytest.fixture(scope="module", params=[True, False], ids=["isolated", "plain"])
def isolated(request: pytest.FixtureRequest) -> bool:
    """Whether the page may share memory with workers."""
    return request.param


@pytest.fixture
def fresh(browser: Browser, sites: dict[bool, SiteServer]) -> Iterator[DemoPage]:
    """An isolated page of a test's own, on which nothing has run."""
    page = DemoPage(browser, sites[True].url)
    yield page
    page.close()
