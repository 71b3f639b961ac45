"""Picks and starts the host of the engine: the linked one on the desktop, Pyodide's in a browser.

`start` runs once, on import of the package and before any tensor exists. It never waits: in
Pyodide the worker threads join when Python yields to the event loop, which `threads_ready` does.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

if sys.platform == "emscripten":
    from . import pyodide as _host
else:
    from . import native as _host

__all__ = ["HostInfo", "info", "model_engine", "start", "threads_ready"]


@dataclass(frozen=True)
class HostInfo:
    """Where the engine runs.

    Attributes:
        name: "native" or "pyodide".
        engine: the binary in use: "native", "relaxed" or "simd".
        isolated: whether threads can share memory here (in a browser: cross-origin isolation).
        threads: the threads that take part in a job now, the caller included.
        single_threaded_because: why there can be only one, as a sentence, or None.
    """

    name: str
    engine: str
    isolated: bool
    threads: int
    single_threaded_because: str | None


def start() -> None:
    """Connects the engine; does nothing the second time.

    Raises ImportError where this platform cannot run it, saying what is missing.
    """
    _host.start()


async def threads_ready() -> int:
    """Waits until the worker threads have joined; returns the number of threads in force.

    A worker that cannot start is left out with a console warning, so this always returns.
    """
    return await _host.threads_ready()


def info() -> HostInfo:
    """What is running: see `HostInfo`."""
    return HostInfo(**_host.info())


def model_engine(simd: bool) -> Any:
    """The engine that runs model files: wasmtime's on the desktop, the only one in Pyodide.

    Without ``simd`` it is the scalar one, which Pyodide has not: it raises ModelError then.

    Raises ImportError where wasmtime or the engine's binary is missing, saying how to get it.
    """
    if sys.platform == "emscripten":
        from .pyodide_models import Engine
    else:
        from .wasmtime import Engine  # type: ignore[assignment]
    return Engine.shared(simd)
