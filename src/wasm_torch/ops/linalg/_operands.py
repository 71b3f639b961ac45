"""What linear algebra shares: checks in torch's words, batches, rows by a permutation."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS


class LinAlgError(RuntimeError):
    """A factorisation could not be completed."""


LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"  # as torch's is called


# ---- checks --------------------------------------------------------------------------------------
def check_matrix(a: Any, function: str, name: str = "A") -> None:
    """Raises RuntimeError unless ``a`` is a batch of matrices."""
    if a.ndim < 2:
        raise RuntimeError(f"{function}: The input tensor {name} must have at least 2 dimensions.")


def check_square(a: Any, function: str, name: str = "A") -> None:
    """Raises RuntimeError unless ``a`` is a batch of square matrices."""
    check_matrix(a, function, name)
    rows, columns = a.shape[-2:]
    if rows != columns:
        raise RuntimeError(
            f"{function}: {name} must be batches of square matrices, but they are {rows} by "
            f"{columns} matrices"
        )


def check_float(a: Any, function: str, low_precision: bool = True) -> None:
    """Raises RuntimeError for integers, and for half types where they are not allowed."""
    if not a.dtype.is_floating_point:
        raise RuntimeError(
            f"{function}: Expected a floating point or complex tensor as input. Got "
            f"{scalar_name(a.dtype)}"
        )
    if not low_precision and a.dtype.itemsize == 2:
        raise RuntimeError(
            f"{function}: Low precision dtypes not supported. Got {scalar_name(a.dtype)}"
        )


def check_kernel(a: Any, kernel: str) -> None:
    """Raises NotImplementedError unless the dtype is float32 or float64."""
    if a.dtype is not _C.float32 and a.dtype is not _C.float64:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(a.dtype)}'")


def check_same_dtype(a: Any, b: Any, function: str, names: tuple[str, str] = ("A", "B")) -> None:
    """Raises RuntimeError where the dtypes differ."""
    if a.dtype is not b.dtype:
        x, y = names
        raise RuntimeError(
            f"{function}: Expected {x} and {y} to have the same dtype, but found {x} of type "
            f"{scalar_name(a.dtype)} and {y} of type {scalar_name(b.dtype)} instead"
        )


def raise_failures(info: Any, function: str, message: str) -> None:
    """Raises LinAlgError for the first nonzero ``info``; ``message`` has a place for its value."""
    if info.numel() == 0 or not bool(info.any()):
        return
    values = info.reshape(-1).tolist()
    entry, value = next((i, v) for i, v in enumerate(values) if v)
    place = f"(Batch element {entry}): " if info.ndim else ""
    raise LinAlgError(f"{function}: {place}{message.format(value)}")


# ---- shapes and memory ---------------------------------------------------------------------------
def batch_of(*tensors: Any) -> tuple[int, ...]:
    """The broadcast batch dims."""
    return tuple(_C.broadcast_shapes(*[tuple(t.shape[:-2]) for t in tensors]))


def expanded(a: Any, batch: tuple[int, ...]) -> Any:
    """Matrices repeated over the batch dims, without history or copies."""
    return k.expand_to(a, (*batch, *a.shape[-2:]))


def transposed(a: Any) -> Any:
    """The matrices' transposes, without history."""
    size, stride = list(a.shape), list(a.stride())
    size[-2:], stride[-2:] = size[:-3:-1], stride[:-3:-1]
    return _C.as_strided(a, tuple(size), tuple(stride), a.storage_offset())


def doubled(a: Any) -> Any:
    """float32 as float64: what a sequence of kernels computes in."""
    return _C.cast(a, _C.float64)


# ---- differentiable pieces -----------------------------------------------------------------------
def diagonal_matrix(values: Any) -> Any:
    """Square matrices with these diagonals."""
    return FUNCTIONS["diag_embed"](values)


def halve_diagonal(a: Any) -> Any:
    """The same matrix with half its diagonal."""
    return a - 0.5 * diagonal_matrix(a.diagonal(0, -2, -1))


def take_rows(a: Any, rows: Any) -> Any:
    """Rows (..., M) of matrices (..., N, C) by index, broadcast over the batch dims."""
    batch = tuple(_C.broadcast_shapes(tuple(rows.shape[:-1]), tuple(a.shape[:-2])))
    index = rows.unsqueeze(-1).expand((*batch, rows.shape[-1], a.shape[-1]))
    return a.expand((*batch, *a.shape[-2:])).gather(-2, index)
