"""QR factorisations and products of Householder reflectors."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite, op
from wasm_torch.ops.linalg._operands import (
    check_float,
    check_kernel,
    check_matrix,
    check_same_dtype,
    halve_diagonal,
)
from wasm_torch.return_types import return_type


def _reflectors(a: Any) -> tuple[Any, Any]:
    """The packed factorisation and tau, by the kernel."""
    check_kernel(a, "geqrf_cpu")
    packed = k.empty(tuple(a.shape), a.dtype)
    tau = k.empty((*a.shape[:-2], min(a.shape[-2:])), a.dtype)
    k.launch("geqrf", packed, tau, a)
    return packed, tau


def _apply(packed: Any, tau: Any, other: Any, transpose: bool) -> Any:
    """Q other, or Q^T other, by the kernel."""
    out = k.empty(tuple(other.shape), other.dtype)
    if out.numel():
        k.launch("apply_reflectors", out, packed, tau, other, transpose)
    return out


def _first_columns(packed: Any, tau: Any, columns: int) -> Any:
    """The first columns of Q."""
    rows = packed.shape[-2]
    identity = FUNCTIONS["eye"](rows, columns, dtype=packed.dtype)
    return _apply(packed, tau, k.expand_to(identity, (*packed.shape[:-2], rows, columns)), False)


# ---- factorisation -------------------------------------------------------------------------------
def _qr_backward(grads: Any, q: Any, r: Any, mode: str) -> Any:
    """gA = (gQ + Q sym(triu(gR R^T - Q^T gQ))) R^-T (Walter & Lehmann, Algorithmic differentiation
    of linear algebra functions, 2013); of a wide A = Q [R1 R2] with R2 = Q^T A2."""
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please "
            "use linalg.qr(A, mode='reduced') if you are going to differentiate through linalg.qr."
        )
    rows, columns = q.shape[-2], r.shape[-1]
    if mode == "complete" and rows > columns:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
        )
    grad_q, grad_r = grads
    grad_q = FUNCTIONS["zeros_like"](q) if grad_q is None else grad_q
    grad_r = FUNCTIONS["zeros_like"](r) if grad_r is None else grad_r
    square, beyond = r, None
    if columns > rows:
        square, grad_rest = r[..., :rows], grad_r[..., rows:]
        grad_r = grad_r[..., :rows]
        beyond = q @ grad_rest
        grad_q = grad_q + q @ r[..., rows:] @ grad_rest.mT
    middle = (grad_r @ square.mT - q.mT @ grad_q).triu()
    inner = grad_q + q @ halve_diagonal(middle + middle.mT)
    result = FUNCTIONS["linalg_solve_triangular"](square.mT, inner, upper=False, left=False)
    return result if beyond is None else FUNCTIONS["cat"]((result, beyond), -1)


@op(
    'linalg_qr(Tensor A, str mode="reduced") -> (Tensor Q, Tensor R)',
    family="linalg",
    method=False,
    vjp={"A": lambda grads, result0, result1, mode: _qr_backward(grads, result0, result1, mode)},
)
def linalg_qr(A: Any, mode: str) -> Any:
    """Q (orthonormal columns) and R (upper triangular) with A = Q R; ``mode`` "reduced",
    "complete", or "r" for R alone.
    """
    check_matrix(A, "linalg.qr")
    check_float(A, "linalg.qr")
    if mode not in ("reduced", "r", "complete"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    rows, columns = A.shape[-2:]
    kept = rows if mode == "complete" else min(rows, columns)
    packed, tau = _reflectors(A)
    r = packed[..., :kept, :].triu()
    if mode == "r":
        return k.empty((0,), A.dtype), r
    return _first_columns(packed, tau, kept), r


@composite(method=True)
def qr(self: Any, some: bool = True) -> Any:
    """linalg.qr, reduced or complete."""
    q, r = FUNCTIONS["linalg_qr"](self, "reduced" if some else "complete")
    return return_type("qr", ("Q", "R"))(q, r)


@op("geqrf(Tensor self) -> (Tensor a, Tensor tau)", family="linalg")
def geqrf(self: Any) -> Any:
    """LAPACK's packed form of QR: R above, the reflectors below the diagonal, and their factors
    tau.
    """
    if self.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    return _reflectors(self)


# ---- products of reflectors ----------------------------------------------------------------------
def _records(*tensors: Any) -> bool:
    return _C.grad_enabled() and any(t.requires_grad for t in tensors)


def _apply_recorded(packed: Any, tau: Any, other: Any, transpose: bool) -> Any:
    """Q other by differentiable steps: other - tau v (v^T other) for each reflector."""
    count = tau.shape[-1]
    rows = packed.shape[-2]
    tails = packed[..., :count].tril(-1) + FUNCTIONS["eye"](rows, count, dtype=packed.dtype)
    if count == 0:
        return other - tails @ (tau.unsqueeze(-1) * (tails.mT @ other))
    for i in range(count) if transpose else reversed(range(count)):
        v = tails[..., i : i + 1]
        other = other - tau[..., i : i + 1].unsqueeze(-1) * (v @ (v.mT @ other))
    return other


def _product(packed: Any, tau: Any, other: Any, transpose: bool) -> Any:
    if _records(packed, tau, other):
        return _apply_recorded(packed, tau, other, transpose)
    return _apply(packed, tau, other, transpose)


@composite()
def linalg_householder_product(input: Any, tau: Any) -> Any:
    """The first N columns of the product of the reflectors packed in ``input`` (..., M, N)."""
    function = "torch.linalg.householder_product"
    if input.ndim < 2:
        raise RuntimeError(f"{function}: input must have at least 2 dimensions.")
    rows, columns = input.shape[-2:]
    if rows < columns:
        raise RuntimeError(
            f"{function}: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if columns < tau.shape[-1]:
        raise RuntimeError(
            f"{function}: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if tau.ndim != input.ndim - 1 or tau.shape[:-1] != input.shape[:-2]:
        raise RuntimeError(
            f"{function}: Expected batch dimensions of tau to be equal to input.shape[:-2], but "
            f"got {list(tau.shape[:-1])}"
        )
    check_same_dtype(tau, input, function, ("tau", "input"))
    check_kernel(input, "orgqr_cpu")
    identity = FUNCTIONS["eye"](rows, columns, dtype=input.dtype)
    return _product(input, tau, identity.expand((*input.shape[:-2], rows, columns)), False)


@composite(method=True)
def orgqr(self: Any, input2: Any) -> Any:
    """linalg.householder_product."""
    return linalg_householder_product(self, input2)


@composite(method=True)
def ormqr(self: Any, input2: Any, input3: Any, left: bool = True, transpose: bool = False) -> Any:
    """Q C, Q^T C, C Q or C Q^T, where Q is the full product of the reflectors of ``self``."""
    if self.ndim < 2:
        raise RuntimeError("torch.ormqr: input must have at least 2 dimensions.")
    if input3.ndim < 2:
        raise RuntimeError("torch.ormqr: other must have at least 2 dimensions.")
    side = -2 if left else -1
    if input3.shape[side] != self.shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be equal to input.shape[-2]")
    if input2.shape[-1] > input3.shape[side]:
        raise RuntimeError(
            f"torch.ormqr: other.shape[{side}] must be greater than or equal to tau.shape[-1]"
        )
    check_kernel(self, "ormqr_cpu")
    if left:
        return _product(self, input2, input3, transpose)
    return _product(self, input2, input3.mT, not transpose).mT
