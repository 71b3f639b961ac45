"""Cholesky factorisations and systems solved by them."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite, op
from wasm_torch.ops.linalg._operands import (
    check_float,
    check_kernel,
    check_square,
    halve_diagonal,
    raise_failures,
    transposed,
)

_NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite (the "
    "leading minor of order {} is not positive-definite)."
)


def _cholesky_backward(grad: Any, factor: Any, upper: bool) -> Any:
    """L^-T sym(phi(L^T gL)) L^-1 (Murray, Differentiation of the Cholesky decomposition, 2016);
    phi takes the lower triangle with half the diagonal."""
    lower, g = (factor.mT, grad.mT) if upper else (factor, grad)
    phi = halve_diagonal((lower.mT @ g).tril())
    symmetric = 0.5 * (phi + phi.mT)
    solve = FUNCTIONS["linalg_solve_triangular"]
    inner = solve(lower.mT, symmetric, upper=True)
    return solve(lower, inner, upper=False, left=False)


@op(
    "linalg_cholesky_ex(Tensor self, *, bool upper=False, bool check_errors=False) -> "
    "(Tensor L, Tensor info)",
    family="linalg",
    method=False,
    vjp={"self": lambda grad, result0, upper: _cholesky_backward(grad, result0, upper)},
)
def linalg_cholesky_ex(self: Any, upper: bool, check_errors: bool) -> Any:
    """The Cholesky factor of each symmetric positive definite matrix, lower unless ``upper``, and
    info (int32): 0, or the order of the first minor that is not positive.
    """
    check_square(self, "linalg.cholesky")
    check_float(self, "linalg.cholesky")
    check_kernel(self, "cholesky_cpu")
    out = k.empty(tuple(self.shape), self.dtype)
    info = k.empty(tuple(self.shape[:-2]), _C.int32)
    k.launch("cholesky", out, info, transposed(self) if upper else self)
    if check_errors:
        raise_failures(info, "linalg.cholesky_ex", _NOT_POSITIVE)
    return (transposed(out) if upper else out), info


def _factor(a: Any, upper: bool, function: str) -> Any:
    result, info = FUNCTIONS["linalg_cholesky_ex"](a, upper=upper)
    raise_failures(info, function, _NOT_POSITIVE)
    return result


@composite()
def linalg_cholesky(self: Any, *, upper: bool = False) -> Any:
    """L with A = L L^T (or U with A = U^T U); LinAlgError if not positive-definite."""
    return _factor(self, upper, "linalg.cholesky")


@composite(method=True)
def cholesky(self: Any, upper: bool = False) -> Any:
    """linalg.cholesky."""
    check_square(self, "cholesky")
    check_kernel(self, "cholesky_cpu")
    return _factor(self, upper, "cholesky")


@composite(method=True)
def cholesky_solve(self: Any, input2: Any, upper: bool = False) -> Any:
    """X of A X = self, where ``input2`` is the Cholesky factor of A."""
    for name, value in (("b", self), ("u", input2)):
        if value.ndim < 2:
            raise RuntimeError(
                f"{name} should have at least 2 dimensions, but has {value.ndim} dimensions instead"
            )
    solve = FUNCTIONS["linalg_solve_triangular"]
    first, second = (input2.mT, input2) if upper else (input2, input2.mT)
    return solve(second, solve(first, self, upper=False), upper=True)


@composite(method=True)
def cholesky_inverse(self: Any, upper: bool = False) -> Any:
    """The inverse of A, given its Cholesky factor."""
    check_square(self, "cholesky_inverse")
    check_kernel(self, "cholesky_inverse_out_cpu")
    factor = self.triu() if upper else self.tril()
    zero = factor.detach().diagonal(0, -2, -1) == 0
    if bool(zero.any()):
        places = FUNCTIONS["arange"](1, zero.shape[-1] + 1).where(zero, zero.shape[-1] + 1)
        info = places.amin(-1)
        raise_failures(
            info.where(info <= zero.shape[-1], 0),
            "cholesky_inverse",
            "The diagonal element {} is zero, the inversion could not be completed because the "
            "input matrix is singular.",
        )
    identity = FUNCTIONS["eye"](self.shape[-1], dtype=self.dtype)
    return cholesky_solve(identity, factor, upper)
