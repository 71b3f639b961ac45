"""Approximate decompositions of low rank by random projections (Halko, Martinsson & Tropp, Finding
structure with randomness, 2011)."""

from __future__ import annotations

from typing import Any

from wasm_torch.ops._table import FUNCTIONS, composite


def _basis(a: Any, q: int, niter: int) -> Any:
    """Q (..., M, q): orthonormal columns whose span nearly holds the range of A."""
    qr = FUNCTIONS["linalg_qr"]
    projection = FUNCTIONS["randn"](a.shape[-1], q, dtype=a.dtype)
    basis = qr(a @ projection).Q
    for _ in range(niter):
        basis = qr(a.mT @ basis).Q
        basis = qr(a @ basis).Q
    return basis


def _decompose(a: Any, q: int, niter: int) -> tuple[Any, Any, Any]:
    rows, columns = a.shape[-2:]
    if rows < columns:
        basis = _basis(a.mT, q, niter)
        u, s, vh = FUNCTIONS["linalg_svd"](a @ basis, False)
        return u, s, basis @ vh.mT
    basis = _basis(a, q, niter)
    u, s, vh = FUNCTIONS["linalg_svd"](basis.mT @ a, False)
    return basis @ u, s, vh.mT


@composite()
def svd_lowrank(A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None) -> Any:
    """U (..., M, q), S (..., q) and V (..., N, q) of A, or of A - M."""
    a = A if M is None else A - M.expand(tuple(A.shape))
    return _decompose(a, 6 if q is None else q, 2 if niter is None else niter)


@composite()
def pca_lowrank(A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> Any:
    """U, S and V of the rows of A, less their mean where ``center``."""
    rows, columns = A.shape[-2:]
    if q is None:
        q = min(6, rows, columns)
    elif not 0 <= q <= min(rows, columns):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)="
            f"{min(rows, columns)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    a = A - A.mean(-2, True) if center else A
    return _decompose(a, q, niter)
