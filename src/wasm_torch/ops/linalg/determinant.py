"""Determinants."""

from __future__ import annotations

import math
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._table import FUNCTIONS, composite, op
from wasm_torch.ops.linalg._operands import (
    check_float,
    check_kernel,
    check_square,
)
from wasm_torch.ops.linalg.solve import factor


def _diagonal_and_parity(a: Any) -> tuple[Any, Any]:
    """The diagonal of U and the sign of the permutation (double precision)."""
    packed, pivots, _ = factor(a, _C.float64)
    places = FUNCTIONS["arange"](1, pivots.shape[-1] + 1, dtype=_C.int32)
    exchanges = (pivots != places).sum(-1)
    return packed.diagonal(0, -2, -1), 1.0 - 2.0 * (exchanges % 2).to(_C.float64)


def _cofactors(a: Any) -> Any:
    """det(A) A^-T, which exists for singular matrices too: then by singular values."""
    determinant = FUNCTIONS["linalg_det"](a)
    if bool((determinant != 0).all()):
        inverse = FUNCTIONS["linalg_inv_ex"](a).inverse
        return determinant.unsqueeze(-1).unsqueeze(-1) * inverse.mT
    u, s, vh = FUNCTIONS["linalg_svd"](a)
    n = s.shape[-1]
    others = (
        s.unsqueeze(-2)
        .expand((*s.shape, n))
        .where(FUNCTIONS["eye"](n, dtype=_C.bool).logical_not(), 1.0)
    )
    sign = FUNCTIONS["linalg_det"](u.detach()) * FUNCTIONS["linalg_det"](vh.detach())
    return sign.unsqueeze(-1).unsqueeze(-1) * (u * others.prod(-1).unsqueeze(-2)) @ vh


@op(
    "linalg_det(Tensor A) -> Tensor",
    family="linalg",
    method=False,
    vjp={
        "A": lambda grad, A: grad.unsqueeze(-1).unsqueeze(-1) * _cofactors(A.double()).to(A.dtype)
    },
)
def linalg_det(A: Any) -> Any:
    """The determinant of each square matrix."""
    check_square(A, "linalg.det")
    check_float(A, "linalg.det")
    check_kernel(A, "lu_cpu")
    diagonal, parity = _diagonal_and_parity(A)
    return _C.cast(diagonal.prod(-1) * parity, A.dtype)


@op(
    "linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet)",
    family="linalg",
    method=False,
    vjp={
        "A": lambda grads, A: (
            None
            if grads[1] is None
            else grads[1].unsqueeze(-1).unsqueeze(-1) * FUNCTIONS["linalg_inv_ex"](A).inverse.mT
        )
    },
)
def linalg_slogdet(A: Any) -> Any:
    """The sign and the logarithm of the magnitude of each determinant: 0 and -inf for singular
    matrices.
    """
    check_square(A, "linalg.slogdet")
    check_float(A, "linalg.slogdet", low_precision=False)
    diagonal, parity = _diagonal_and_parity(A)
    sign = diagonal.sign().prod(-1) * parity
    return _C.cast(sign, A.dtype), _C.cast(diagonal.abs().log().sum(-1), A.dtype)


@composite(method=True)
def det(self: Any) -> Any:
    """linalg.det."""
    return FUNCTIONS["linalg_det"](self)


@composite(method=True)
def slogdet(self: Any) -> Any:
    """linalg.slogdet."""
    return FUNCTIONS["linalg_slogdet"](self)


@composite(method=True)
def logdet(self: Any) -> Any:
    """The logarithm of the determinant, NaN where that is negative."""
    check_square(self, "logdet")
    check_float(self, "logdet", low_precision=False)
    sign, logarithm = FUNCTIONS["linalg_slogdet"](self)
    return logarithm.where(sign != -1, math.nan)
