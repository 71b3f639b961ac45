"""The one place where the kernels of rows can be given other functions than the extension's.

A kernel calls `_C.empty`, `_C.launch`, ... by attribute, or by a name that a module of this package
bound at import. Inside `replaced` both mean something else: the compiler records what a kernel
launches instead of running it, and a trace sees the writes that are no operations. Outside of it
there is no indirection and so no cost.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wasm_torch import _C

_PACKAGE = __name__.rpartition(".")[0]


def _places() -> list[dict[str, Any]]:
    """The namespaces in which kernels find the extension's functions."""
    modules = [m for name, m in sys.modules.items() if name.startswith(f"{_PACKAGE}.")]
    return [vars(_C), *(vars(module) for module in modules)]


@contextmanager
def replaced(functions: dict[str, Any]) -> Iterator[None]:
    """Within, kernels find these in place of the attributes of `_C` with their names."""
    instead = {id(getattr(_C, name)): value for name, value in functions.items()}
    before: list[tuple[dict[str, Any], str, Any]] = []
    for place in _places():
        found = [(place, name, value) for name, value in place.items() if id(value) in instead]
        before += found
    for place, name, value in before:
        place[name] = instead[id(value)]
    try:
        yield
    finally:
        for place, name, value in before:
            place[name] = value
