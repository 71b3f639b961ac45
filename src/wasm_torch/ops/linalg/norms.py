"""Norms of matrices, and condition numbers."""

from __future__ import annotations

import math
from typing import Any

from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite
from wasm_torch.ops.linalg._operands import check_float, check_matrix, check_square


def _check_dims(a: Any, dim: Any) -> tuple[int, int]:
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) != 2:
        listed = ", ".join(map(str, dims))
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {listed}")
    first, second = k.wrap_dim(dims[0], a.ndim), k.wrap_dim(dims[1], a.ndim)
    if first == second:
        raise RuntimeError(
            f"linalg.matrix_norm: dims must be different. Got ({dims[0]}, {dims[1]})"
        )
    return first, second


def _singular_values(a: Any, first: int, second: int) -> Any:
    rest = [d for d in range(a.ndim) if d not in (first, second)]
    return FUNCTIONS["linalg_svdvals"](a.permute([*rest, first, second]))


def _kept(result: Any, first: int, second: int, keepdim: bool) -> Any:
    if not keepdim:
        return result
    for d in sorted((first, second)):
        result = result.unsqueeze(d)
    return result


def _extreme(values: Any, ord: float, dim: int, keepdim: bool) -> Any:
    """The greatest for a positive order (0 of none), else the least."""
    if ord < 0:
        return values.amin(dim, keepdim)
    return values.amax(dim, keepdim) if values.shape[dim] else values.sum(dim, keepdim)


@composite()
def linalg_matrix_norm(
    A: Any,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """The norm of matrices: "fro", "nuc", inf, 1 or 2, or for a negative order the least of what
    the positive one takes the greatest of."""
    function = "linalg.matrix_norm"
    check_matrix(A, function)
    check_float(A, function)
    first, second = _check_dims(A, dim)
    if dtype is not None:
        A = A.to(dtype)
    if ord == "fro":
        return FUNCTIONS["linalg_vector_norm"](A, 2, (first, second), keepdim)
    if ord == "nuc":
        return _kept(_singular_values(A, first, second).sum(-1), first, second, keepdim)
    if isinstance(ord, str) or abs(ord) not in (1, 2, math.inf):
        shown = ord if isinstance(ord, str) else f"{float(ord):g}"
        raise RuntimeError(f"{function}: Order {shown} not supported.")
    if abs(ord) == 2:
        values = _singular_values(A, first, second)
        return _kept(_extreme(values, ord, -1, False), first, second, keepdim)
    if abs(ord) == math.inf:
        first, second = second, first
    sums = A.abs().sum(first, True)
    result = _extreme(sums, ord, second, True)
    if keepdim:
        return result
    return result.squeeze(max(first, second)).squeeze(min(first, second))


@composite()
def linalg_norm(
    A: Any,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """The norm of vectors or matrices, by the number of dims."""
    if dim is not None:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        if len(dims) not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}"
            )
    elif ord is not None:
        if A.ndim not in (1, 2):
            raise RuntimeError(
                "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
                f"{A.ndim}D."
            )
        dims = None
    else:
        dims = None
    is_matrix = ord is not None and (
        isinstance(ord, str) or (A.ndim == 2 if dims is None else len(dims) == 2)
    )
    if not is_matrix:
        order = 2 if ord is None else ord
        return FUNCTIONS["linalg_vector_norm"](A, order, dims, keepdim, dtype=dtype)
    return linalg_matrix_norm(A, ord, (-2, -1) if dims is None else dims, keepdim, dtype=dtype)


@composite()
def linalg_cond(self: Any, p: Any = None) -> Any:
    """The condition number by a matrix norm; infinite for singular matrices."""
    if self.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    known = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf, None)
    if p not in known:
        shown = p if isinstance(p, str) else f"{float(p):g}"
        raise RuntimeError(f"linalg.cond got an invalid norm type: {shown}")
    if self.numel() == 0:
        check_square(self, "linalg.cond")
        return FUNCTIONS["zeros"](tuple(self.shape[:-2]), dtype=self.dtype)
    if p in (None, 2, -2):
        values = FUNCTIONS["linalg_svdvals"](self)
        most, least = values[..., 0], values[..., -1]
        return least / most if p == -2 else most / least
    order = p if isinstance(p, str) else f"{p:g}"
    check_square(self, f"linalg.cond(ord={order})")
    inverse, info = FUNCTIONS["linalg_inv_ex"](self)
    if not bool(info.any()):
        return linalg_matrix_norm(self, p) * linalg_matrix_norm(inverse, p)
    regular = info == 0
    inverse = inverse.where(regular.unsqueeze(-1).unsqueeze(-1), 0.0)
    result = linalg_matrix_norm(self, p) * linalg_matrix_norm(inverse, p)
    return result.where(regular, math.inf)


@composite()
def nuclear_norm(self: Any, dim: Any = (-2, -1), keepdim: bool = False) -> Any:
    """The sum of singular values."""
    return linalg_matrix_norm(self, "nuc", dim, keepdim)


@composite()
def frobenius_norm(self: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The root of the sum of squares over dims."""
    return FUNCTIONS["linalg_vector_norm"](self, 2, dim, keepdim)
