"""Bessel and Airy functions in double precision: power series near 0, elsewhere integrals.

The integrals (DLMF 10.32.8, 9.5.7) have integrands that are analytic and decay like exp(-s^2), for
which the trapezoidal rule converges exponentially (Trefethen & Weideman, The exponentially
convergent trapezoidal rule, 2014): 22 to 44 nodes give double precision.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._table import FUNCTIONS, composite

_TERMS = 22
_FACTORIALS = [math.factorial(j) for j in range(_TERMS + 1)]
_HARMONIC = [0.0, *itertools.accumulate(1 / j for j in range(1, _TERMS + 1))]
_EULER = 0.5772156649015329


def _doubles(x: Any) -> tuple[Any, Any]:
    """The argument as float64, and the dtype of the result."""
    return x.double(), x.dtype if x.dtype.is_floating_point else _C.get_default_dtype()


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """The sum of coefficients[j] * x^j."""
    result = x * 0 + coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result


def _nodes(step: float, count: int) -> tuple[Any, Any]:
    """Nodes 0, step, ... and weights step * exp(-s^2) of the rule on [0, inf)."""
    s = FUNCTIONS["arange"](count, dtype=_C.float64) * step
    weights = step * (-s * s).exp()
    weights[0] *= 0.5
    return s, weights


def _select(condition: Any, yes: Any, no: Any) -> Any:
    return FUNCTIONS["where"](condition, yes, no)


# ---- series --------------------------------------------------------------------------------------
def _series(x: Any, order: int, sign: int) -> tuple[Any, Any]:
    """Near 0: I (sign 1) or J (sign -1) of order 0 or 1, and the sum with digammas of the second
    kind (DLMF 10.25.2, 10.31.1, 10.8.1), psi(j + 1) + psi(j + 1 + order) halved for order 0."""
    q = x * x / 4
    regular, digammas = [], []
    for j in range(_TERMS):
        coefficient = sign**j / (_FACTORIALS[j] * _FACTORIALS[j + order])
        regular.append(coefficient)
        psi = _HARMONIC[j] + _HARMONIC[j + order] - 2 * _EULER
        digammas.append(coefficient * psi / 2)
    scale = (x / 2) ** order
    return scale * _polynomial(q, regular), scale * _polynomial(q, digammas)


def _second_kind_near_zero(x: Any, order: int, sign: int) -> Any:
    """(-1)^(order + 1) K (sign 1), or pi/2 Y (sign -1)."""
    regular, digammas = _series(x, order, sign)
    result = (x / 2).log() * regular - digammas
    return result if order == 0 else result + sign / x


# ---- integrals -----------------------------------------------------------------------------------
def _scaled_k(x: Any, order: int) -> Any:
    """exp(x) K(x) for x >= 2."""
    s, weights = _nodes(0.3, 22)
    inner = (1 + s * s / (2 * x.unsqueeze(-1))).sqrt()
    integrand, factor = (1 / inner, 2) if order == 0 else (inner * s * s, 4)
    return factor * (integrand @ weights) / (2 * x).sqrt()


def _y_by_integral(x: Any, order: int) -> Any:
    """Y(x) for x >= 4, by modulus and phase of the Hankel function."""
    s, weights = _nodes(0.3, 22)
    y = s * s / (2 * x.unsqueeze(-1))
    r = (1 + y * y).sqrt()
    real = ((r + 1) / 2).sqrt()
    imaginary = y / (2 * real)
    if order == 0:
        p, q = (real / r) @ weights * 2, -(imaginary / r) @ weights * 2
    else:
        weights = weights * s * s
        p, q = real @ weights * 4, imaginary @ weights * 4
    phase = x - (order / 2 + 0.25) * math.pi
    return (p * phase.sin() + q * phase.cos()) * (2 / x).sqrt() / math.pi


# ---- functions -----------------------------------------------------------------------------------
def _bessel_y(x: Any, order: int) -> Any:
    t, dtype = _doubles(x)
    near = _second_kind_near_zero(t.clamp(max=4), order, -1) * (2 / math.pi)
    result = _select(t > 4, _y_by_integral(t.clamp(min=4), order), near)
    result = _select(t == 0, -math.inf, result)
    return _select(t < 0, math.nan, result).to(dtype)


def _modified_k(x: Any, order: int, scaled: bool) -> Any:
    t, dtype = _doubles(x)
    near = _second_kind_near_zero(t.clamp(max=2), order, 1)
    near = near if order else -near
    far = _scaled_k(t.clamp(min=2), order)
    if scaled:
        near = near * t.clamp(max=2).exp()
    else:
        far = far * (-t).exp()
    result = _select(t > 2, far, near)
    result = _select(t == 0, math.inf, result)
    return _select(t < 0, math.nan, result).to(dtype)


@composite()
def special_bessel_y0(self: Any) -> Any:
    """The Bessel function of the second kind of order 0."""
    return _bessel_y(self, 0)


@composite()
def special_bessel_y1(self: Any) -> Any:
    """The Bessel function of the second kind of order 1."""
    return _bessel_y(self, 1)


@composite()
def special_modified_bessel_k0(self: Any) -> Any:
    """The modified Bessel function of the second kind of order 0."""
    return _modified_k(self, 0, False)


@composite()
def special_modified_bessel_k1(self: Any) -> Any:
    """The modified Bessel function of the second kind of order 1."""
    return _modified_k(self, 1, False)


@composite()
def special_scaled_modified_bessel_k0(x: Any) -> Any:
    """exp(x) K0(x)."""
    return _modified_k(x, 0, True)


@composite()
def special_scaled_modified_bessel_k1(x: Any) -> Any:
    """exp(x) K1(x)."""
    return _modified_k(x, 1, True)


@composite()
def special_modified_bessel_i0(self: Any) -> Any:
    """The modified Bessel function of the first kind of order 0."""
    return FUNCTIONS["i0"](self)


@composite()
def special_modified_bessel_i1(self: Any) -> Any:
    """The modified Bessel function of the first kind of order 1."""
    return FUNCTIONS["special_i1"](self)


@composite()
def special_spherical_bessel_j0(x: Any) -> Any:
    """sin(x) / x."""
    t, dtype = _doubles(x)
    plain = _select(t == 0, 1.0, t.sin() / t)
    return _select(t.isinf(), 0.0, plain).to(dtype)


# ---- Airy ----------------------------------------------------------------------------------------
_AI0 = 3 ** (-2 / 3) / math.gamma(2 / 3)  # Ai(0), -Ai'(0): DLMF 9.2.3, 9.2.4
_AI1 = 3 ** (-1 / 3) / math.gamma(1 / 3)


def _airy_near_zero(x: Any) -> Any:
    """The Maclaurin series, DLMF 9.4.1."""
    even, odd = [_AI0], [-_AI1]
    for j in range(1, 16):
        even.append(even[-1] / ((3 * j - 1) * (3 * j)))
        odd.append(odd[-1] / ((3 * j) * (3 * j + 1)))
    cube = x * x * x
    return _polynomial(cube, even) + x * _polynomial(cube, odd)


def _airy_far(x: Any, negative: Any) -> Any:
    """Ai(+-x) for x >= 2: DLMF 9.5.7; on the negative side Ai(-x) = 2 Re[w Ai(x w)] with
    w = exp(i pi/3) (DLMF 9.2.14), in which exp(-x^(1/2) t^2) turns by pi/6."""
    s, weights = _nodes(0.15, 44)
    quarter = x.sqrt().sqrt()
    wave = (s * s * s / 3 / (quarter * x.sqrt()).unsqueeze(-1)).cos()
    zeta = 2 / 3 * x * x.sqrt()
    positive = (-zeta).exp() * (wave @ weights)
    turned = weights * ((1 - math.sqrt(3) / 2) * s * s).exp()
    real, imaginary = wave @ (turned * (s * s / 2).cos()), wave @ (turned * (s * s / 2).sin())
    phase = math.pi / 3 - zeta
    oscillating = 2 * (real * phase.cos() + imaginary * phase.sin())
    return _select(negative, oscillating, positive) / (math.pi * quarter)


@composite()
def special_airy_ai(x: Any) -> Any:
    """The Airy function Ai; NaN at the infinities, as in torch."""
    t, dtype = _doubles(x)
    far = _airy_far(t.abs().clamp(min=2), t < 0)
    result = _select(t.abs() > 2, far, _airy_near_zero(t.clamp(-2, 2)))
    return _select(t.isinf(), math.nan, result).to(dtype)
