"""Products: powers, exponentials, chains of matrices, vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite
from wasm_torch.ops.linalg._operands import check_float, check_same_dtype, check_square


# ---- powers and exponentials ---------------------------------------------------------------------
@composite()
def linalg_matrix_power(self: Any, n: int) -> Any:
    """The n-th power of square matrices, by squaring; negative n: of the inverse."""
    check_square(self, "linalg.matrix_power")
    if n == 0:
        identity = FUNCTIONS["eye"](self.shape[-1], dtype=self.dtype)
        return self.clone().copy_(identity)
    base = self if n > 0 else FUNCTIONS["linalg_inv"](self)
    left, result = abs(n), None
    while True:
        if left & 1:
            result = base if result is None else result @ base
        left >>= 1
        if not left:
            return result.clone() if result is self else result
        base = base @ base


@composite(method=True)
def matrix_power(self: Any, n: int) -> Any:
    """linalg.matrix_power."""
    return linalg_matrix_power(self, n)


#: Coefficients of the Pade approximant [13/13] of exp, and the norm up to which it is exact to
#: double precision (Higham, The scaling and squaring method for the matrix exponential, 2005).
_DEGREE = 13
_PADE = [
    math.factorial(2 * _DEGREE - j)
    * math.factorial(_DEGREE)
    / (math.factorial(2 * _DEGREE) * math.factorial(_DEGREE - j) * math.factorial(j))
    for j in range(_DEGREE + 1)
]
_LARGEST_NORM = 5.37


def _exponential(a: Any) -> Any:
    identity = FUNCTIONS["eye"](a.shape[-1], dtype=a.dtype)
    norm = a.detach().abs().sum(-2).amax().item()
    squarings = 0
    if math.isfinite(norm) and norm > _LARGEST_NORM:
        squarings = math.ceil(math.log2(norm / _LARGEST_NORM))
    x = a * 0.5**squarings
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x2 @ x4
    b = _PADE
    odd = x @ (
        x6 @ (b[13] * x6 + b[11] * x4 + b[9] * x2)
        + b[7] * x6
        + b[5] * x4
        + b[3] * x2
        + b[1] * identity
    )
    even = (
        x6 @ (b[12] * x6 + b[10] * x4 + b[8] * x2)
        + b[6] * x6
        + b[4] * x4
        + b[2] * x2
        + b[0] * identity
    )
    result = FUNCTIONS["linalg_solve_ex"](even - odd, even + odd).result
    for _ in range(squarings):
        result = result @ result
    return result


@composite()
def linalg_matrix_exp(self: Any) -> Any:
    """The matrix exponential, computed in double precision."""
    check_square(self, "linalg.matrix_exp")
    check_float(self, "linalg.matrix_exp")
    if self.numel() == 0:
        return self.clone()
    return _exponential(self.double()).to(self.dtype)


@composite(method=True)
def matrix_exp(self: Any) -> Any:
    """linalg.matrix_exp."""
    return linalg_matrix_exp(self)


# ---- chains --------------------------------------------------------------------------------------
def _cheapest_order(sizes: Sequence[int]) -> list[list[int]]:
    """Where to split each chain i..j so that the products cost least (Cormen et al., Introduction
    to Algorithms, 15.2). Matrix i is (sizes[i], sizes[i + 1])."""
    count = len(sizes) - 1
    cost = [[0] * count for _ in range(count)]
    split = [[0] * count for _ in range(count)]
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i][j], split[i][j] = min(
                (cost[i][s] + cost[s + 1][j] + sizes[i] * sizes[s + 1] * sizes[j + 1], s)
                for s in range(i, j)
            )
    return split


def _check_chain(tensors: Sequence[Any]) -> None:
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    for i, t in enumerate(tensors):
        if i in (0, len(tensors) - 1):
            if t.ndim not in (1, 2):
                place = "first" if i == 0 else "last"
                raise RuntimeError(
                    f"multi_dot(): the {place} tensor must be 1D or 2D but got {t.ndim}D"
                )
        elif t.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {t.ndim}D")
        if t.dtype is not tensors[0].dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor {i} is "
                f"{t.dtype} and the first is {tensors[0].dtype}"
            )


@composite()
def linalg_multi_dot(tensors: Sequence[Any]) -> Any:
    """The product of a chain of matrices in the cheapest order; its ends may be vectors."""
    _check_chain(tensors)
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    chain = list(tensors)
    if first:
        chain[0] = chain[0].unsqueeze(0)
    if last:
        chain[-1] = chain[-1].unsqueeze(-1)
    for i in range(len(chain) - 1):
        if chain[i].shape[1] != chain[i + 1].shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(tensors[i].shape)} and "
                f"{list(tensors[i + 1].shape)} cannot be multiplied"
            )
    split = _cheapest_order([chain[0].shape[0], *(t.shape[1] for t in chain)])

    def product(i: int, j: int) -> Any:
        return chain[i] if i == j else product(i, split[i][j]) @ product(split[i][j] + 1, j)

    result = product(0, len(chain) - 1)
    size = tuple(result.shape[int(first) : result.ndim - int(last)])
    return result.reshape(size)


# ---- vectors -------------------------------------------------------------------------------------
@composite()
def linalg_vecdot(x: Any, y: Any, *, dim: int = -1) -> Any:
    """Dot products of vectors along ``dim``, broadcast over the others."""
    check_same_dtype(x, y, "linalg.vecdot", ("x", "y"))
    if x.ndim and y.ndim:
        size = tuple(_C.broadcast_shapes(tuple(x.shape), tuple(y.shape)))
        if k.wrap_dim(dim, len(size)) == len(size) - 1 and x.dtype.is_floating_point:
            a, b = x.expand(size).unsqueeze(-2), y.expand(size).unsqueeze(-1)
            return (a @ b).squeeze(-1).squeeze(-1)
    product = x * y
    return product.sum(dim) if product.ndim else product


@composite()
def linalg_matmul(self: Any, other: Any) -> Any:
    """matmul."""
    return FUNCTIONS["matmul"](self, other)


@composite()
def linalg_diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """A view of the diagonals of matrices."""
    return A.diagonal(offset, dim1, dim2)
