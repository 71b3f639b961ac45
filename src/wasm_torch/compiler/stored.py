"""How the file keeps weights: as they lie in memory, or in 16 bits, to be widened when loading.

What is kept in 16 bits makes the payload shorter than the memory that it takes. A host puts the
payload at the end of that memory and unpacks it from the first tensor to the last: none is then
written over before it is read, and no further memory is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.weights import Weight, aligned
from wasm_torch.ops import FUNCTIONS

#: What `weights_dtype` may be, and how far rounding moves a weight, in parts of the largest one.
WEIGHTS_DTYPES = {"float32": 0.0, "float16": 2.0**-11, "bfloat16": 2.0**-8}


def check_weights_dtype(name: str) -> None:
    """Raises ValueError for a name that is not one of `WEIGHTS_DTYPES`."""
    if name not in WEIGHTS_DTYPES:
        raise ValueError(f"weights_dtype must be one of {', '.join(WEIGHTS_DTYPES)}, not {name!r}")


def narrowed(weight: Weight, name: str) -> Any | None:
    """The tensor that a file keeps in place of a weight; None where it keeps the weight itself.

    Matrices and the like of float32 are kept in 16 bits, unless a weight leaves the range or, being
    small beside it, the precision of that dtype.
    """
    tensor = weight.tensor
    if (
        name == "float32"
        or tensor.dtype is not _C.float32
        or tensor.dim() < 2
        or not tensor.numel()
    ):
        return None
    if weight.role == "state":
        return None
    narrow = _C.cast(tensor, getattr(_C, name))
    error = FUNCTIONS["sub"](tensor, _C.cast(narrow, _C.float32))
    largest, moved = (FUNCTIONS["amax"](FUNCTIONS["abs"](t)).item() for t in (tensor, error))
    return narrow if moved <= WEIGHTS_DTYPES[name] * largest else None


@dataclass(frozen=True, slots=True)
class Move:
    """A tensor's way from the payload into memory: ``count`` elements of ``dtype``, by its code.

    ``source`` and ``target`` are offsets in the payload and in the memory of all weights.
    """

    source: int
    target: int
    count: int
    dtype: int


def moves(manifest: dict[str, Any]) -> Iterator[Move]:
    """What to unpack, in order; nothing where the payload lies as it is used."""
    weights, constants = manifest["weights"], manifest["constants"]
    if "memory" not in weights:
        return
    source = 0
    for tensor in weights["tensors"]:
        dtype = _C.dtype_by_name(tensor.get("stored", "uint8"))
        count = tensor["bytes"] // (4 if "stored" in tensor else 1)
        yield Move(source, tensor["offset"], count, dtype.code)
        source += aligned(count * dtype.itemsize)
    size = weights["bytes"] - source
    yield Move(source, constants["offset"], size, _C.uint8.code)


def memory_bytes(manifest: dict[str, Any]) -> int:
    """The memory that the weights and the constants take."""
    weights = manifest["weights"]
    return int(weights.get("memory", weights["bytes"]))
