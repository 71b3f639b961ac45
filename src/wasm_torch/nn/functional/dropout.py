"""Dropout: random zeros in training, and the rest scaled to keep the mean."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import wasm_torch as torch
from wasm_torch import Tensor

from ._arguments import check_probability

#: alpha of selu times its scale, negated: what alpha dropout puts in place of dropped values.
_SELU_LOW = -1.7580993408473766


def _keep(shape: Sequence[int], input: Tensor, p: float) -> Tensor:
    """1 with probability 1 - p, else 0, in the input's dtype."""
    return torch.empty(tuple(shape), dtype=input.dtype).bernoulli_(1 - p)


def _feature_shape(input: Tensor) -> list[int]:
    """(N, C, 1, ...): one draw for each channel of each sample."""
    return [*input.shape[:2], *([1] * (input.dim() - 2))]


def _dropped(
    input: Tensor, p: float, training: bool, inplace: bool, shape: Sequence[int] | None = None
) -> Tensor:
    check_probability(p)
    if not training or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        return input.mul_(0) if inplace else input * torch.zeros((), dtype=input.dtype)
    mask = _keep(input.shape if shape is None else shape, input, p).div_(1 - p)
    return input.mul_(mask) if inplace else input * mask


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes each element with probability p and divides the others by 1 - p."""
    return _dropped(input, p, training, inplace)


def _channel_dropout(
    input: Tensor, p: float, training: bool, inplace: bool, spatial: int
) -> Tensor:
    """Zeroes whole channels of (N, C, *spatial) or, without a batch, of (C, *spatial)."""
    check_probability(p)
    ndim = input.dim()
    if ndim not in (spatial + 1, spatial + 2):
        warnings.warn(
            f"dropout{spatial}d: Received a {ndim}-D input to dropout{spatial}d, which is "
            "deprecated and will result in an error in a future release. To retain the behavior "
            f"and silence this warning, please use dropout instead. Note that dropout{spatial}d "
            "exists to provide channel-wise dropout on inputs with "
            f"{spatial} spatial dimensions, a channel dimension, and an optional batch dimension "
            f"(i.e. {spatial + 1}D or {spatial + 2}D inputs).",
            stacklevel=3,
        )
    # Of two dimensions, torch takes four-dimensional input without a batch as batched.
    if ndim == spatial + 1 and spatial != 2:
        result = _dropped(input.unsqueeze(0), p, training, inplace, [1, *_channel_shape(input)])
        return input if inplace else result.squeeze(0)
    return _dropped(input, p, training, inplace, _feature_shape(input))


def _channel_shape(input: Tensor) -> list[int]:
    """(C, 1, ...)."""
    return [input.shape[0], *([1] * (input.dim() - 1))]


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zeroes whole channels of (N, C, L) or (C, L) with probability p."""
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. Note that "
            "dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
            "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _channel_dropout(input, p, training, inplace, 1)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zeroes whole channels of (N, C, H, W) with probability p."""
    return _channel_dropout(input, p, training, inplace, 2)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zeroes whole channels of (N, C, D, H, W) or (C, D, H, W) with probability p."""
    return _channel_dropout(input, p, training, inplace, 3)


def _alpha_dropped(
    input: Tensor, p: float, training: bool, inplace: bool, shape: Sequence[int]
) -> Tensor:
    """Puts selu's lower limit in place of dropped values, and keeps mean 0 and variance 1."""
    check_probability(p)
    if not training or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        return input.mul_(0) if inplace else input * torch.zeros((), dtype=input.dtype)
    mask = _keep(shape, input, p)
    scale = ((_SELU_LOW**2 * p + 1) * (1 - p)) ** -0.5
    offset = (mask - 1) * (-_SELU_LOW * scale) + (-_SELU_LOW * scale * p)
    if inplace:
        return input.mul_(mask * scale).add_(offset)
    return input * (mask * scale) + offset


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout which keeps mean 0 and variance 1 of selu's outputs (Klambauer et al. 2017)."""
    return _alpha_dropped(input, p, training, inplace, input.shape)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Alpha dropout of whole channels of (N, C, ...)."""
    if training and input.dim() < 2 and 0 < p <= 1:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return _alpha_dropped(input, p, training, inplace, _feature_shape(input))
