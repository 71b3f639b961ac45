"""Arithmetic of two tensors or a tensor and a number, and powers."""

from __future__ import annotations

import math
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._kernels import (
    binary,
    binary_float,
    cast,
    contiguous,
    result_type,
    unary,
)
from wasm_torch.ops._table import FUNCTIONS, alias, composite, op


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
    """self + alpha * other, broadcast, in the common dtype."""
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
    """self - alpha * other, broadcast, in the common dtype. Raises RuntimeError for bool."""
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
    """other - alpha * self, broadcast, in the common dtype. Raises RuntimeError for bool."""
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
    """self * other, broadcast, in the common dtype."""
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
    """self / other, broadcast; integers give floats. ``rounding_mode`` "trunc" rounds towards zero
    and "floor" down, and both keep integers.
    """
    if rounding_mode is None:
        return binary_float("div", self, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    _refuse_bool(f"div_{rounding_mode}_cpu", self, other)
    return binary(f"div_{rounding_mode}", self, other)


def _refuse_bool(kernel: str, self: Any, other: Any) -> None:
    if result_type(self, other) is _C.bool:
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")


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
    """self / other, rounded down, broadcast. Integers raise RuntimeError at a division by zero."""
    _refuse_bool("div_floor_cpu", self, other)
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
    """self modulo other with the sign of ``other``, as Python's ``%``."""
    _refuse_bool("remainder_cpu", self, other)
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
    """The remainder of self / other with the sign of ``self``, as C's fmod."""
    _refuse_bool("fmod_cpu", self, other)
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
    """self to the power of ``exponent``, broadcast, in the common dtype."""
    return binary("pow", self, exponent)


@op(
    "pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor",
    family="pointwise",
    node="PowBackward0",
    vjp=lambda grad, self, exponent: _pow_base(grad, self, exponent),
)
def pow_scalar(self: Any, exponent: Any) -> Any:
    """self to the power of a number. Integers raise RuntimeError for a negative integer."""
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
    """A number to the power of each element of ``exponent``."""
    return contiguous(binary("pow", self, exponent))  # torch's result is row-major


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
    """self to the power of ``exponent``, computed in and returned as float64."""
    return binary("pow", self, exponent, 1.0, _C.float64)
