"""The desktop host: the engine is linked into the extension and starts its own threads."""

from __future__ import annotations

from typing import Any

from .. import _C


def start() -> None:
    """Nothing to connect."""


async def threads_ready() -> int:
    """The threads started with the engine."""
    return _C.get_num_threads()


def info() -> dict[str, Any]:
    """The fields of HostInfo."""
    return {
        "name": "native",
        "engine": "native",
        "isolated": True,
        "threads": _C.get_num_threads(),
        "single_threaded_because": None,
    }
