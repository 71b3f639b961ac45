"""Pointwise arithmetic and functions of one and two tensors, with broadcasting and promotion."""

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
    ternary,
    unary,
    unary_float,
)
from wasm_torch.ops._table import FUNCTIONS, alias, composite, op, scalar_name

TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)
SQRT_PI = math.sqrt(math.pi)
LN_2 = math.log(2)
LN_10 = math.log(10)


# ---- one tensor ----------------------------------------------------------------------------------
def _float_row(
    name: str, vjp: Callable[..., Any] | None, *, public: str = "", **options: Any
) -> None:
    """A function on floats; integers become the default float dtype."""
    public = public or name

    @op(f"{public}(Tensor self) -> Tensor", vjp=vjp, family="pointwise", **options)
    def kernel(self: Any) -> Any:
        return unary_float(name, self)


_float_row("sqrt", lambda grad, result: grad / (2 * result), inplace=True)
_float_row("rsqrt", lambda grad, result: -0.5 * grad * result.pow(3), inplace=True)
_float_row("reciprocal", lambda grad, result: -grad * (result * result), inplace=True)
_float_row("exp", lambda grad, result: grad * result, inplace=True)
_float_row("exp2", lambda grad, result: grad * result * LN_2, inplace=True)
_float_row("expm1", lambda grad, result: grad * (result + 1), inplace=True)
_float_row("log", lambda grad, self: grad / self, inplace=True)
_float_row("log2", lambda grad, self: grad / (self * LN_2), inplace=True)
_float_row("log10", lambda grad, self: grad / (self * LN_10), inplace=True)
_float_row("log1p", lambda grad, self: grad / (self + 1), inplace=True)
_float_row("sin", lambda grad, self: grad * self.cos(), inplace=True)
_float_row("cos", lambda grad, self: grad * -self.sin(), inplace=True)
_float_row("tan", lambda grad, result: grad * (1 + result.square()), inplace=True)
_float_row("asin", lambda grad, self: grad * (1 - self * self).rsqrt(), inplace=True)
_float_row("acos", lambda grad, self: grad * -(1 - self * self).rsqrt(), inplace=True)
_float_row("atan", lambda grad, self: grad / (self * self + 1), inplace=True)
_float_row("sinh", lambda grad, self: grad * self.cosh(), inplace=True)
_float_row("cosh", lambda grad, self: grad * self.sinh(), inplace=True)
_float_row("asinh", lambda grad, self: grad * (self.square() + 1).rsqrt(), inplace=True)
_float_row("acosh", lambda grad, self: grad * (self.square() - 1).rsqrt(), inplace=True)
_float_row("atanh", lambda grad, self: grad / (1 - self.square()), inplace=True)
_float_row("erf", lambda grad, self: TWO_OVER_SQRT_PI * (-(self * self)).exp() * grad, inplace=True)
_float_row(
    "erfc", lambda grad, self: -TWO_OVER_SQRT_PI * (-(self * self)).exp() * grad, inplace=True
)
_float_row(
    "erfinv", lambda grad, result: 0.5 * SQRT_PI * result.square().exp() * grad, inplace=True
)
_float_row("lgamma", lambda grad, self: grad * self.digamma(), inplace=True)
_float_row("digamma", lambda grad, self: grad * FUNCTIONS["polygamma"](1, self), inplace=True)
_float_row("trigamma", lambda grad, self: grad * FUNCTIONS["polygamma"](2, self), function=False)
_float_row("sinc", lambda grad, self: grad * _sinc_derivative(self), inplace=True)
_float_row("i0", lambda grad, self: grad * FUNCTIONS["special_i1"](self), inplace=True)
_float_row("deg2rad", lambda grad: grad * (math.pi / 180), inplace=True)
_float_row("rad2deg", lambda grad: grad * (180 / math.pi), inplace=True)
_float_row(
    "i0e",
    lambda grad, self, result: grad * (FUNCTIONS["special_i1e"](self) - self.sgn() * result),
    public="special_i0e",
    method=False,
)
_float_row(
    "i1",
    lambda grad, self, result: grad * _i1_derivative(self, result),
    public="special_i1",
    method=False,
)
_float_row(
    "i1e",
    lambda grad, self, result: grad * _i1e_derivative(self, result),
    public="special_i1e",
    method=False,
)
_float_row(
    "ndtri",
    lambda grad, result: grad * math.sqrt(2 * math.pi) * (result.square() / 2).exp(),
    public="special_ndtri",
    method=False,
)
_float_row(
    "ndtr",
    lambda grad, self: grad * (-(self.square() / 2)).exp() / math.sqrt(2 * math.pi),
    public="special_ndtr",
    method=False,
)
_float_row(
    "log_ndtr",
    lambda grad, self: (
        grad / FUNCTIONS["special_erfcx"](self * -math.sqrt(0.5)) * math.sqrt(2 / math.pi)
    ),
    public="special_log_ndtr",
    method=False,
)
_float_row(
    "erfcx",
    lambda grad, self, result: (2.0 * self * result - TWO_OVER_SQRT_PI) * grad,
    public="special_erfcx",
    method=False,
)
_float_row("bessel_j0", None, public="special_bessel_j0", method=False)
_float_row("bessel_j1", None, public="special_bessel_j1", method=False)


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


def _same_row(name: str, vjp: Callable[..., Any] | None, **options: Any) -> None:
    """A function whose result has the dtype of its argument."""

    @op(f"{name}(Tensor self) -> Tensor", vjp=vjp, family="pointwise", **options)
    def kernel(self: Any) -> Any:
        return unary(name, self)


def _zero(grad: Any) -> Any:
    return FUNCTIONS["zeros_like"](grad)


_same_row("abs", lambda grad, self: grad * self.sgn(), inplace=True)
_same_row("sgn", _zero, inplace=True)
_same_row("sign", _zero, inplace=True)
_same_row("floor", _zero, inplace=True)
_same_row("ceil", _zero, inplace=True)
_same_row("trunc", _zero, inplace=True)
_same_row("frac", lambda grad: grad, inplace=True)
_same_row("square", lambda grad, self: grad * (2.0 * self), inplace=True, node="PowBackward0")
_same_row("positive", lambda grad: grad)


@op("neg(Tensor self) -> Tensor", vjp=lambda grad: -grad, family="pointwise", inplace=True)
def neg(self: Any) -> Any:
    if self.dtype is _C.bool:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
    return unary("neg", self)


@op("bitwise_not(Tensor self) -> Tensor", family="pointwise", inplace=True)
def bitwise_not(self: Any) -> Any:
    if self.dtype.is_floating_point:
        raise RuntimeError(f"\"bitwise_not_cpu\" not implemented for '{scalar_name(self.dtype)}'")
    if self.dtype is _C.bool:
        return unary("logical_not", self)
    return unary("bitwise_not", self)


@op(
    "round.decimals(Tensor self, *, int decimals=0) -> Tensor",
    vjp=_zero,
    family="pointwise",
    inplace=True,
    node="RoundBackward0",
)
def round_decimals(self: Any, decimals: int) -> Any:
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


for _name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit", "logical_not"):

    def _predicate(self: Any, name: str = _name) -> Any:
        return unary(name, self, out=_C.bool)

    op(f"{_name}(Tensor self) -> Tensor", family="pointwise", inplace=_name == "logical_not")(
        _predicate
    )


# ---- two tensors ---------------------------------------------------------------------------------
def check_alpha(dtype: Any, alpha: Any) -> None:
    """torch's rules for the factor of add and sub."""
    if isinstance(alpha, bool) and dtype is not _C.bool:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and not dtype.is_floating_point:
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )


@op(
    "add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
    vjp={"self": lambda grad: grad, "other": lambda grad, alpha: _scaled(grad, alpha)},
)
def add(self: Any, other: Any, alpha: Any) -> Any:
    dtype = result_type(self, other)
    check_alpha(dtype, alpha)
    if dtype is _C.bool:
        return binary("logical_or", self, other, 1.0, dtype)
    return binary("add", self, other, alpha)


def _scaled(grad: Any, factor: Any) -> Any:
    return grad if factor == 1 else grad * factor


@op(
    "sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
    vjp={"self": lambda grad: grad, "other": lambda grad, alpha: _scaled(-grad, alpha)},
)
def sub(self: Any, other: Any, alpha: Any) -> Any:
    _refuse_bool_subtraction(self, other)
    check_alpha(result_type(self, other), alpha)
    return binary("sub", self, other, alpha)


def _refuse_bool_subtraction(self: Any, other: Any) -> None:
    kinds = [getattr(v, "dtype", None) is _C.bool or isinstance(v, bool) for v in (self, other)]
    if all(kinds):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
            "`logical_xor()` operator instead."
        )
    if any(kinds):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying "
            "to invert a mask, use the `~` or `logical_not()` operator instead."
        )


@op(
    "rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    vjp={"self": lambda grad, alpha: _scaled(-grad, alpha), "other": lambda grad: grad},
)
def rsub(self: Any, other: Any, alpha: Any) -> Any:
    _refuse_bool_subtraction(self, other)
    return binary("sub", other, self, alpha)


@op(
    "mul.Tensor(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
    vjp={"self": lambda grad, other: grad * other, "other": lambda grad, self: grad * self},
)
def mul(self: Any, other: Any) -> Any:
    if result_type(self, other) is _C.bool:
        return binary("logical_and", self, other, 1.0, _C.bool)
    return binary("mul", self, other)


@op(
    "div.Tensor(Tensor self, Tensor other, *, str? rounding_mode=None) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
    vjp={
        "self": lambda grad, other, rounding_mode: (
            grad / other if rounding_mode is None else FUNCTIONS["zeros_like"](grad)
        ),
        "other": lambda grad, self, other, rounding_mode: (
            -grad * ((self / other) / other)
            if rounding_mode is None
            else FUNCTIONS["zeros_like"](grad)
        ),
    },
)
def div(self: Any, other: Any, rounding_mode: str | None) -> Any:
    if rounding_mode is None:
        return binary_float("div", self, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    return binary(f"div_{rounding_mode}", self, other)


alias("divide", "div")
alias("true_divide", "div")
alias("subtract", "sub")
alias("multiply", "mul")
alias("negative", "neg")
alias("absolute", "abs")
alias("fix", "trunc")
for _long, _short in (
    ("arcsin", "asin"),
    ("arccos", "acos"),
    ("arctan", "atan"),
    ("arcsinh", "asinh"),
    ("arccosh", "acosh"),
    ("arctanh", "atanh"),
):
    alias(_long, _short)


@composite(method=True)
def rdiv(self: Any, other: Any) -> Any:
    """``other / self``."""
    return self.reciprocal() * other if not isinstance(other, _C.TensorBase) else other / self


@op(
    "floor_divide(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
)
def floor_divide(self: Any, other: Any) -> Any:
    return binary("div_floor", self, other)


@composite(method=True)
def rfloordiv(self: Any, other: Any) -> Any:
    """``other // self``."""
    return FUNCTIONS["floor_divide"](other, self)


@op(
    "remainder.Tensor(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
    vjp={
        "self": lambda grad: grad,
        "other": lambda grad, self, other: (
            -grad * FUNCTIONS["div"](self, other, rounding_mode="floor")
        ),
    },
)
def remainder(self: Any, other: Any) -> Any:
    return binary("remainder", self, other)


@composite(method=True)
def rmod(self: Any, other: Any) -> Any:
    """``other % self``."""
    return FUNCTIONS["remainder"](other, self)


@op(
    "fmod.Tensor(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
    vjp={
        "self": lambda grad: grad,
        "other": lambda grad, self, other: (
            -grad * FUNCTIONS["div"](self, other, rounding_mode="trunc")
        ),
    },
)
def fmod(self: Any, other: Any) -> Any:
    return binary("fmod", self, other)


# ---- powers --------------------------------------------------------------------------------------
@op(
    "pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor",
    family="pointwise",
    inplace=True,
    node="PowBackward1",
    vjp={
        "self": lambda grad, self, exponent: FUNCTIONS["where"](
            exponent == 0.0, 0.0, grad * (exponent * self.pow(exponent - 1))
        ),
        "exponent": lambda grad, self, exponent, result: _pow_exponent(
            grad, self, exponent, result
        ),
    },
)
def pow_tensor(self: Any, exponent: Any) -> Any:
    return binary("pow", self, exponent)


@op(
    "pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor",
    family="pointwise",
    node="PowBackward0",
    vjp=lambda grad, self, exponent: _pow_base(grad, self, exponent),
)
def pow_scalar(self: Any, exponent: Any) -> Any:
    dtype = result_type(self, exponent)
    if not dtype.is_floating_point:
        if isinstance(exponent, int) and exponent < 0 and dtype is not _C.bool:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        return binary("pow", self, exponent, 1.0, dtype)
    self = cast(self, dtype)
    if exponent == 2:
        return unary("square", self)
    if exponent == 0.5:
        return unary("sqrt", self)
    if exponent == -1:
        return unary("reciprocal", self)
    return binary("pow", self, exponent, 1.0, dtype)


@op(
    "pow.Scalar(Scalar self, Tensor exponent) -> Tensor",
    family="pointwise",
    node="PowBackward1",
    vjp={
        "exponent": lambda grad, self, exponent, result: _pow_exponent(grad, self, exponent, result)
    },
)
def pow_of_scalar(self: Any, exponent: Any) -> Any:
    return binary("pow", self, exponent)


def _pow_base(grad: Any, self: Any, exponent: Any) -> Any:
    if exponent == 0:
        return FUNCTIONS["zeros_like"](self)
    return grad * (exponent * self.pow(exponent - 1))


def _pow_exponent(grad: Any, base: Any, exponent: Any, result: Any) -> Any:
    if not isinstance(base, _C.TensorBase):
        if base == 0:
            return FUNCTIONS["where"](exponent >= 0, 0.0, grad * (result * -math.inf))
        return grad * (result * math.log(base) if base > 0 else result * math.nan)
    condition = (base == 0) & (exponent >= 0)
    return grad * FUNCTIONS["where"](condition, 0.0, result * base.log())


@composite(method=True)
def rpow(self: Any, other: Any) -> Any:
    """``other ** self``."""
    return FUNCTIONS["pow"](other, self)


@op(
    "float_power(Tensor self, Tensor exponent) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    vjp={
        "self": lambda grad, self, exponent: FUNCTIONS["where"](
            FUNCTIONS["as_tensor"](exponent) == 0.0,
            0.0,
            grad * (exponent * self.double().pow(exponent - 1)),
        ),
        "exponent": lambda grad, self, exponent, result: _pow_exponent(
            grad, self, exponent, result
        ),
    },
)
def float_power(self: Any, exponent: Any) -> Any:
    return binary("pow", self, exponent, 1.0, _C.float64)


# ---- extremes and relatives ----------------------------------------------------------------------
def _half_at_ties(mask: Any, ties: Any, grad: Any) -> Any:
    return FUNCTIONS["where"](ties, grad / 2, FUNCTIONS["where"](mask, grad, 0.0))


def _extremum_row(name: str, better: Callable[[Any, Any], Any]) -> None:
    @op(
        f"{name}(Tensor self, Tensor other) -> Tensor",
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


_extremum_row("maximum", lambda a, b: a > b)
_extremum_row("minimum", lambda a, b: a < b)


def _ignoring_nan_row(name: str, chosen: Callable[[Any, Any], Any]) -> None:
    @op(
        f"{name}(Tensor self, Tensor other) -> Tensor",
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


_ignoring_nan_row("fmax", lambda a, b: a >= b)
_ignoring_nan_row("fmin", lambda a, b: a <= b)


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
    return binary_float("copysign", self, other)


@op(
    "nextafter(Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp={"self": lambda grad: grad, "other": _zero},
)
def nextafter(self: Any, other: Any) -> Any:
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
    return binary_float("zeta", self, other)


@op("heaviside(Tensor self, Tensor values) -> Tensor", family="pointwise", inplace=True)
def heaviside(self: Any, values: Any) -> Any:
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
    return binary_float("igammac", self, other)


@op(
    "polygamma(int n, Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    vjp={"self": lambda grad, n, self: grad * FUNCTIONS["polygamma"](n + 1, self)},
)
def polygamma(n: int, self: Any) -> Any:
    """Source: DLMF 5.15.1, by the Hurwitz zeta function."""
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


# ---- comparisons and logic -----------------------------------------------------------------------
def _comparison_row(name: str) -> None:
    @op(
        f"{name}.Tensor(Tensor self, Tensor other) -> Tensor",
        family="pointwise",
        wrapped_numbers=True,
        inplace=True,
    )
    def kernel(self: Any, other: Any) -> Any:
        return binary(name, self, other, 1.0, result_type(self, other), _C.bool)


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _comparison_row(_name)
for _long, _short in (
    ("not_equal", "ne"),
    ("less", "lt"),
    ("less_equal", "le"),
    ("greater", "gt"),
    ("greater_equal", "ge"),
):
    alias(_long, _short)


def _logical_row(name: str) -> None:
    @op(f"{name}(Tensor self, Tensor other) -> Tensor", family="pointwise", inplace=True)
    def kernel(self: Any, other: Any) -> Any:
        return binary(name, self, other, 1.0, result_type(self, other), _C.bool)


for _name in ("logical_and", "logical_or", "logical_xor"):
    _logical_row(_name)


def _bitwise_row(name: str, logical: str | None) -> None:
    @op(
        f"{name}.Tensor(Tensor self, Tensor other) -> Tensor",
        family="pointwise",
        wrapped_numbers=True,
        inplace=True,
    )
    def kernel(self: Any, other: Any) -> Any:
        dtype = result_type(self, other)
        if dtype.is_floating_point:
            kind = scalar_name(dtype)
            raise RuntimeError(f"\"{name}_cpu\" not implemented for '{kind}'")
        if dtype is _C.bool and logical is not None:
            return binary(logical, self, other, 1.0, dtype)
        return binary(name, self, other, 1.0, dtype)


_bitwise_row("bitwise_and", "logical_and")
_bitwise_row("bitwise_or", "logical_or")
_bitwise_row("bitwise_xor", "logical_xor")
_bitwise_row("bitwise_left_shift", None)
_bitwise_row("bitwise_right_shift", None)
_bitwise_row("gcd", None)
_bitwise_row("lcm", None)


@composite(method=True)
def rlshift(self: Any, other: Any) -> Any:
    """``other << self``."""
    return FUNCTIONS["bitwise_left_shift"](other, self)


@composite(method=True)
def rrshift(self: Any, other: Any) -> Any:
    """``other >> self``."""
    return FUNCTIONS["bitwise_right_shift"](other, self)


# ---- three tensors -------------------------------------------------------------------------------
@op(
    "where.self(Tensor condition, Tensor self, Tensor other) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    method=False,
    vjp={
        "self": lambda grad, condition: FUNCTIONS["where"](condition, grad, 0.0),
        "other": lambda grad, condition: FUNCTIONS["where"](condition, 0.0, grad),
    },
)
def where(condition: Any, self: Any, other: Any) -> Any:
    if condition.dtype is not _C.bool:
        if condition.dtype is not _C.uint8:
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype "
                f"{scalar_name(condition.dtype)}"
            )
        condition = cast(condition, _C.bool)
    dtype = result_type(self, other)
    a, b = _tensor_of(self, dtype), _tensor_of(other, dtype)
    return ternary("where", condition, a, b, 0.0, dtype)


def _tensor_of(value: Any, dtype: Any) -> Any:
    if isinstance(value, _C.TensorBase):
        return cast(value, dtype)
    return _C.from_data(value, dtype)


@op(
    "addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp={
        "self": lambda grad: grad,
        "tensor1": lambda grad, tensor2, value: grad * (tensor2 * value),
        "tensor2": lambda grad, tensor1, value: grad * (tensor1 * value),
    },
)
def addcmul(self: Any, tensor1: Any, tensor2: Any, value: Any) -> Any:
    dtype = result_type(self, tensor1, tensor2)
    operands = [cast(t, dtype) for t in (self, tensor1, tensor2)]
    if not dtype.is_floating_point:
        return binary("add", operands[0], binary("mul", binary("mul", *operands[1:]), value))
    return ternary("addcmul", *operands, float(value), dtype)


@op(
    "addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp={
        "self": lambda grad: grad,
        "tensor1": lambda grad, tensor2, value: grad * (value / tensor2),
        "tensor2": lambda grad, tensor1, tensor2, value: (
            -grad * (value * tensor1) / (tensor2 * tensor2)
        ),
    },
)
def addcdiv(self: Any, tensor1: Any, tensor2: Any, value: Any) -> Any:
    dtype = result_type(self, tensor1, tensor2)
    if not dtype.is_floating_point:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release "
            "addcdiv will perform a true division of tensor1 and tensor2."
        )
    operands = [cast(t, dtype) for t in (self, tensor1, tensor2)]
    return ternary("addcdiv", *operands, float(value), dtype)


@op(
    "lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
    vjp={
        "self": lambda grad, weight: grad * (1 - weight),
        "end": lambda grad, weight: grad * weight,
        "weight": lambda grad, self, end: grad * (end - self),
    },
)
def lerp(self: Any, end: Any, weight: Any) -> Any:
    if self.dtype is not end.dtype:
        raise RuntimeError(f"expected dtype {self.dtype} for `end` but got dtype {end.dtype}")
    return ternary("lerp", self, end, _tensor_of(weight, self.dtype), 0.0, self.dtype)


# ---- clamping ------------------------------------------------------------------------------------
def _bounded(value: Any, bound: Any, name: str, dtype: Any) -> Any:
    return value if bound is None else binary(name, value, _tensor_of(bound, dtype), 1.0, dtype)


def _clamp_backward(grad: Any, self: Any, low: Any, high: Any) -> Any:
    mask = None
    if low is not None:
        mask = self >= low
    if high is not None:
        below = self <= high
        mask = below if mask is None else mask & below
    return FUNCTIONS["where"](mask, grad, 0.0)


@op(
    "clamp.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor",
    family="pointwise",
    inplace=True,
    node="ClampBackward0",
    vjp={
        "self": lambda grad, self, min, max: _clamp_backward(grad, self, min, max),
        "min": lambda grad, self, min, max: FUNCTIONS["where"](
            (self < min) if max is None else ((self < min) & (min < max)), grad, 0.0
        ),
        "max": lambda grad, self, min, max: FUNCTIONS["where"](
            (self > max) if min is None else ((self > max) | (max < min)), grad, 0.0
        ),
    },
)
def clamp_tensor(self: Any, min: Any, max: Any) -> Any:
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    dtype = result_type(*[v for v in (self, min, max) if v is not None])
    self = cast(self, dtype)
    return _bounded(_bounded(self, min, "maximum", dtype), max, "minimum", dtype)


@op(
    "clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor",
    family="pointwise",
    node="ClampBackward1",
    vjp=lambda grad, self, min, max: _clamp_backward(grad, self, min, max),
)
def clamp(self: Any, min: Any, max: Any) -> Any:
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    dtype = result_type(*[v for v in (self, min, max) if v is not None])
    self = cast(self, dtype)
    if dtype is _C.float32:
        if max is None:
            return unary("clamp_min", self, float(min))
        if min is None:
            return unary("clamp_max", self, float(max))
        return unary("clamp", self, float(min), float(max))
    return _bounded(_bounded(self, min, "maximum", dtype), max, "minimum", dtype)


alias("clip", "clamp")


@composite(method=True, inplace=True)
def clamp_min(self: Any, min: Any) -> Any:
    """Elements below ``min`` become ``min``."""
    return FUNCTIONS["clamp"](self, min=min)


@composite(method=True, inplace=True)
def clamp_max(self: Any, max: Any) -> Any:
    """Elements above ``max`` become ``max``."""
    return FUNCTIONS["clamp"](self, max=max)
