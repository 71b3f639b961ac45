"""Layer norm and batch norm, each with its backward pass as an operation."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite, op
from wasm_torch.ops.convolution import output_like


# ---- layer norm ----------------------------------------------------------------------------------
def _rows(t: Any, rows: int, columns: int) -> Any:
    return k.reshaped(k.contiguous(t), (rows, columns))


def _statistics_shape(input: Any, normalized: tuple[int, ...]) -> tuple[int, ...]:
    kept = input.ndim - len(normalized)
    return (*input.shape[:kept], *(1,) * len(normalized))


def check_normalized_shape(input: Any, normalized: tuple[int, ...], **parameters: Any) -> None:
    """torch's checks of layer norm's arguments."""
    if not normalized:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    for label, value in parameters.items():
        if value is not None and tuple(value.shape) != normalized:
            raise RuntimeError(
                f"Expected {label} to be of same shape as normalized_shape, but got {label} of "
                "shape "
                f"{list(value.shape)} and normalized_shape = {list(normalized)}"
            )
    if tuple(input.shape[-len(normalized) :]) != normalized or input.ndim < len(normalized):
        star = ", ".join(["*", *map(str, normalized)])
        raise RuntimeError(
            f"Given normalized_shape={list(normalized)}, expected input with shape [{star}], but "
            "got "
            f"input of size{list(input.shape)}"
        )


def _layer_norm_gradients(
    grad: Any,
    input: Any,
    normalized_shape: Any,
    weight: Any,
    bias_size: Any,
    result1: Any,
    result2: Any,
    needs: tuple[bool, ...],
) -> tuple[Any, ...]:
    mask = (needs[0], needs[1] and weight is not None, needs[2] and bias_size is not None)
    grads = FUNCTIONS["native_layer_norm_backward"](
        grad, input, normalized_shape, result1, result2, weight, mask
    )
    return tuple(g if wanted else None for g, wanted in zip(grads, mask, strict=True))


@op(
    "native_layer_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, float "
    "eps) -> (Tensor, Tensor, Tensor)",
    family="norm",
    method=False,
    vjp={
        "input, weight, bias": _layer_norm_gradients,
    },
)
def native_layer_norm(
    input: Any, normalized_shape: Any, weight: Any, bias: Any, eps: float
) -> tuple[Any, Any, Any]:
    """Normalised over the last dimensions ``normalized_shape``, times weight plus bias; also the
    mean and the reciprocal standard deviation.
    """
    check_normalized_shape(input, normalized_shape, weight=weight, bias=bias)
    columns = k.numel(normalized_shape)
    rows = k.numel(input.shape[: input.ndim - len(normalized_shape)])
    shape = _statistics_shape(input, normalized_shape)
    out = k.empty(tuple(input.shape), input.dtype)
    mean, rstd = k.empty(shape, input.dtype), k.empty(shape, input.dtype)
    if out.numel():
        flat = [
            None if t is None else k.reshaped(k.contiguous(t), (columns,)) for t in (weight, bias)
        ]
        k.launch(
            "layer_norm",
            k.reshaped(out, (rows, columns)),
            k.reshaped(mean, (rows,)),
            k.reshaped(rstd, (rows,)),
            _rows(input, rows, columns),
            *flat,
            eps,
        )
    return out, mean, rstd


def _present(grads: Any) -> tuple[Any, ...]:
    return tuple(None if g is None or tuple(g.shape) == (0,) else g for g in grads)


def _differentiate(
    function: Any, inputs: tuple[Any, ...], grads: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Gradients of a composite's outputs, run anew with history, for its inputs."""
    from wasm_torch.autograd import grad as gradients

    previous = _C.set_grad_enabled(True)
    try:
        leaves = [
            None if t is None else t if t.requires_grad else t.detach().requires_grad_()
            for t in inputs
        ]
        outputs = function(*leaves)
        pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None]
        wanted = [leaf for leaf in leaves if leaf is not None]
        found = iter(
            gradients(
                [o for o, _ in pairs],
                wanted,
                [g for _, g in pairs],
                create_graph=previous,
                allow_unused=True,
            )
        )
    finally:
        _C.set_grad_enabled(previous)
    return tuple(None if leaf is None else next(found) for leaf in leaves)


def _layer_norm_double(
    grads: Any, grad_out: Any, input: Any, normalized_shape: Any, mean: Any, rstd: Any, weight: Any
) -> tuple[Any, Any, Any]:
    dims = tuple(range(input.ndim - len(normalized_shape), input.ndim))
    outer = tuple(range(input.ndim - len(normalized_shape)))
    variance_floor = (rstd**-2 - (input - mean).square().mean(dims, True)).detach()

    def backward(g: Any, x: Any, w: Any) -> tuple[Any, Any, Any]:
        centre = x - x.mean(dims, True)
        scale = (centre.square().mean(dims, True) + variance_floor).rsqrt()
        normal = centre * scale
        scaled = g if w is None else g * w
        inner = scaled - scaled.mean(dims, True) - normal * (scaled * normal).mean(dims, True)
        by_weight = (g * normal).sum(outer) if outer else g * normal
        return inner * scale, by_weight, g.sum(outer) if outer else g

    return _differentiate(backward, (grad_out, input, weight), _present(grads))  # type: ignore[return-value]


@op(
    "native_layer_norm_backward(Tensor grad_out, Tensor input, int[] normalized_shape, Tensor "
    "mean, "
    "Tensor rstd, Tensor? weight, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
    family="norm",
    method=False,
    vjp={
        "grad_out, input, weight": _layer_norm_double,
    },
)
def native_layer_norm_backward(
    grad_out: Any,
    input: Any,
    normalized_shape: Any,
    mean: Any,
    rstd: Any,
    weight: Any,
    output_mask: Any,
) -> tuple[Any, Any, Any]:
    """The gradients of `native_layer_norm` for input, weight and bias, of which ``output_mask``
    chooses.
    """
    columns = k.numel(normalized_shape)
    rows = k.numel(input.shape[: input.ndim - len(normalized_shape)])
    need_input, need_weight, need_bias = output_mask
    grad_input = k.empty(tuple(input.shape) if need_input else (0,), input.dtype)
    grad_weight = k.empty(tuple(normalized_shape) if need_weight else (0,), input.dtype)
    grad_bias = k.empty(tuple(normalized_shape) if need_bias else (0,), input.dtype)
    if input.numel() == 0:
        return tuple(k.fill(t, 0) for t in (grad_input, grad_weight, grad_bias))  # type: ignore[return-value]
    k.launch(
        "layer_norm_backward",
        k.reshaped(grad_input, (rows, columns)) if need_input else None,
        k.reshaped(grad_weight, (columns,)) if need_weight else None,
        k.reshaped(grad_bias, (columns,)) if need_bias else None,
        _rows(grad_out, rows, columns),
        _rows(input, rows, columns),
        k.reshaped(k.contiguous(mean), (rows,)),
        k.reshaped(k.contiguous(rstd), (rows,)),
        None if weight is None else k.reshaped(k.contiguous(weight), (columns,)),
    )
    return grad_input, grad_weight, grad_bias


@composite()
def layer_norm(
    input: Any,
    normalized_shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:
    """Normalises over the last dims; see Ba et al. 2016, arXiv:1607.06450."""
    return FUNCTIONS["native_layer_norm"](input, tuple(normalized_shape), weight, bias, eps)[0]


# ---- batch norm ----------------------------------------------------------------------------------
def _channels_view(t: Any) -> Any:
    """(N, C, *rest) as (N, C, S); a copy only where rest cannot be joined."""
    if t.ndim == 3:
        return t
    count = k.numel(t.shape[2:])
    if t.ndim == 2:
        return _C.as_strided(t, (*t.shape, 1), (*t.stride(), 1), t.storage_offset())
    strides = t.stride()[2:]
    step, joined = strides[-1], True
    for d in range(t.ndim - 1, 2, -1):
        if t.shape[d - 1] != 1 and t.stride(d - 1) != t.stride(d) * t.shape[d]:
            joined = False
    if not joined:
        t = k.contiguous(t)
        step = 1
    return _C.as_strided(t, (*t.shape[:2], count), (*t.stride()[:2], step), t.storage_offset())


def _batch_norm_gradients(
    grad: Any,
    input: Any,
    weight: Any,
    bias_size: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    eps: float,
    result1: Any,
    result2: Any,
    needs: tuple[bool, ...],
) -> tuple[Any, ...]:
    mean, invstd = result1, result2
    if not training:
        mean, invstd = running_mean, (running_var + eps).rsqrt()
    mask = (needs[0], needs[1] and weight is not None, needs[2] and bias_size is not None)
    grads = FUNCTIONS["native_batch_norm_backward"](
        grad, input, weight, mean, invstd, training, mask
    )
    return tuple(g if wanted else None for g, wanted in zip(grads, mask, strict=True))


@op(
    "native_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? "
    "running_var, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
    family="norm",
    method=False,
    vjp={
        "input, weight, bias": _batch_norm_gradients,
    },
)
def native_batch_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Any, Any, Any]:
    """Normalised for each channel (dimension 1), times weight plus bias; also the mean and the
    reciprocal standard deviation. Training takes the batch's statistics and updates the running
    ones.
    """
    channels = input.shape[1] if input.ndim > 1 else 0
    for label, value in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if value is not None and value.numel() != channels:
            raise RuntimeError(f"{label} should contain {channels} elements not {value.numel()}")
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined in eval mode")
    out = output_like(tuple(input.shape), input)
    size = (channels,) if training else (0,)
    save_mean, save_invstd = k.empty(size, input.dtype), k.empty(size, input.dtype)
    if input.numel() == 0:
        return out, k.fill(save_mean, 0), k.fill(save_invstd, 0)
    wide = _channels_view(out)
    k.launch(
        "batch_norm",
        wide,
        save_mean if training else None,
        save_invstd if training else None,
        _channels_view(input),
        weight,
        bias,
        running_mean,
        running_var,
        training,
        momentum,
        eps,
    )
    if training:
        for t in (running_mean, running_var):
            if t is not None:
                _C.bump(t)
    return out, save_mean, save_invstd


def _batch_norm_double(
    grads: Any,
    grad_out: Any,
    input: Any,
    weight: Any,
    save_mean: Any,
    save_invstd: Any,
    train: bool,
) -> tuple[Any, Any, Any]:
    dims = (0, *range(2, input.ndim))
    shape = (1, -1, *(1,) * (input.ndim - 2))
    mean, invstd = save_mean.reshape(shape), save_invstd.reshape(shape)
    floor = (invstd**-2 - (input - mean).square().mean(dims, True)).detach()

    def backward(g: Any, x: Any, w: Any) -> tuple[Any, Any, Any]:
        scaled = g if w is None else g * w.reshape(shape)
        if not train:
            normal = (x - mean) * invstd
            return scaled * invstd, (g * normal).sum(dims), g.sum(dims)
        centre = x - x.mean(dims, True)
        scale = (centre.square().mean(dims, True) + floor).rsqrt()
        normal = centre * scale
        inner = scaled - scaled.mean(dims, True) - normal * (scaled * normal).mean(dims, True)
        return inner * scale, (g * normal).sum(dims), g.sum(dims)

    return _differentiate(backward, (grad_out, input, weight), _present(grads))  # type: ignore[return-value]


@op(
    "native_batch_norm_backward(Tensor grad_out, Tensor input, Tensor? weight, Tensor save_mean, "
    "Tensor save_invstd, bool train, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
    family="norm",
    method=False,
    vjp={
        "grad_out, input, weight": _batch_norm_double,
    },
)
def native_batch_norm_backward(
    grad_out: Any,
    input: Any,
    weight: Any,
    save_mean: Any,
    save_invstd: Any,
    train: bool,
    output_mask: Any,
) -> tuple[Any, Any, Any]:
    """The gradients of `native_batch_norm` for input, weight and bias, of which ``output_mask``
    chooses.
    """
    need_input, need_weight, need_bias = output_mask
    channels = input.shape[1]
    grad_input = (
        output_like(tuple(input.shape), input) if need_input else k.empty((0,), input.dtype)
    )
    grad_weight = k.empty((channels,) if need_weight else (0,), input.dtype)
    grad_bias = k.empty((channels,) if need_bias else (0,), input.dtype)
    if input.numel() == 0:
        return tuple(k.fill(t, 0) for t in (grad_input, grad_weight, grad_bias))  # type: ignore[return-value]
    k.launch(
        "batch_norm_backward",
        _channels_view(grad_input) if need_input else None,
        grad_weight if need_weight else None,
        grad_bias if need_bias else None,
        _channels_view(grad_out),
        _channels_view(input),
        weight,
        save_mean,
        save_invstd,
        train,
    )
    return grad_input, grad_weight, grad_bias


@composite()
def native_group_norm(
    input: Any,
    weight: Any,
    bias: Any,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> tuple[Any, Any, Any]:
    """Normalises the channels of each group; see Wu and He 2018, arXiv:1803.08494.

    Returns the result, and mean and reciprocal deviation, each (N, group).
    """
    columns = C // group * HxW if group else 0
    rows = input.reshape((N, group, columns))
    out = FUNCTIONS["native_layer_norm"](rows, (columns,), None, None, eps)[0]
    mean, rstd = rows.mean(2), (FUNCTIONS["var"](rows, 2, correction=0) + eps).rsqrt()
    out = out.reshape(tuple(input.shape))
    shape = (1, C, *(1,) * (input.ndim - 2))
    if weight is not None:
        out = out * weight.reshape(shape)
    if bias is not None:
        out = out + bias.reshape(shape)
    return out, mean, rstd


# ---- batch norm under its functional names -------------------------------------------------------
@composite()
def _native_batch_norm_legit(
    input: Any, weight: Any, bias: Any, *rest: Any
) -> tuple[Any, Any, Any]:
    """native_batch_norm by another name: with running statistics, or (shorter) without."""
    if len(rest) == 3:
        rest = (None, None, *rest)
    return FUNCTIONS["native_batch_norm"](input, weight, bias, *rest)


@composite()
def _batch_norm_with_update(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    momentum: float,
    eps: float,
) -> tuple[Any, Any, Any, Any]:
    """Batch norm in training mode; the fourth result is an empty reserve."""
    results = FUNCTIONS["native_batch_norm"](
        input, weight, bias, running_mean, running_var, True, momentum, eps
    )
    return (*results, k.empty((0,), _C.uint8))
