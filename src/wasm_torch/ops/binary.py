"""Extremes, and other functions of two tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._kernels import (
    binary,
    binary_float,
    cast,
    float_result_type,
    result_type,
    unary_float,
)
from wasm_torch.ops._table import FUNCTIONS, alias, composite, op
from wasm_torch.ops.elementary import no_gradient


def _half_at_ties(mask: Any, ties: Any, grad: Any) -> Any:
    return FUNCTIONS["where"](ties, grad / 2, FUNCTIONS["where"](mask, grad, 0.0))


def _extremum_row(name: str, which: str, better: Callable[[Any, Any], Any]) -> None:
    @op(
        f"{name}(Tensor self, Tensor other) -> Tensor",
        doc=f"The {which} of the elements, broadcast; NaN in either gives NaN.",
        family="pointwise",
        vjp={
            "self": lambda grad, self, other: _half_at_ties(
                better(self, other), self == other, grad
            ),
            "other": lambda grad, self, other: _half_at_ties(
                better(other, self), self == other, grad
            ),
        },
    )
    def kernel(self: Any, other: Any) -> Any:
        return binary(name, self, other, 1.0, result_type(self, other))


_extremum_row("maximum", "larger", lambda a, b: a > b)
_extremum_row("minimum", "smaller", lambda a, b: a < b)


def _ignoring_nan_row(name: str, which: str, chosen: Callable[[Any, Any], Any]) -> None:
    @op(
        f"{name}(Tensor self, Tensor other) -> Tensor",
        doc=f"The {which} of the elements, broadcast; NaN only where both are NaN.",
        family="pointwise",
        vjp={
            "self": lambda grad, self, other: grad * (chosen(self, other) | other.isnan()),
            "other": lambda grad, self, other: (
                grad * (chosen(self, other) | other.isnan()).logical_not()
            ),
        },
    )
    def kernel(self: Any, other: Any) -> Any:
        return binary(name, self, other, 1.0, result_type(self, other))


_ignoring_nan_row("fmax", "larger", lambda a, b: a >= b)
_ignoring_nan_row("fmin", "smaller", lambda a, b: a <= b)


@op(
    "atan2(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp={
        "self": lambda grad, self, other: grad * other / (self * self + other * other),
        "other": lambda grad, self, other: -grad * self / (self * self + other * other),
    },
)
def atan2(self: Any, other: Any) -> Any:
    """The angle of the point (other, self) in radians, from -pi to pi; integers give floats."""
    return binary_float("atan2", self, other)


alias("arctan2", "atan2")


@op(
    "hypot(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp={
        "self": lambda grad, self, result: grad * (self / result),
        "other": lambda grad, other, result: grad * (other / result),
    },
)
def hypot(self: Any, other: Any) -> Any:
    """sqrt(self^2 + other^2), without overflow on the way."""
    return binary_float("hypot", self, other)


@op(
    "copysign.Tensor(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
    vjp={
        "self": lambda grad, self, result: grad * FUNCTIONS["where"](self == 0, 0.0, result / self),
        "other": lambda grad: FUNCTIONS["zeros_like"](grad),
    },
)
def copysign(self: Any, other: Any) -> Any:
    """The magnitude of ``self`` with the sign of ``other``; integers give floats."""
    return binary_float("copysign", self, other)


@op(
    "nextafter(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp={"self": lambda grad: grad, "other": no_gradient},
)
def nextafter(self: Any, other: Any) -> Any:
    """The next float after ``self`` in the direction of ``other``."""
    return binary("nextafter", self, other)


@composite(method=True, inplace=True)
def ldexp(self: Any, other: Any) -> Any:
    """``self * 2 ** other``."""
    return self * FUNCTIONS["pow"](2.0, other)


@op(
    "logaddexp(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    vjp={
        "self": lambda grad, self, result: grad * (self - result).exp(),
        "other": lambda grad, other, result: grad * (other - result).exp(),
    },
)
def logaddexp(self: Any, other: Any) -> Any:
    """log(exp(self) + exp(other)), without overflow on the way."""
    return binary_float("logaddexp", self, other)


@op(
    "logaddexp2(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    vjp={
        "self": lambda grad, self, result: grad * (self - result).exp2(),
        "other": lambda grad, other, result: grad * (other - result).exp2(),
    },
)
def logaddexp2(self: Any, other: Any) -> Any:
    """log2(2^self + 2^other), without overflow on the way."""
    return binary_float("logaddexp2", self, other)


def _where_not_nan(base: Any, other: Any, value: Any) -> Any:
    """Zero where the first factor is 0 and the other is no NaN."""
    nan = other.isnan() if isinstance(other, _C.TensorBase) else other != other
    zero = (base == 0.0) & nan.logical_not() if isinstance(nan, _C.TensorBase) else base == 0.0
    return FUNCTIONS["where"](zero, 0.0, value)


@op(
    "xlogy.Tensor(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
    vjp={
        "self": lambda grad, self, other: _where_not_nan(
            self, FUNCTIONS["as_tensor"](other) > 0, grad * FUNCTIONS["as_tensor"](other).log()
        ),
        "other": lambda grad, self, other: grad * self / other,
    },
)
def xlogy(self: Any, other: Any) -> Any:
    """self * log(other), and 0 where ``self`` is 0 (NaN where ``other`` is NaN)."""
    return binary_float("xlogy", self, other)


@op(
    "special_xlog1py(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    method=False,
    vjp={
        "self": lambda grad, self, other: _where_not_nan(
            self, FUNCTIONS["as_tensor"](other) > -1, grad * FUNCTIONS["as_tensor"](other).log1p()
        ),
        "other": lambda grad, self, other: grad * self / (other + 1),
    },
)
def special_xlog1py(self: Any, other: Any) -> Any:
    """self * log(1 + other), and 0 where ``self`` is 0 (NaN where ``other`` is NaN)."""
    return binary_float("xlog1py", self, other)


@op(
    "special_zeta(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    method=False,
    vjp={
        "other": lambda grad, self, other: (
            grad * -self * FUNCTIONS["special_zeta"](self + 1.0, other)
        )
    },
)
def special_zeta(self: Any, other: Any) -> Any:
    """The Hurwitz zeta function: the sum of (k + other)^-self over k >= 0."""
    return binary_float("zeta", self, other)


@op("heaviside(Tensor self, Tensor values) -> Tensor", family="pointwise", inplace=True)
def heaviside(self: Any, values: Any) -> Any:
    """0 for negative elements, 1 for positive ones, and ``values`` at 0."""
    if self.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return binary("heaviside", self, values)


@op(
    "igamma(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp={
        "other": lambda grad, self, other: (
            grad * ((self - 1) * other.log() - other - self.lgamma()).exp()
        )
    },
)
def igamma(self: Any, other: Any) -> Any:
    """The regularised lower incomplete gamma function P(self, other)."""
    return binary_float("igamma", self, other)


@op(
    "igammac(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp={
        "other": lambda grad, self, other: (
            -grad * ((self - 1) * other.log() - other - self.lgamma()).exp()
        )
    },
)
def igammac(self: Any, other: Any) -> Any:
    """The regularised upper incomplete gamma function Q(self, other)."""
    return binary_float("igammac", self, other)


@op(
    "polygamma(int n, Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    vjp={"self": lambda grad, n, self: grad * FUNCTIONS["polygamma"](n + 1, self)},
)
def polygamma(n: int, self: Any) -> Any:
    """The ``n``-th derivative of digamma. Raises RuntimeError for negative ``n``.

    Source: DLMF 5.15.1, by the Hurwitz zeta function.
    """
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    if n == 0:
        return unary_float("digamma", self)
    if n == 1:
        return unary_float("trigamma", self)
    factor = math.gamma(n + 1) * (-1.0) ** (n + 1)
    dtype = float_result_type(self)
    order = _C.from_data(float(n + 1), dtype)
    return binary("mul", binary("zeta", order, cast(self, dtype)), factor)
