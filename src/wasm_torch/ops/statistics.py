"""Variance and norms over any dims."""

from __future__ import annotations

import math
from typing import Any

from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._kernels import (
    as_float,
    cast,
    wrap_dims,
)
from wasm_torch.ops._table import FUNCTIONS, composite, op
from wasm_torch.ops.reduction import reduce, reduced_count, restore_dims
from wasm_torch.return_types import return_type


# ---- variance ------------------------------------------------------------------------------------
def _variance_backward(grad: Any, self: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    count = reduced_count(self.shape, dim)
    grad = restore_dims(grad, self.shape, dim, keepdim)
    mean = self.mean(wrap_dims(dim, self.ndim), True) if self.ndim else self
    freedom = count - _correction(correction)
    factor = 2.0 / freedom if freedom > 0 else math.nan if freedom == 0 else 2.0 / freedom
    return factor * grad * (self - mean)


def _correction(value: Any) -> float:
    return 1.0 if value is None else float(value)


@op(
    "var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) "
    "-> Tensor",
    family="reduction",
    function=False,
    method=False,
    vjp=lambda grad, self, dim, correction, keepdim: _variance_backward(
        grad, self, dim, correction, keepdim
    ),
)
def var_correction(self: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    """The variance over ``dim`` (all dimensions): squared deviations from the mean over n -
    correction (1).
    """
    _require_float(self)
    return reduce("var", self, dim, keepdim, _correction(correction))


@op(
    "std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) "
    "-> Tensor",
    family="reduction",
    function=False,
    method=False,
    vjp=lambda grad, self, dim, correction, keepdim, result: _variance_backward(
        FUNCTIONS["where"](result == 0, 0.0, grad / (2 * result)), self, dim, correction, keepdim
    ),
)
def std_correction(self: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    """The standard deviation over ``dim`` (all dimensions), with n - ``correction`` (1) in the
    denominator.
    """
    _require_float(self)
    return reduce("std", self, dim, keepdim, _correction(correction))


def _require_float(self: Any) -> None:
    if not self.dtype.is_floating_point:
        raise RuntimeError("std and var only support floating point and complex dtypes")


def _spread_rows(name: str, row: Any) -> None:
    """``var(x)``, ``var(x, dim)``, ``var(x, unbiased)``, ``var(x, dim, unbiased, keepdim)``."""

    def call(
        self: Any,
        dim: Any = None,
        unbiased: Any = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if unbiased is not None:
            correction = int(unbiased)
        return row(self, dim, correction=correction, keepdim=keepdim)

    call.__name__ = name
    call.__doc__ = f"The {'variance' if name == 'var' else 'standard deviation'} over dims."
    composite(method=True)(call)


_spread_rows("var", var_correction)
_spread_rows("std", std_correction)


def _with_mean(name: str) -> None:
    result = return_type(f"{name}_mean", (name, "mean"))

    def call(
        self: Any,
        dim: Any = None,
        unbiased: Any = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        spread_value = FUNCTIONS[name](self, dim, unbiased, keepdim, correction=correction)
        if dim is None:
            mean = self.mean(tuple(range(self.ndim)), keepdim) if self.ndim else self.mean()
        else:
            mean = self.mean(dim, keepdim)
        return result(spread_value, mean)

    call.__name__ = f"{name}_mean"
    call.__doc__ = f"The {name} and the mean over dims."
    composite()(call)


_with_mean("var")
_with_mean("std")


# ---- norms ---------------------------------------------------------------------------------------
@op(
    "linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, "
    "ScalarType? dtype=None) -> Tensor",
    family="reduction",
    method=False,
    vjp=lambda grad, self, ord, dim, keepdim, result: _norm_backward(
        grad, self, ord, dim, keepdim, result
    ),
)
def linalg_vector_norm(self: Any, ord: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    """The ``ord``-norm of the elements over ``dim`` (all dimensions); any number and infinity,
    floats only.
    """
    if not self.dtype.is_floating_point:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{scalar_name(self.dtype)}"
        )
    self = self if dtype is None else cast(self, dtype)
    if self.numel() == 0 and (float(ord) < 0 or math.isinf(ord)):
        _check_norm_identity(self, ord, dim)
    return reduce("norm", self, dim, keepdim, float(ord))


def _check_norm_identity(self: Any, ord: Any, dim: Any) -> None:
    if dim is None or any(self.shape[d] == 0 for d in wrap_dims(dim, self.ndim)):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {float(ord):g} norm on an empty tensor because "
            "the operation does not have an identity"
        )


def _norm_backward(grad: Any, self: Any, ord: Any, dim: Any, keepdim: bool, result: Any) -> Any:
    where = FUNCTIONS["where"]
    size = self.shape
    grad, result = (restore_dims(t, size, dim, keepdim) for t in (grad, result))
    order = float(ord)
    if order == 0.0:
        return FUNCTIONS["zeros_like"](self)
    if order == 1.0:
        return self.sgn() * grad
    if order == 2.0:
        return grad * where(result == 0, 0.0, self / result)
    if math.isinf(order):
        magnitude = self.abs()
        mask = magnitude == result
        dims = wrap_dims(dim, self.ndim)
        count = mask.sum(dims, True) if self.ndim else mask.sum()
        return self.sgn() * mask * (grad / count)
    if order < 1.0:
        slope = self.sgn() * where(self == 0, 0.0, self.abs().pow(order - 1))
        return slope * grad * result.pow(1 - order)
    if order < 2.0:
        slope = self.sgn() * self.abs().pow(order - 1)
        return slope * where(result == 0, 0.0, grad / result.pow(order - 1))
    return self * self.abs().pow(order - 2) * where(result == 0, 0.0, grad / result.pow(order - 1))


@op(
    "logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor",
    family="reduction",
    vjp=lambda grad, self, result, dim, keepdim: (
        restore_dims(grad, self.shape, dim, keepdim)
        * (self - restore_dims(_finite(result), self.shape, dim, keepdim)).exp()
    ),
)
def logsumexp(self: Any, dim: Any, keepdim: bool) -> Any:
    """log(sum(exp(x))) over ``dim``, without overflow on the way; integers give floats."""
    return reduce("logsumexp", as_float(self), dim, keepdim)


def _finite(result: Any) -> Any:
    return FUNCTIONS["where"](result == -math.inf, 0.0, result)
