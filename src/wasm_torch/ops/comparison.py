"""Comparisons, logic and bits."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._kernels import (
    binary,
    result_type,
)
from wasm_torch.ops._table import FUNCTIONS, alias, composite, op


def _comparison_row(name: str, symbol: str) -> None:
    @op(
        f"{name}.Tensor(Tensor self, Tensor other) -> Tensor",
        doc=f"Whether self {symbol} other, broadcast, as bool.",
        family="pointwise",
        wrapped_numbers=True,
        inplace=True,
    )
    def kernel(self: Any, other: Any) -> Any:
        return binary(name, self, other, 1.0, result_type(self, other), _C.bool)


for _name, _symbol in (
    ("eq", "=="),
    ("ne", "!="),
    ("lt", "<"),
    ("le", "<="),
    ("gt", ">"),
    ("ge", ">="),
):
    _comparison_row(_name, _symbol)
for _long, _short in (
    ("not_equal", "ne"),
    ("less", "lt"),
    ("less_equal", "le"),
    ("greater", "gt"),
    ("greater_equal", "ge"),
):
    alias(_long, _short)


def _logical_row(name: str, doc: str) -> None:
    doc = f"Whether {doc} of the elements, broadcast, are not zero, as bool."

    @op(f"{name}(Tensor self, Tensor other) -> Tensor", family="pointwise", inplace=True, doc=doc)
    def kernel(self: Any, other: Any) -> Any:
        return binary(name, self, other, 1.0, result_type(self, other), _C.bool)


_logical_row("logical_and", "both")
_logical_row("logical_or", "one or both")
_logical_row("logical_xor", "exactly one")


def _bitwise_row(name: str, doc: str, logical: str | None) -> None:
    @op(
        f"{name}.Tensor(Tensor self, Tensor other) -> Tensor",
        doc=f"{doc}, broadcast. Raises NotImplementedError for floats.",
        family="pointwise",
        wrapped_numbers=True,
        inplace=True,
    )
    def kernel(self: Any, other: Any) -> Any:
        dtype = result_type(self, other)
        if dtype.is_floating_point:
            kind = scalar_name(dtype)
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{kind}'")
        if dtype is _C.bool and logical is not None:
            return binary(logical, self, other, 1.0, dtype)
        return binary(name, self, other, 1.0, dtype)


_bitwise_row("bitwise_and", "The bits that both have; of bool, the logical and", "logical_and")
_bitwise_row("bitwise_or", "The bits that one or both have; of bool, the logical or", "logical_or")
_bitwise_row(
    "bitwise_xor", "The bits that exactly one has; of bool, the logical xor", "logical_xor"
)
_bitwise_row("bitwise_left_shift", "self * 2^other for integers, by shifting bits", None)
_bitwise_row("bitwise_right_shift", "self / 2^other for integers, by shifting bits", None)
_bitwise_row("gcd", "The greatest common divisor of integers", None)
_bitwise_row("lcm", "The least common multiple of integers", None)


@composite(method=True)
def rlshift(self: Any, other: Any) -> Any:
    """``other << self``."""
    return FUNCTIONS["bitwise_left_shift"](other, self)


@composite(method=True)
def rrshift(self: Any, other: Any) -> Any:
    """``other >> self``."""
    return FUNCTIONS["bitwise_right_shift"](other, self)
