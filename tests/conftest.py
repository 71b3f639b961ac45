"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def pyodide_wheel() -> Path:
    """The wheel for Pyodide: the newest of dist/, or the one WASM_TORCH_WHEEL names."""
    named = os.environ.get("WASM_TORCH_WHEEL")
    found = [Path(named)] if named else sorted(ROOT.glob("dist/*wasm32*.whl"), key=os.path.getmtime)
    if not found:
        pytest.fail("there is no wheel for Pyodide in dist/: run `make wheel`")
    return found[-1]
