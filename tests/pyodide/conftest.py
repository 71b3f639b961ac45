"""Pyodide under Node, one process a version, with the built wheel unpacked into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from session import PYODIDE_VERSIONS, PyodideSession


@pytest.fixture(scope="session", params=PYODIDE_VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each Pyodide release that the wheel supports."""
    return request.param


@pytest.fixture(scope="session")
def pyodide(version: str, pyodide_wheel: Path) -> Iterator[PyodideSession]:
    """A Pyodide that the tests of one version share: leave nothing behind in it."""
    with PyodideSession(version, [pyodide_wheel]) as session:
        yield session


@pytest.fixture
def new_pyodide(version: str, pyodide_wheel: Path) -> Iterator[Callable[..., PyodideSession]]:
    """Makes Pyodides of this test's own, for what changes the process; takes node's path."""
    sessions: list[PyodideSession] = []

    def make(**options: str) -> PyodideSession:
        sessions.append(PyodideSession(version, [pyodide_wheel], **options))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
