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
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{kind}'")
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
