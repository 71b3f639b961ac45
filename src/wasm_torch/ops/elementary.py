"""Functions of one tensor, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._kernels import (
    binary,
    cast,
    ternary,
    unary,
    unary_float,
)
from wasm_torch.ops._table import FUNCTIONS, op

TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)
SQRT_PI = math.sqrt(math.pi)
LN_2 = math.log(2)
LN_10 = math.log(10)


def _float_row(
    name: str, doc: str, vjp: Callable[..., Any] | None, *, public: str = "", **options: Any
) -> None:
    """A function on floats; integers become the default float dtype."""
    public = public or name

    doc = f"{doc} Integers give floats."

    @op(f"{public}(Tensor self) -> Tensor", vjp=vjp, family="pointwise", doc=doc, **options)
    def kernel(self: Any) -> Any:
        return unary_float(name, self)


_float_row("sqrt", "The square root.", lambda grad, result: grad / (2 * result), inplace=True)
_float_row("rsqrt", "1 / sqrt(x).", lambda grad, result: -0.5 * grad * result.pow(3), inplace=True)
_float_row("reciprocal", "1 / x.", lambda grad, result: -grad * (result * result), inplace=True)
_float_row("exp", "e to the power of x.", lambda grad, result: grad * result, inplace=True)
_float_row("exp2", "2 to the power of x.", lambda grad, result: grad * result * LN_2, inplace=True)
_float_row(
    "expm1",
    "exp(x) - 1, exact for small x.",
    lambda grad, result: grad * (result + 1),
    inplace=True,
)
_float_row("log", "The natural logarithm.", lambda grad, self: grad / self, inplace=True)
_float_row(
    "log2", "The logarithm to base 2.", lambda grad, self: grad / (self * LN_2), inplace=True
)
_float_row(
    "log10", "The logarithm to base 10.", lambda grad, self: grad / (self * LN_10), inplace=True
)
_float_row(
    "log1p", "log(1 + x), exact for small x.", lambda grad, self: grad / (self + 1), inplace=True
)
_float_row("sin", "The sine of radians.", lambda grad, self: grad * self.cos(), inplace=True)
_float_row("cos", "The cosine of radians.", lambda grad, self: grad * -self.sin(), inplace=True)
_float_row(
    "tan",
    "The tangent of radians.",
    lambda grad, result: grad * (1 + result.square()),
    inplace=True,
)
_float_row(
    "asin",
    "The inverse sine, in radians.",
    lambda grad, self: grad * (1 - self * self).rsqrt(),
    inplace=True,
)
_float_row(
    "acos",
    "The inverse cosine, in radians.",
    lambda grad, self: grad * -(1 - self * self).rsqrt(),
    inplace=True,
)
_float_row(
    "atan",
    "The inverse tangent, in radians.",
    lambda grad, self: grad / (self * self + 1),
    inplace=True,
)
_float_row("sinh", "The hyperbolic sine.", lambda grad, self: grad * self.cosh(), inplace=True)
_float_row("cosh", "The hyperbolic cosine.", lambda grad, self: grad * self.sinh(), inplace=True)
_float_row(
    "asinh",
    "The inverse hyperbolic sine.",
    lambda grad, self: grad * (self.square() + 1).rsqrt(),
    inplace=True,
)
_float_row(
    "acosh",
    "The inverse hyperbolic cosine.",
    lambda grad, self: grad * (self.square() - 1).rsqrt(),
    inplace=True,
)
_float_row(
    "atanh",
    "The inverse hyperbolic tangent.",
    lambda grad, self: grad / (1 - self.square()),
    inplace=True,
)
_float_row(
    "erf",
    "The error function.",
    lambda grad, self: TWO_OVER_SQRT_PI * (-(self * self)).exp() * grad,
    inplace=True,
)
_float_row(
    "erfc",
    "1 - erf(x).",
    lambda grad, self: -TWO_OVER_SQRT_PI * (-(self * self)).exp() * grad,
    inplace=True,
)
_float_row(
    "erfinv",
    "The inverse error function.",
    lambda grad, result: 0.5 * SQRT_PI * result.square().exp() * grad,
    inplace=True,
)
_float_row(
    "lgamma",
    "The logarithm of the magnitude of the gamma function.",
    lambda grad, self: grad * self.digamma(),
    inplace=True,
)
_float_row(
    "digamma",
    "The derivative of lgamma.",
    lambda grad, self: grad * FUNCTIONS["polygamma"](1, self),
    inplace=True,
)
_float_row(
    "trigamma",
    "The second derivative of lgamma.",
    lambda grad, self: grad * FUNCTIONS["polygamma"](2, self),
    function=False,
)
_float_row(
    "sinc",
    "sin(pi x) / (pi x), and 1 at 0.",
    lambda grad, self: grad * _sinc_derivative(self),
    inplace=True,
)
_float_row(
    "i0",
    "The modified Bessel function of order 0.",
    lambda grad, self: grad * FUNCTIONS["special_i1"](self),
    inplace=True,
)
_float_row("deg2rad", "Degrees as radians.", lambda grad: grad * (math.pi / 180), inplace=True)
_float_row("rad2deg", "Radians as degrees.", lambda grad: grad * (180 / math.pi), inplace=True)
_float_row(
    "i0e",
    "exp(-|x|) times the modified Bessel function of order 0.",
    lambda grad, self, result: grad * (FUNCTIONS["special_i1e"](self) - self.sgn() * result),
    public="special_i0e",
    method=False,
)
_float_row(
    "i1",
    "The modified Bessel function of order 1.",
    lambda grad, self, result: grad * _i1_derivative(self, result),
    public="special_i1",
    method=False,
)
_float_row(
    "i1e",
    "exp(-|x|) times the modified Bessel function of order 1.",
    lambda grad, self, result: grad * _i1e_derivative(self, result),
    public="special_i1e",
    method=False,
)
_float_row(
    "ndtri",
    "The inverse of the normal distribution function.",
    lambda grad, result: grad * math.sqrt(2 * math.pi) * (result.square() / 2).exp(),
    public="special_ndtri",
    method=False,
)
_float_row(
    "ndtr",
    "The normal distribution function.",
    lambda grad, self: grad * (-(self.square() / 2)).exp() / math.sqrt(2 * math.pi),
    public="special_ndtr",
    method=False,
)
_float_row(
    "log_ndtr",
    "The logarithm of the normal distribution function.",
    lambda grad, self: (
        grad / FUNCTIONS["special_erfcx"](self * -math.sqrt(0.5)) * math.sqrt(2 / math.pi)
    ),
    public="special_log_ndtr",
    method=False,
)
_float_row(
    "erfcx",
    "exp(x^2) * erfc(x).",
    lambda grad, self, result: (2.0 * self * result - TWO_OVER_SQRT_PI) * grad,
    public="special_erfcx",
    method=False,
)
_float_row(
    "bessel_j0",
    "The Bessel function of the first kind of order 0.",
    None,
    public="special_bessel_j0",
    method=False,
)
_float_row(
    "bessel_j1",
    "The Bessel function of the first kind of order 1.",
    None,
    public="special_bessel_j1",
    method=False,
)


def _sinc_derivative(x: Any) -> Any:
    scaled = x * math.pi
    value = (scaled * scaled.cos() - scaled.sin()) / (scaled * x)
    return FUNCTIONS["where"](x == 0, 0.0, value)


def _i1_derivative(x: Any, result: Any) -> Any:
    tiny = x.abs() < 1e-20
    safe = FUNCTIONS["where"](tiny, 1.0, x)
    return FUNCTIONS["where"](tiny, 0.5, FUNCTIONS["i0"](safe) - result / safe)


def _i1e_derivative(x: Any, result: Any) -> Any:
    tiny = x.abs() < 1e-20
    safe = FUNCTIONS["where"](tiny, 1.0, x)
    slope = FUNCTIONS["special_i0e"](safe) - result * (safe.sgn() + safe.reciprocal())
    return FUNCTIONS["where"](tiny, 0.5, slope)


def _same_row(name: str, doc: str, vjp: Callable[..., Any] | None, **options: Any) -> None:
    """A function whose result has the dtype of its argument."""

    @op(f"{name}(Tensor self) -> Tensor", vjp=vjp, family="pointwise", doc=doc, **options)
    def kernel(self: Any) -> Any:
        return unary(name, self)


def no_gradient(grad: Any) -> Any:
    return FUNCTIONS["zeros_like"](grad)


_same_row("sgn", "The sign: -1, 0 or 1.", no_gradient, inplace=True)
_same_row("sign", "The sign: -1, 0 or 1.", no_gradient, inplace=True)
_same_row("floor", "Rounded down.", no_gradient, inplace=True)
_same_row("ceil", "Rounded up.", no_gradient, inplace=True)
_same_row("trunc", "Rounded towards zero.", no_gradient, inplace=True)
_same_row("frac", "What lies beyond the point: x - trunc(x).", lambda grad: grad, inplace=True)
_same_row("positive", "The tensor itself, ``+x``.", lambda grad: grad)


@op(
    "abs(Tensor self) -> Tensor",
    vjp=lambda grad, self: grad * self.sgn(),
    family="pointwise",
    inplace=True,
)
def absolute(self: Any) -> Any:
    """The absolute value. Raises NotImplementedError for bool."""
    if self.dtype is _C.bool:
        raise NotImplementedError("\"abs_cpu\" not implemented for 'Bool'")
    return unary("abs", self)


@op(
    "square(Tensor self) -> Tensor",
    vjp=lambda grad, self: grad * (2.0 * self),
    family="pointwise",
    inplace=True,
    node="PowBackward0",
)
def square(self: Any) -> Any:
    """The square."""
    return unary("square", cast(self, _C.int64) if self.dtype is _C.bool else self)


@op("neg(Tensor self) -> Tensor", vjp=lambda grad: -grad, family="pointwise", inplace=True)
def neg(self: Any) -> Any:
    """The negative. Raises RuntimeError for bool."""
    if self.dtype is _C.bool:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
    return unary("neg", self)


@op("bitwise_not(Tensor self) -> Tensor", family="pointwise", inplace=True)
def bitwise_not(self: Any) -> Any:
    """The bits inverted; of bool, the negation. Raises NotImplementedError for floats."""
    if self.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"bitwise_not_cpu\" not implemented for '{scalar_name(self.dtype)}'"
        )
    if self.dtype is _C.bool:
        return unary("logical_not", self)
    return unary("bitwise_not", self)


@op(
    "round.decimals(Tensor self, *, int decimals=0) -> Tensor",
    vjp=no_gradient,
    family="pointwise",
    inplace=True,
    node="RoundBackward0",
)
def round_decimals(self: Any, decimals: int) -> Any:
    """Rounded to ``decimals`` decimal places, halves to even; negative ones round to tens, hundreds
    and so on.
    """
    if decimals == 0:
        return unary("round", self)
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return binary("div", unary("round", binary("mul", self, scale)), scale)
    return binary("mul", unary("round", binary("div", self, scale)), scale)


@op(
    "logit(Tensor self, float? eps=None) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp=lambda grad, self, eps: _logit_backward(grad, self, eps),
)
def logit(self: Any, eps: float | None) -> Any:
    """log(x / (1 - x)), with x clamped to [eps, 1 - eps] where ``eps`` is given; outside of [0, 1]
    it is NaN.
    """
    return unary_float("logit", self, -1.0 if eps is None else eps)


def _logit_backward(grad: Any, self: Any, eps: float | None) -> Any:
    slope = grad / (self * (1 - self))
    where = FUNCTIONS["where"]
    if eps is None:
        return where((self < 0) | (self > 1), math.nan, slope)
    return where((self < eps) | (self > 1 - eps), 0.0, slope)


@op(
    "nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor",
    vjp=lambda grad, self: grad * self.isfinite(),
    family="pointwise",
    inplace=True,
)
def nan_to_num(self: Any, nan: Any, posinf: Any, neginf: Any) -> Any:
    """NaN replaced by ``nan`` (0), infinities by ``posinf`` and ``neginf`` (the dtype's largest and
    smallest finite numbers).
    """
    if not self.dtype.is_floating_point:
        return cast_copy(self)
    limits = FUNCTIONS["finfo"](self.dtype)
    result = ternary(
        "where", unary("isnan", self, out=_C.bool), _scalar(nan or 0.0, self), self, 0.0, self.dtype
    )
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    result = ternary(
        "where",
        unary("isposinf", result, out=_C.bool),
        _scalar(high, self),
        result,
        0.0,
        self.dtype,
    )
    return ternary(
        "where", unary("isneginf", result, out=_C.bool), _scalar(low, self), result, 0.0, self.dtype
    )


def _scalar(value: Any, like: Any) -> Any:
    return _C.from_data(value, like.dtype)


def cast_copy(self: Any) -> Any:
    """A copy, never the tensor itself."""
    return unary("positive", self)


for _name, _doc in (
    ("isnan", "Whether each element is NaN."),
    ("isinf", "Whether each element is an infinity."),
    ("isfinite", "Whether each element is neither NaN nor an infinity."),
    ("isposinf", "Whether each element is positive infinity."),
    ("isneginf", "Whether each element is negative infinity."),
    ("signbit", "Whether each element's sign is negative, -0.0 included."),
    ("logical_not", "Whether each element is zero, as bool."),
):

    def _predicate(self: Any, name: str = _name) -> Any:
        return unary(name, self, out=_C.bool)

    op(
        f"{_name}(Tensor self) -> Tensor",
        family="pointwise",
        inplace=_name == "logical_not",
        doc=_doc,
    )(_predicate)
