"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsers import BROWSERS, launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright
    from small_models import Case

ROOT = Path(__file__).resolve().parent.parent

sys.path.insert(0, str(ROOT / "site"))  # `serve`, the site's server


@pytest.fixture(scope="session")
def pyodide_wheel() -> Path:
    """The wheel for Pyodide: the newest of dist/, or the one WASM_TORCH_WHEEL names."""
    named = os.environ.get("WASM_TORCH_WHEEL")
    found = [Path(named)] if named else sorted(ROOT.glob("dist/*wasm32*.whl"), key=os.path.getmtime)
    if not found:
        pytest.fail("there is no wheel for Pyodide in dist/: run `make wheel`")
    return found[-1]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session", params=BROWSERS)
def browser(request: pytest.FixtureRequest, playwright: Playwright) -> Iterator[Browser]:
    """Each installed browser."""
    started = launch(playwright, request.param)
    yield started
    started.close()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Case]]:
    """The six small models: the folder with their files, and the cases."""
    from small_models import export_all

    folder = tmp_path_factory.mktemp("small-models")
    return folder, export_all(folder)
