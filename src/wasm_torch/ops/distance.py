"""Norms, distances and products of small matrices."""

from __future__ import annotations

import itertools
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite, op


# ---- norms and distances -------------------------------------------------------------------------
@composite(method=True)
def norm(
    self: Any,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """The vector norm of order ``p`` over dims ("fro": 2), or the nuclear norm of matrices."""
    if p == "nuc":
        return FUNCTIONS["linalg_matrix_norm"](
            self, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype
        )
    order = 2.0 if p in ("fro", None) else p
    dims = None if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    return FUNCTIONS["linalg_vector_norm"](self, order, dims, keepdim, dtype=dtype)


@composite(method=True)
def dist(self: Any, other: Any, p: float = 2) -> Any:
    """The p-norm of the difference."""
    return FUNCTIONS["linalg_vector_norm"](self - other, p)


@composite(method=True, inplace=True)
def renorm(self: Any, p: float, dim: int, maxnorm: float) -> Any:
    """Scales down the slices along ``dim`` whose p-norm is above ``maxnorm``."""
    at = k.wrap_dim(dim, self.ndim)
    dims = tuple(d for d in range(self.ndim) if d != at)
    norms = FUNCTIONS["linalg_vector_norm"](self, p, dims, True)
    scale = FUNCTIONS["where"](norms > maxnorm, maxnorm / (norms + 1e-7), 1.0)
    return self * scale.to(self.dtype)


@composite()
def cdist(
    x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary"
) -> Any:
    """Distances (..., P, R) between rows (..., P, M) and (..., R, M)."""
    for name, x in (("X1", x1), ("X2", x2)):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    difference = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    return FUNCTIONS["linalg_vector_norm"](difference, p, (-1,))


@composite(method=True)
def cross(self: Any, other: Any, dim: int | None = None) -> Any:
    """The cross product along a dim of size 3."""
    size = tuple(_C.broadcast_shapes(tuple(self.shape), tuple(other.shape)))
    if dim is None:
        found = [d for d, n in enumerate(size) if n == 3]
        if not found:
            raise RuntimeError("no dimension of size 3 in input")
        dim = found[0]
    return FUNCTIONS["linalg_cross"](self, other, dim=dim)


@composite(method=False)
def linalg_cross(self: Any, other: Any, *, dim: int = -1) -> Any:
    """The cross product along ``dim``, broadcast over the others."""
    if self.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    size = tuple(_C.broadcast_shapes(tuple(self.shape), tuple(other.shape)))
    at = k.wrap_dim(dim, len(size))
    if self.shape[at] != 3 or other.shape[at] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {self.shape[at]} and "
            f"{other.shape[at]}"
        )
    a, b = self.expand(size).unbind(at), other.expand(size).unbind(at)
    return FUNCTIONS["stack"](
        (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]), at
    )


# ---- matrices ------------------------------------------------------------------------------------
@op(
    "trace(Tensor self) -> Tensor",
    family="reduction",
    vjp=lambda grad, self_size: (
        FUNCTIONS["eye"](self_size[0], self_size[1], dtype=grad.dtype) * grad
    ),
)
def trace(self: Any) -> Any:
    """The sum of the diagonal of a matrix; integers give int64."""
    if self.ndim != 2:
        raise RuntimeError("trace: expected a matrix")
    length = min(self.shape)
    diagonal = _C.as_strided(
        self, (length,), (self.stride(0) + self.stride(1),), self.storage_offset()
    )
    dtype = self.dtype if self.dtype.is_floating_point else _C.int64
    return _C.reduce(diagonal, _C.REDUCE["sum"], None, False, 0.0, dtype)


@composite()
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Powers of a vector as columns, highest first unless ``increasing``."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    result = _powers(x, x.shape[0] if N is None else N)
    return result if increasing else result.flip(-1)


@composite(method=False)
def linalg_vander(x: Any, *, N: int | None = None) -> Any:
    """Powers 0..N-1 of the last dim, as columns."""
    x = x.unsqueeze(0) if x.ndim == 0 else x
    count = x.shape[-1] if N is None else N
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    return _powers(x, count)


def _powers(x: Any, count: int) -> Any:
    ones = FUNCTIONS["ones_like"](x).unsqueeze(-1)
    if count <= 1:
        return ones[..., :count]
    columns = x.unsqueeze(-1).expand((*x.shape, count - 1))
    return FUNCTIONS["cat"]((ones, columns.cumprod(-1)), -1)


@composite()
def cartesian_prod(*tensors: Any) -> Any:
    """All combinations of one element of each vector, as rows."""
    if len(tensors) == 1:
        return tensors[0]
    grids = FUNCTIONS["meshgrid"](*tensors, indexing="ij")
    return FUNCTIONS["stack"]([g.flatten() for g in grids], 1)


@composite()
def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All selections of ``r`` elements of a vector, as rows."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r == 0:
        return FUNCTIONS["empty"](0, dtype=input.dtype)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = [list(c) for c in choose(range(input.numel()), r)]
    if not rows:
        return input[:0].reshape((0, 1)).expand((0, r))
    return input[FUNCTIONS["tensor"](rows)]
