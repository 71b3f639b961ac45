"""The argument structs of kernels as they lie in wasm32 memory.

The offsets follow from the kinds of fields in abi.h by the rules of the C ABI: a word has 4 bytes;
doubles and int64 are aligned to 8; a struct starts with its own size.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
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
#: How each kind of number is packed.
_FORMATS = {"i32": "<i", "i64": "<q", "f64": "<d"}
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
    for at, kind, value in numbers(kernel, fields):
        struct.pack_into(_FORMATS[kind], result.data, at, value)
    for at, value in zip(places, fields, strict=True):
        if isinstance(value, PlanTensor):
            result.addresses.append((at, value))
    return result


def numbers(kernel: str, fields: list[Any]) -> Iterator[tuple[int, str, Any]]:
    """What the struct of a launch holds beside its size and addresses: (offset, kind, number).

    The kinds are those of WebAssembly: i32, i64, f64.
    """
    places, _ = offsets(kernel)
    for (_, kind), at, value in zip(_C.KERNEL_FIELDS[kernel], places, fields, strict=True):
        if isinstance(value, PlanTensor):
            if kind == "tensor":
                yield from _geometry(at, value)
        elif kind == "tensor":
            yield at + 8, "i32", -1
        elif kind == "double":
            yield at, "f64", value
        elif kind == "scalar":
            double, integer = _scalar(value)
            yield at, "f64", double
            yield at + 8, "i64", integer
        else:
            yield at, "i32", 0 if value is None else int(value)


def _geometry(at: int, tensor: PlanTensor) -> Iterator[tuple[int, str, int]]:
    """Sizes come first: what else there is follows from them."""
    for d, size in enumerate(tensor.shape):
        yield at + 16 + 4 * d, "i32", size
    yield at + 4, "i32", tensor.dtype.code
    yield at + 8, "i32", tensor.ndim
    yield at + 12, "i32", tensor.numel()
    for d, stride in enumerate(tensor.stride()):
        yield at + 16 + 4 * (MAX_DIMS + d), "i32", stride


def _scalar(value: Any) -> tuple[float, int]:
    """A number as float64 and as int64 (0 where it does not fit), as parse_operand does."""
    if isinstance(value, float):
        fits = math.isfinite(value) and abs(value) < _INT64_LIMIT
        return value, int(value) if fits else 0
    return float(value), int(value)
