"""Threads and memory of the engine."""

from __future__ import annotations

from wasm_torch import _C, _host


def set_num_threads(count: int) -> None:
    """Sets how many threads take part in an operation, the caller included.

    In a browser, more threads than have started join when Python next yields.
    """
    _C.set_num_threads(count)


def get_num_threads() -> int:
    """How many threads take part in an operation now."""
    return _C.get_num_threads()


async def threads_ready() -> int:
    """Waits until the worker threads have joined; returns how many threads there are."""
    return await _host.threads_ready()


def memory_stats() -> dict[str, int]:
    """Bytes in tensors now (``current``) and at most (``peak``), and taken from the system
    (``reserved``); ``limit`` is 0 where unknown."""
    names = ("current", "peak", "reserved", "limit")
    return {name: _C.memory_stat(i) for i, name in enumerate(names)}


def reset_peak_memory_stats() -> None:
    """The peak becomes the current use."""
    _C.reset_peak_memory()


def empty_cache() -> int:
    """Gives cached blocks back to the engine's heap; returns the bytes that became reusable."""
    return _C.empty_cache()
