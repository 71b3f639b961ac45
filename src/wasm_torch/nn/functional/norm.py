"""Normalisation of activations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from .padding import pad
from .pooling import avg_pool2d, avg_pool3d


def _check_batch(size: Sequence[int]) -> None:
    """Raises where a channel has one value only, which has no variance."""
    if size[0] * math.prod(size[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size "
            f"{torch.Size(size)}"
        )


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises each channel of (N, C, *) by the batch's statistics, or by the running ones.

    In training the running statistics, where given, move by `momentum` towards the batch's.
    """
    if training:
        _check_batch(input.shape)
    if input.numel() == 0:
        # No statistics to speak of; the result still depends on the parameters.
        first = [None if p is None else p[0] for p in (weight, bias)]
        return _scaled(input, first[0], first[1], [1])
    return torch.native_batch_norm(
        input, weight, bias, running_mean, running_var, training, momentum, eps
    )[0]


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises over the last dimensions, whose sizes are `normalized_shape`."""
    return torch.native_layer_norm(input, list(normalized_shape), weight, bias, eps)[0]


def _scaled(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, shape: Sequence[int]
) -> Tensor:
    """input * weight + bias, each viewed in `shape`."""
    if weight is not None and bias is not None:
        return torch.addcmul(bias.view(shape), input, weight.view(shape))
    if weight is not None:
        return input * weight.view(shape)
    return input if bias is None else input + bias.view(shape)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises each of `num_groups` groups of channels of (N, C, *)."""
    if input.dim() < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input.dim()}"
        )
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    channels = input.shape[1]
    if channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(input.shape)} and num_groups={num_groups}"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and tuple(value.shape) != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in "
                f"input, but got {name} of shape {list(value.shape)} and input of shape "
                f"{list(input.shape)}"
            )
    _check_batch([input.shape[0] * channels // num_groups, num_groups, *input.shape[2:]])
    if input.numel() == 0:
        return _scaled(input, weight, bias, [1, channels] + [1] * (input.dim() - 2))
    size = input.numel() // (input.shape[0] * num_groups)
    groups = input.reshape(input.shape[0] * num_groups, size)
    normal = torch.native_layer_norm(groups, [size], None, None, eps)[0].reshape(input.shape)
    return _scaled(normal, weight, bias, [1, channels] + [1] * (input.dim() - 2))


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises each channel of each sample of (N, C, *).

    Running statistics are those of the channels, averaged over the samples.
    """
    if use_input_stats:
        values = math.prod(input.shape[2:])
        if values == 1:
            raise ValueError(
                "Expected more than 1 spatial element when training, got input size "
                f"{torch.Size(input.shape)}"
            )
    elif running_mean is None or running_var is None:
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    batch, channels = input.shape[:2]
    flat = input.reshape(1, batch * channels, *input.shape[2:])
    repeated: list[Any] = [
        None if value is None else value.detach().repeat(batch)
        for value in (running_mean, running_var)
    ]
    normal = torch.native_batch_norm(flat, None, None, *repeated, use_input_stats, momentum, eps)[
        0
    ].reshape(input.shape)
    if use_input_stats:
        for value, moved in zip((running_mean, running_var), repeated, strict=True):
            if value is not None:
                with torch.no_grad():
                    value.copy_(moved.view(batch, channels).mean(0))
    return _scaled(normal, weight, bias, [1, channels] + [1] * (input.dim() - 2))


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Divides by the root mean square over the last dimensions (Zhang & Sennrich 2019)."""
    shape = list(normalized_shape)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    if weight is not None and list(weight.shape) != shape:
        raise RuntimeError(
            "Expected weight to be of same shape as normalized_shape, but got weight of shape "
            f"{list(weight.shape)} and normalized_shape = {shape}"
        )
    if input.dim() < len(shape) or list(input.shape[input.dim() - len(shape) :]) != shape:
        wanted = "".join(f", {s}" for s in shape)
        raise RuntimeError(
            f"Given normalized_shape={shape}, expected input with shape [*{wanted}], but got input "
            f"of size{list(input.shape)}"
        )
    half = input.dtype in (torch.float16, torch.bfloat16)
    values = input.float() if half else input
    if eps is None:
        eps = torch.finfo(values.dtype).eps
    dims = list(range(-len(shape), 0))
    normal = values * torch.rsqrt(values.square().mean(dims, keepdim=True) + eps)
    if weight is not None:
        normal = normal * weight
    return normal.to(input.dtype) if half else normal


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha * mean of squares over `size` neighbouring channels) ** beta."""
    if input.dim() < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality input (got {input.dim()} dimensions)"
        )
    if input.numel() == 0:
        return input
    squares = input.mul(input)
    window = (size // 2, (size - 1) // 2)
    if input.dim() == 3:
        padded = pad(squares.unsqueeze(1), (0, 0, *window))
        means = avg_pool2d(padded, (size, 1), stride=1).squeeze(1)
    else:
        batch, channels, height = input.shape[:3]
        planes = squares.reshape(batch, 1, channels, height, -1)
        padded = pad(planes, (0, 0, 0, 0, *window))
        means = avg_pool3d(padded, (size, 1, 1), stride=1).squeeze(1).reshape(input.shape)
    return input / (means * alpha + k).pow(beta)
