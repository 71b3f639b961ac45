"""Softmax and its backward pass."""

from __future__ import annotations

import math
from typing import Any

from wasm_torch.ops import _kernels as k
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS, composite, op


def _softmax(self: Any, dim: int, log: bool) -> Any:
    if not self.dtype.is_floating_point:
        name = "log_softmax_lastdim_kernel_impl" if log else "softmax_lastdim_kernel_impl"
        raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(self.dtype)}'")
    dim = k.wrap_dim(dim, self.ndim)
    out = k.empty(tuple(self.shape), self.dtype)
    if self.ndim == 0:
        return k.fill(out, 0 if log else 1)
    if out.numel():
        k.launch("softmax", out, self, dim, log)
    return out


def _softmax_gradient(grad_output: Any, output: Any, dim: int, log: bool) -> Any:
    dim = k.wrap_dim(dim, output.ndim)
    out = k.empty(tuple(output.shape), output.dtype)
    if output.ndim == 0:
        return k.fill(out, 0)
    if out.numel():
        k.launch("softmax_backward", out, grad_output, output, dim, log)
    return out


@op(
    "_softmax(Tensor self, int dim, bool half_to_float) -> Tensor",
    family="norm",
    method=False,
    node="SoftmaxBackward0",
    vjp=lambda grad, result, dim: FUNCTIONS["_softmax_backward_data"](grad, result, dim),
)
def softmax_row(self: Any, dim: int, half_to_float: bool) -> Any:
    """exp(x) over its sum along ``dim``, without overflow on the way."""
    return _softmax(self, dim, False)


@op(
    "_log_softmax(Tensor self, int dim, bool half_to_float) -> Tensor",
    family="norm",
    method=False,
    node="LogSoftmaxBackward0",
    vjp=lambda grad, result, dim: FUNCTIONS["_log_softmax_backward_data"](grad, result, dim),
)
def log_softmax_row(self: Any, dim: int, half_to_float: bool) -> Any:
    """log(softmax(x)) along ``dim``."""
    return _softmax(self, dim, True)


@op(
    "_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType? "
    "input_dtype=None) -> Tensor",
    family="norm",
    method=False,
    vjp={
        "grad_output": lambda grad, output, dim: FUNCTIONS["_softmax_backward_data"](
            grad, output, dim
        ),
        "output": lambda grad, grad_output, output, dim: _softmax_curvature(
            grad, grad_output, output, dim
        ),
    },
)
def softmax_backward_data(grad_output: Any, output: Any, dim: int, input_dtype: Any) -> Any:
    """The gradient of softmax, by its output."""
    return _softmax_gradient(grad_output, output, dim, False)


def _sum(value: Any, dim: int) -> Any:
    return value.sum(dim, True) if value.ndim else value


def _softmax_curvature(grad: Any, grad_output: Any, output: Any, dim: int) -> Any:
    """d/dy of y * (g - sum(g * y)), times the incoming gradient."""
    return grad * (grad_output - _sum(grad_output * output, dim)) - grad_output * _sum(
        grad * output, dim
    )


@op(
    "_log_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType? "
    "input_dtype=None) -> Tensor",
    family="norm",
    method=False,
    vjp={
        "grad_output": lambda grad, output, dim: grad - _sum(grad * output.exp(), dim),
        "output": lambda grad, grad_output, output, dim: (
            -output.exp() * _sum(grad_output, dim) * grad
        ),
    },
)
def log_softmax_backward_data(grad_output: Any, output: Any, dim: int, input_dtype: Any) -> Any:
    """The gradient of log-softmax, by its output."""
    return _softmax_gradient(grad_output, output, dim, True)


@composite(method=True)
def softmax(self: Any, dim: int, dtype: Any = None) -> Any:
    """exp(x) / sum(exp(x)) along ``dim``."""
    self = self if dtype is None else self.to(dtype)
    return FUNCTIONS["_softmax"](self, dim, False)


@composite(method=True)
def log_softmax(self: Any, dim: int, dtype: Any = None) -> Any:
    """The logarithm of softmax along ``dim``."""
    self = self if dtype is None else self.to(dtype)
    return FUNCTIONS["_log_softmax"](self, dim, False)


@composite()
def _safe_softmax(self: Any, dim: int, dtype: Any = None) -> Any:
    """Softmax in which a row of nothing but -inf gives zeros."""
    empty = (self == -math.inf).all(dim, True)
    return softmax(self.masked_fill(empty, 0.0), dim, dtype).masked_fill(empty, 0.0)
