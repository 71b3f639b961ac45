"""Pyodide under Node, one process a version, with the built wheel unpacked into it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from session import PYODIDE_VERSIONS, ROOT, PyodideSession


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The wheel for Pyodide: the newest of dist/, or the one WASM_TORCH_WHEEL names."""
    named = os.environ.get("WASM_TORCH_WHEEL")
    found = [Path(named)] if named else sorted(ROOT.glob("dist/*wasm32*.whl"), key=os.path.getmtime)
    if not found:
        pytest.fail("there is no wheel for Pyodide in dist/: run `make wheel`")
    return found[-1]


@pytest.fixture(scope="session", params=PYODIDE_VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each Pyodide release that the wheel supports."""
    return request.param


@pytest.fixture(scope="session")
def pyodide(version: str, wheel: Path) -> Iterator[PyodideSession]:
    """A Pyodide that the tests of one version share: leave nothing behind in it."""
    with PyodideSession(version, [wheel]) as session:
        yield session


@pytest.fixture
def new_pyodide(version: str, wheel: Path) -> Iterator[Callable[..., PyodideSession]]:
    """Makes Pyodides of this test's own, for what changes the process; takes node's path."""
    sessions: list[PyodideSession] = []

    def make(**options: str) -> PyodideSession:
        sessions.append(PyodideSession(version, [wheel], **options))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
