"""Errors of kernels that a model called, in words."""

from __future__ import annotations

import struct
from typing import NoReturn

#: wt_status (abi.h) in words.
_STATUS = {
    1: "memory does not suffice",
    2: "an index is out of range",
    3: "a kernel does not support a dtype",
    4: "a kernel refused an argument",
    5: "a matrix is singular",
    6: "an iteration did not converge",
    7: "a kernel trapped",
    8: "an unknown kernel",
    9: "integer division by zero",
}
_OUT_OF_MEMORY = 1
_KINDS = {2: IndexError, 9: ZeroDivisionError}


def raise_status(status: int, what: str, detail: bytes) -> NoReturn:
    """Raises MemoryError, IndexError, ZeroDivisionError or RuntimeError.

    ``what`` says where it happened; ``detail`` are the engine's three int64.
    """
    words = list(struct.unpack("<3q", detail))
    text = f"{what}: {_STATUS.get(status, f'status {status}')} (detail {words})"
    if status == _OUT_OF_MEMORY:
        raise MemoryError(text)
    raise _KINDS.get(status, RuntimeError)(text)
