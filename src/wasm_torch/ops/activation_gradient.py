"""Derivatives of activation functions, as operations of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._kernels import binary, unary
from wasm_torch.ops._table import FUNCTIONS, op

INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715


def _call(name: str) -> Callable[..., Any]:
    """The public operation of this name, looked up when it is called."""
    return lambda *args, **kwargs: FUNCTIONS[name](*args, **kwargs)


where_lazily = _call("where")


def masked(grad: Any, mask: Any) -> Any:
    return where_lazily(mask, grad, 0.0)


def _derivative_row(
    schema: str,
    operator: str,
    curvature: Callable[..., Any],
    parameter: Callable[..., float] = lambda *rest: 1.0,
) -> None:
    """``f_backward(grad_output, x, ...)``: linear in the first; ``curvature(x, ...)`` is f''(x)."""
    name = schema.split("(")[0]
    argument = "self" if " self" in schema else "output"
    names = [
        part.split("=")[0].split()[-1] for part in schema.split("(")[1].split(")")[0].split(",")
    ]
    extra = names[2:]
    scope = {"FUNCTIONS": FUNCTIONS, "curvature": curvature}
    listed = ", ".join(["grad", argument, *extra])
    rest = ", ".join([argument, *extra])
    first = eval(f"lambda {listed}: FUNCTIONS['{name}'](grad, {rest})", scope)
    second = eval(f"lambda {listed}, grad_output: grad * grad_output * curvature({rest})", scope)

    by = "its output" if argument == "output" else "its input"
    doc = f"The gradient of `{name.removesuffix('_backward')}`, by {by}."

    @op(
        schema,
        family="pointwise",
        method=False,
        doc=doc,
        vjp={"grad_output": first, argument: second},
    )
    def kernel(grad_output: Any, value: Any, *rest: Any) -> Any:
        return binary(operator, grad_output, value, parameter(*rest))


def _sigmoid(x: Any) -> Any:
    return x.sigmoid()


_derivative_row(
    "sigmoid_backward(Tensor grad_output, Tensor output) -> Tensor",
    "sigmoid_backward",
    lambda output: 1 - 2 * output,
)
_derivative_row(
    "tanh_backward(Tensor grad_output, Tensor output) -> Tensor",
    "tanh_backward",
    lambda output: -2 * output,
)
_derivative_row(
    "silu_backward(Tensor grad_output, Tensor self) -> Tensor",
    "silu_backward",
    lambda x: _silu_curvature(x, _sigmoid(x)),
)
_derivative_row(
    "mish_backward(Tensor grad_output, Tensor self) -> Tensor",
    "mish_backward",
    lambda x: _mish_curvature(x, _sigmoid(x), _call("softplus")(x).tanh()),
)
_derivative_row(
    "log_sigmoid_backward(Tensor grad_output, Tensor self) -> Tensor",
    "logsigmoid_backward",
    lambda x: -_sigmoid(x) * (1 - _sigmoid(x)),
)
_derivative_row(
    "hardswish_backward(Tensor grad_output, Tensor self) -> Tensor",
    "hardswish_backward",
    lambda x: masked(x.new_full((), 1 / 3).expand_as(x), (x > -3) & (x < 3)),
)
_derivative_row(
    "hardsigmoid_backward(Tensor grad_output, Tensor self) -> Tensor",
    "hardsigmoid_backward",
    lambda x: _call("zeros_like")(x),
)
_derivative_row(
    "leaky_relu_backward(Tensor grad_output, Tensor self, float negative_slope) -> Tensor",
    "leaky_relu_backward",
    lambda x, negative_slope: _call("zeros_like")(x),
    lambda negative_slope: negative_slope,
)


def _silu_curvature(x: Any, s: Any) -> Any:
    return s * (1 - s) * (2 + x * (1 - 2 * s))


def _mish_curvature(x: Any, s: Any, t: Any) -> Any:
    return (1 - t * t) * s * (2 + x * (1 - s) - 2 * x * t * s)


@op(
    "gelu_backward(Tensor grad_output, Tensor self, *, str approximate='none') -> Tensor",
    family="pointwise",
    method=False,
    vjp={
        "grad_output": lambda grad, self, approximate: FUNCTIONS["gelu_backward"](
            grad, self, approximate=approximate
        ),
        "self": lambda grad, grad_output, self, approximate: (
            grad * grad_output * _gelu_curvature(self, approximate)
        ),
    },
)
def gelu_backward(grad_output: Any, self: Any, approximate: str) -> Any:
    """The gradient of `gelu` with respect to ``self``."""
    operator = "gelu_tanh_backward" if approximate == "tanh" else "gelu_backward"
    return binary(operator, grad_output, self)


def _gelu_curvature(x: Any, approximate: str) -> Any:
    if approximate != "tanh":
        return INV_SQRT_2PI * (-0.5 * x * x).exp() * (2 - x * x)
    squared = x * x
    t = (SQRT_2_OVER_PI * x * (1 + GELU_CUBIC * squared)).tanh()
    slope = SQRT_2_OVER_PI * (1 + 3 * GELU_CUBIC * squared)
    bend = 6 * SQRT_2_OVER_PI * GELU_CUBIC * x
    sech = 1 - t * t
    return sech * slope + 0.5 * x * sech * (bend - 2 * t * slope * slope)


@op(
    "threshold_backward(Tensor grad_output, Tensor self, Scalar threshold) -> Tensor",
    family="pointwise",
    method=False,
    vjp={
        "grad_output": lambda grad, self, threshold: FUNCTIONS["threshold_backward"](
            grad, self, threshold
        )
    },
)
def threshold_backward(grad_output: Any, self: Any, threshold: Any) -> Any:
    """``grad_output`` where ``self`` is above the threshold, 0 elsewhere."""
    if threshold == 0:
        return binary("relu_backward", grad_output, self)
    mask = binary("gt", self, threshold, 1.0, self.dtype, _C.bool)
    return binary("mul", grad_output, mask)


@op(
    "elu_backward(Tensor grad_output, Scalar alpha, Scalar scale, Scalar input_scale, "
    "bool is_result, Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    vjp={
        "grad_output": lambda grad, self, alpha, scale, input_scale, is_result: FUNCTIONS[
            "elu_backward"
        ](grad, alpha, scale, input_scale, is_result, self),
        "self": lambda grad, grad_output, self, alpha, scale, input_scale: (
            grad
            * grad_output
            * where_lazily(
                self <= 0, alpha * scale * input_scale**2 * (self * input_scale).exp(), 0.0
            )
        ),
    },
)
def elu_backward(
    grad_output: Any, alpha: float, scale: float, input_scale: float, is_result: bool, self: Any
) -> Any:
    """The gradient of `elu`, by its input or (``is_result``) its output."""
    scaled = self if input_scale == 1 else binary("mul", self, float(input_scale))
    gradient = binary("elu_backward", grad_output, scaled, alpha * input_scale)
    if scale == 1 and input_scale == 1:
        return gradient
    if input_scale == 1:
        return binary("mul", gradient, float(scale))
    positive = binary("gt", self, 0.0, 1.0, self.dtype, _C.bool)
    factor = _C.cast(positive, self.dtype)
    factor = binary("add", binary("mul", factor, float(scale) - 1.0), 1.0)
    return binary("mul", gradient, factor) if scale != 1 else gradient


@op(
    "softplus_backward(Tensor grad_output, Tensor self, Scalar beta, Scalar threshold) -> Tensor",
    family="pointwise",
    method=False,
    vjp={
        "grad_output": lambda grad, self, beta, threshold: FUNCTIONS["softplus_backward"](
            grad, self, beta, threshold
        ),
        "self": lambda grad, grad_output, self, beta, threshold: (
            grad * grad_output * _softplus_curvature(self, beta, threshold)
        ),
    },
)
def softplus_backward(grad_output: Any, self: Any, beta: Any, threshold: Any) -> Any:
    """The gradient of `softplus` with respect to ``self``."""
    if threshold == 20:
        return binary("softplus_backward", grad_output, self, float(beta))
    scaled = binary("mul", self, float(beta))
    slope = binary("mul", grad_output, unary("sigmoid", scaled))
    above = binary("gt", scaled, float(threshold), 1.0, self.dtype, _C.bool)
    from wasm_torch.ops._kernels import ternary

    return ternary("where", above, grad_output, slope, 0.0, self.dtype)


def _softplus_curvature(x: Any, beta: float, threshold: float) -> Any:
    s = (beta * x).sigmoid()
    return where_lazily(beta * x > threshold, 0.0, beta * s * (1 - s))
