"""The argument structs of kernels as they lie in wasm32 memory.

The offsets follow from the kinds of fields in abi.h by the rules of the C ABI: a word has 4 bytes;
doubles and int64 are aligned to 8; a struct starts with its own size.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.plan_tensor import PlanTensor

MAX_DIMS = 16
#: Bytes and alignment of each kind of field.
_KINDS = {
    "tensor": ((4 + 2 * MAX_DIMS) * 4, 4),
    "word": (4, 4),
    "address": (4, 4),
    "double": (8, 8),
    "scalar": (16, 8),
}
_INT64_LIMIT = 9.2e18


@dataclass(slots=True)
class Template:
    """A filled struct whose addresses are zero; ``addresses``: (offset, tensor) to be stored."""

    data: bytearray
    addresses: list[tuple[int, PlanTensor]]


def offsets(kernel: str) -> tuple[list[int], int]:
    """Where each field of a kernel's struct lies, and the size of the struct."""
    at, widest, places = 4, 4, []
    for _, kind in _C.KERNEL_FIELDS[kernel]:
        size, alignment = _KINDS[kind]
        at = _align(at, alignment)
        places.append(at)
        at += size
        widest = max(widest, alignment)
    return places, _align(at, widest)


def _align(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


def template(kernel: str, fields: list[Any]) -> Template:
    """Fills the struct of one launch."""
    places, size = offsets(kernel)
    result = Template(bytearray(size), [])
    struct.pack_into("<i", result.data, 0, size)
    for (_, kind), at, value in zip(_C.KERNEL_FIELDS[kernel], places, fields, strict=True):
        _fill(result, kind, at, value)
    return result


def _fill(result: Template, kind: str, at: int, value: Any) -> None:
    data = result.data
    if isinstance(value, PlanTensor):
        result.addresses.append((at, value))
        if kind == "tensor":
            struct.pack_into("<iii", data, at + 4, value.dtype.code, value.ndim, value.numel())
            struct.pack_into(f"<{value.ndim}i", data, at + 16, *value.shape)
            struct.pack_into(f"<{value.ndim}i", data, at + 16 + 4 * MAX_DIMS, *value.stride())
    elif kind == "tensor":
        struct.pack_into("<iiii", data, at, 0, 0, -1, 0)
    elif kind == "double":
        struct.pack_into("<d", data, at, value)
    elif kind == "scalar":
        struct.pack_into("<dq", data, at, *_scalar(value))
    else:
        struct.pack_into("<i", data, at, 0 if value is None else int(value))


def _scalar(value: Any) -> tuple[float, int]:
    """A number as float64 and as int64 (0 where it does not fit), as parse_operand does."""
    if isinstance(value, float):
        fits = math.isfinite(value) and abs(value) < _INT64_LIMIT
        return value, int(value) if fits else 0
    return float(value), int(value)
