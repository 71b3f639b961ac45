"""Eigenvalues and vectors of symmetric matrices."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite, op
from wasm_torch.ops.linalg._operands import (
    check_kernel,
    check_square,
    diagonal_matrix,
    raise_failures,
    transposed,
)


def _eigh_backward(grads: Any, values: Any, vectors: Any) -> Any:
    """V (diag(gL) + (V^T gV) / E) V^T with E_ij = L_j - L_i (Giles, An extended collection of
    matrix derivative results, 2008)."""
    grad_values, grad_vectors = grads
    if grad_values is None and grad_vectors is None:
        return None
    inner = 0
    if grad_values is not None:
        inner = diagonal_matrix(grad_values)
    if grad_vectors is not None:
        gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
        identity = FUNCTIONS["eye"](values.shape[-1], dtype=values.dtype)
        projected = vectors.mT @ grad_vectors
        inner = inner + projected * (1 - identity) / (gaps + identity)
    return vectors @ inner @ vectors.mT


def _decompose(a: Any, uplo: str, wants_vectors: bool) -> tuple[Any, Any]:
    check_square(a, "linalg.eigh")
    if uplo.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")
    check_kernel(a, "linalg_eigh_cpu")
    values = k.empty(tuple(a.shape[:-1]), a.dtype)
    vectors = k.empty(tuple(a.shape), a.dtype) if wants_vectors else None
    info = k.empty(tuple(a.shape[:-2]), _C.int32)
    k.launch("eigh", values, vectors, info, a if uplo.upper() == "L" else transposed(a))
    raise_failures(
        info,
        "linalg.eigh",
        "The algorithm failed to converge because the input matrix is ill-conditioned or has too "
        "many repeated eigenvalues (error code: {}).",
    )
    return values, vectors


@op(
    'linalg_eigh(Tensor self, str UPLO="L") -> (Tensor eigenvalues, Tensor eigenvectors)',
    family="linalg",
    method=False,
    vjp={"self": lambda grads, result0, result1: _eigh_backward(grads, result0, result1)},
)
def linalg_eigh(self: Any, UPLO: str) -> Any:
    """Eigenvalues (ascending) and eigenvectors (columns) of symmetric matrices, of which the
    triangle ``UPLO`` ("L" or "U") is read.
    """
    return _decompose(self, UPLO, True)


@composite()
def linalg_eigvalsh(self: Any, UPLO: str = "L") -> Any:
    """Eigenvalues of symmetric matrices, ascending."""
    if _C.grad_enabled() and self.requires_grad:
        return FUNCTIONS["linalg_eigh"](self, UPLO).eigenvalues
    return _decompose(self, UPLO, False)[0]
