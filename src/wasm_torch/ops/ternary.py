"""Functions of three tensors, and clamping."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._kernels import (
    binary,
    cast,
    result_type,
    ternary,
    unary,
)
from wasm_torch.ops._table import FUNCTIONS, alias, composite, op


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
    """``self`` where the bool ``condition`` holds, ``other`` elsewhere; all three are broadcast."""
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
    """self + value * tensor1 * tensor2, broadcast."""
    dtype = result_type(self, tensor1, tensor2)
    a, b, c = (cast(t, dtype) for t in (self, tensor1, tensor2))
    if not dtype.is_floating_point:
        return binary("add", a, binary("mul", binary("mul", b, c), value))
    return ternary("addcmul", a, b, c, float(value), dtype)


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
    """self + value * tensor1 / tensor2, broadcast. Raises RuntimeError for two integer tensors."""
    dtype = result_type(self, tensor1, tensor2)
    if not dtype.is_floating_point:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release "
            "addcdiv will perform a true division of tensor1 and tensor2."
        )
    a, b, c = (cast(t, dtype) for t in (self, tensor1, tensor2))
    return ternary("addcdiv", a, b, c, float(value), dtype)


@op(
    "lerp.Tensor(Tensor self, Tensor end, Tensor weight) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp={
        "self": lambda grad, weight: grad * (1 - weight),
        "end": lambda grad, weight: grad * weight,
        "weight": lambda grad, self, end: grad * (end - self),
    },
)
def lerp(self: Any, end: Any, weight: Any) -> Any:
    """self + weight * (end - self), broadcast; ``weight`` may be a number."""
    if self.dtype is not end.dtype:
        raise RuntimeError(f"expected dtype {self.dtype} for `end` but got dtype {end.dtype}")
    return ternary("lerp", self, end, _tensor_of(weight, self.dtype), 0.0, self.dtype)


@op(
    "lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp={
        "self": lambda grad, weight: grad * (1 - weight),
        "end": lambda grad, weight: grad * weight,
    },
)
def lerp_scalar(self: Any, end: Any, weight: Any) -> Any:
    """The same with one number as the weight."""
    return lerp.kernel(self, end, weight)


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
    """Each element limited to the elements of ``min`` and ``max``, broadcast; NaN in any of them
    gives NaN.
    """
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
    """Each element limited to [min, max]; at least one of the two is given."""
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
