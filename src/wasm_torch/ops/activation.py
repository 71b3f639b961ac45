"""Activation functions."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops._kernels import as_float, binary, unary, unary_float
from wasm_torch.ops._table import FUNCTIONS, op
from wasm_torch.ops.activation_gradient import masked, where_lazily


@op(
    "sigmoid(Tensor self) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp=lambda grad, result: FUNCTIONS["sigmoid_backward"](grad, result),
)
def sigmoid(self: Any) -> Any:
    """1 / (1 + exp(-x)); integers give floats."""
    return unary_float("sigmoid", self)


@op(
    "tanh(Tensor self) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp=lambda grad, result: FUNCTIONS["tanh_backward"](grad, result),
)
def tanh(self: Any) -> Any:
    """The hyperbolic tangent; integers give floats."""
    return unary_float("tanh", self)


@op(
    "relu(Tensor self) -> Tensor",
    family="pointwise",
    inplace=True,
    vjp=lambda grad, result: FUNCTIONS["threshold_backward"](grad, result, 0),
)
def relu(self: Any) -> Any:
    """max(x, 0). Raises RuntimeError for bool."""
    if self.dtype is _C.bool:
        raise RuntimeError("Boolean inputs not supported for relu")
    return unary("relu", self)


@op(
    "relu6(Tensor self) -> Tensor",
    family="pointwise",
    inplace=True,
    method=False,
    node="HardtanhBackward0",
    vjp=lambda grad, self: masked(grad, (self > 0) & (self < 6)),
)
def relu6(self: Any) -> Any:
    """min(max(x, 0), 6)."""
    return unary("relu6", self)


@op(
    "gelu(Tensor self, *, str approximate='none') -> Tensor",
    family="pointwise",
    method=False,
    vjp=lambda grad, self, approximate: FUNCTIONS["gelu_backward"](
        grad, self, approximate=approximate
    ),
)
def gelu(self: Any, approximate: str) -> Any:
    """x * Phi(x) with the normal distribution function Phi; ``approximate="tanh"`` takes Hendrycks
    and Gimpel's approximation.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return unary("gelu_tanh" if approximate == "tanh" else "gelu", self)


@op(
    "silu(Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    inplace=True,
    vjp=lambda grad, self: FUNCTIONS["silu_backward"](grad, self),
)
def silu(self: Any) -> Any:
    """x * sigmoid(x)."""
    return unary_float("silu", self)


@op(
    "mish(Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    inplace=True,
    vjp=lambda grad, self: FUNCTIONS["mish_backward"](grad, self),
)
def mish(self: Any) -> Any:
    """x * tanh(softplus(x))."""
    return unary("mish", self)


@op(
    "log_sigmoid(Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    node="LogSigmoidBackward0",
    vjp=lambda grad, self: FUNCTIONS["log_sigmoid_backward"](grad, self),
)
def log_sigmoid(self: Any) -> Any:
    """log(sigmoid(x)), without overflow on the way."""
    return unary("logsigmoid", self)


@op(
    "hardsigmoid(Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    inplace=True,
    vjp=lambda grad, self: FUNCTIONS["hardsigmoid_backward"](grad, self),
)
def hardsigmoid(self: Any) -> Any:
    """relu6(x + 3) / 6."""
    return unary("hardsigmoid", self)


@op(
    "hardswish(Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    inplace=True,
    vjp=lambda grad, self: FUNCTIONS["hardswish_backward"](grad, self),
)
def hardswish(self: Any) -> Any:
    """x * relu6(x + 3) / 6."""
    return unary("hardswish", self)


@op(
    "hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor",
    family="pointwise",
    method=False,
    inplace=True,
    vjp=lambda grad, self, min_val, max_val: masked(grad, (self > min_val) & (self < max_val)),
)
def hardtanh(self: Any, min_val: Any, max_val: Any) -> Any:
    """x limited to [min_val, max_val]."""
    return unary("hardtanh", self, float(min_val), float(max_val))


@op(
    "leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor",
    family="pointwise",
    method=False,
    inplace=True,
    vjp=lambda grad, self, negative_slope: FUNCTIONS["leaky_relu_backward"](
        grad, self, negative_slope
    ),
)
def leaky_relu(self: Any, negative_slope: Any) -> Any:
    """x where it is positive, negative_slope * x elsewhere."""
    return unary("leaky_relu", self, float(negative_slope))


@op(
    "elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor",
    family="pointwise",
    method=False,
    inplace=True,
    vjp=lambda grad, self, alpha, scale, input_scale: FUNCTIONS["elu_backward"](
        grad, alpha, scale, input_scale, False, self
    ),
)
def elu(self: Any, alpha: Any, scale: Any, input_scale: Any) -> Any:
    """scale * x where x is positive, scale * alpha * (exp(input_scale * x) - 1) elsewhere."""
    if input_scale != 1:
        negative = binary(
            "mul", unary("expm1", binary("mul", self, float(input_scale))), float(alpha)
        )
        positive = binary("gt", self, 0.0, 1.0, self.dtype, _C.bool)
        from wasm_torch.ops._kernels import ternary

        result = ternary("where", positive, self, negative, 0.0, self.dtype)
    else:
        result = unary("elu", self, float(alpha))
    return result if scale == 1 else binary("mul", result, float(scale))


@op(
    "celu(Tensor self, Scalar alpha=1.0) -> Tensor",
    family="pointwise",
    method=False,
    inplace=True,
    vjp=lambda grad, self, alpha: FUNCTIONS["elu_backward"](grad, alpha, 1, 1 / alpha, False, self),
)
def celu(self: Any, alpha: Any) -> Any:
    """x where it is positive, alpha * (exp(x / alpha) - 1) elsewhere. Raises RuntimeError for alpha
    0.
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return unary("celu", self, float(alpha))


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@op(
    "selu(Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    inplace=True,
    node="EluBackward0",
    vjp=lambda grad, self: FUNCTIONS["elu_backward"](grad, SELU_ALPHA, SELU_SCALE, 1, False, self),
)
def selu(self: Any) -> Any:
    """`elu` with the scale and alpha of self-normalising networks (Klambauer et al., 2017)."""
    return unary("selu", self)


@op(
    "softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor",
    family="pointwise",
    method=False,
    vjp=lambda grad, self, beta, threshold: FUNCTIONS["softplus_backward"](
        grad, self, beta, threshold
    ),
)
def softplus(self: Any, beta: Any, threshold: Any) -> Any:
    """log(1 + exp(beta * x)) / beta, and x where beta * x exceeds the threshold."""
    return unary("softplus", self, float(beta), float(threshold))


@op(
    "hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor",
    family="pointwise",
    vjp=lambda grad, self, lambd: masked(grad, (self < -lambd) | (self > lambd)),
)
def hardshrink(self: Any, lambd: Any) -> Any:
    """x where its magnitude exceeds ``lambd``, 0 elsewhere."""
    return unary("hardshrink", self, float(lambd))


@op(
    "softshrink(Tensor self, Scalar lambd=0.5) -> Tensor",
    family="pointwise",
    method=False,
    vjp=lambda grad, self, lambd: masked(grad, (self < -lambd) | (self > lambd)),
)
def softshrink(self: Any, lambd: Any) -> Any:
    """x moved towards 0 by ``lambd``, and 0 within it. Raises RuntimeError for a negative
    ``lambd``.
    """
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd:g}.")
    return unary("softshrink", self, float(lambd))


@op(
    "threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor",
    family="pointwise",
    method=False,
    inplace=True,
    vjp=lambda grad, self, threshold: FUNCTIONS["threshold_backward"](grad, self, threshold),
)
def threshold(self: Any, threshold: Any, value: Any) -> Any:
    """x where it exceeds the threshold, ``value`` elsewhere."""
    return unary("threshold", self, float(threshold), float(value))


@op(
    "prelu(Tensor self, Tensor weight) -> Tensor",
    family="pointwise",
    node="PreluKernelBackward0",
    vjp={
        "self": lambda grad, self, weight: where_lazily(
            self > 0, grad, grad * _per_channel(self, weight)
        ),
        "weight": lambda grad, self, weight: _prelu_weight(grad, self, weight),
    },
)
def prelu(self: Any, weight: Any) -> Any:
    """x where it is positive, weight * x elsewhere; ``weight`` has one element, or one a channel
    (dimension 1).
    """
    if self.dtype is not weight.dtype:
        raise RuntimeError("prelu: Type promoting not supported.")
    if weight.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}"
        )
    if weight.numel() != 1:
        channels = self.shape[1] if self.ndim > 1 else 1
        if self.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        if channels != weight.numel():
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.numel()} and channel size = {channels}."
            )
    return binary("prelu", self, _per_channel(self, weight))


def _per_channel(self: Any, weight: Any) -> Any:
    if weight.numel() == 1 or self.ndim < 2:
        return weight.reshape(()) if weight.numel() == 1 else weight
    return weight.reshape((-1,) + (1,) * (self.ndim - 2))


def _prelu_weight(grad: Any, self: Any, weight: Any) -> Any:
    product = where_lazily(self > 0, 0.0, grad * self)
    if weight.numel() == 1:
        return product.sum().reshape(weight.shape)
    dims = tuple(d for d in range(self.ndim) if d != 1)
    return product.sum(dims)


@op(
    "softsign(Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    vjp=lambda grad, self: grad / (1 + self.abs()).square(),
)
def softsign(self: Any) -> Any:
    """x / (1 + |x|)."""
    return unary("softsign", as_float(self))


@op(
    "tanhshrink(Tensor self) -> Tensor",
    family="pointwise",
    method=False,
    vjp=lambda grad, self: grad * self.tanh().square(),
)
def tanhshrink(self: Any) -> Any:
    """x - tanh(x)."""
    return unary_float("tanhshrink", self)
