"""Fractional max pooling (Graham 2014): windows at pseudorandom steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from ._arguments import batched, per_dim


def _starts(samples: Tensor, size: int, output: int, kernel: int) -> Tensor:
    """First positions of the windows along one dimension: (N, C, output), int64.

    samples is (N, C), one number in [0, 1) for each plane.
    """
    if output == 1:
        return torch.full((*samples.shape, 1), size - kernel, dtype=torch.int64)
    alpha = (size - kernel) / (output - 1)
    steps = torch.arange(output - 1, dtype=samples.dtype)
    moved = samples.unsqueeze(-1)
    starts = ((steps + moved) * alpha).to(torch.int64) - (moved * alpha).to(torch.int64)
    last = torch.full((*samples.shape, 1), size - kernel, dtype=torch.int64)
    return torch.cat([starts, last], -1)


def _fractional_max_pool(
    input: Tensor,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    samples: Tensor | None,
    spatial: int,
) -> tuple[Tensor, Tensor]:
    """Maxima and their flat positions in each plane."""
    function = f"fractional_max_pool{spatial}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{function} requires specifying either an output_size or an output_ratio")
    if input.dim() not in (spatial + 1, spatial + 2):
        raise RuntimeError(
            f"{function}(): Expected {spatial + 1}D or {spatial + 2}D tensor, but got: "
            f"{list(input.shape)}"
        )
    input, unbatched = batched(input, spatial, function)
    sizes = list(input.shape[2:])
    if output_size is None:
        ratios = [output_ratio] * spatial if isinstance(output_ratio, float) else output_ratio
        output_size = [int(sizes[d] * ratios[d]) for d in range(spatial)]
    output, kernel = per_dim(output_size, spatial), per_dim(kernel_size, spatial)
    for d in range(spatial):
        if output[d] + kernel[d] - 1 > sizes[d]:
            names = ("time", "height", "width")[-spatial:]
            raise RuntimeError(
                f"{function}(): pool {names[d]} {kernel[d]} too large relative to input "
                f"{names[d]} {sizes[d]}"
            )
    if samples is None:
        samples = torch.rand(*input.shape[:2], spatial, dtype=input.dtype)
    samples = samples[: input.shape[0]]

    # Positions (N, C, *output, *kernel) of every element of every window, flat in the plane.
    positions: Any = 0
    for d in range(spatial):
        # In two dimensions the first sample moves the columns; in three it moves the planes.
        sample = samples[..., spatial - 1 - d] if spatial == 2 else samples[..., d]
        starts = _starts(sample, sizes[d], output[d], kernel[d])
        shape = [1] * (2 * spatial)
        shape[d] = output[d]
        along = starts.reshape(*starts.shape[:2], *shape)
        shape = [1] * (2 * spatial)
        shape[spatial + d] = kernel[d]
        positions = positions * sizes[d] + along + torch.arange(kernel[d]).reshape(shape)
    planes = input.flatten(2)
    split = (*input.shape[:2], *output, math.prod(kernel))
    windows = positions.reshape(*input.shape[:2], math.prod(split[2:]))
    values, chosen = planes.gather(2, windows).reshape(split).max(-1)
    indices = windows.reshape(split).gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    if unbatched:
        return values.squeeze(0), indices.squeeze(0)
    return values, indices


def fractional_max_pool2d_with_indices(
    input: Tensor,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Maxima of (N, C, H, W) or (C, H, W) over random windows, and their positions in H * W."""
    return _fractional_max_pool(input, kernel_size, output_size, output_ratio, _random_samples, 2)


def fractional_max_pool3d_with_indices(
    input: Tensor,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Maxima of (N, C, D, H, W) over random windows, and their positions in D * H * W."""
    return _fractional_max_pool(input, kernel_size, output_size, output_ratio, _random_samples, 3)


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Maxima of (N, C, H, W) or (C, H, W) over windows at pseudorandom steps."""
    result = _fractional_max_pool(input, kernel_size, output_size, output_ratio, _random_samples, 2)
    return result if return_indices else result[0]


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Maxima of (N, C, D, H, W) or (C, D, H, W) over windows at pseudorandom steps."""
    result = _fractional_max_pool(input, kernel_size, output_size, output_ratio, _random_samples, 3)
    return result if return_indices else result[0]
