"""Sampling by a grid, and rearranging pixels and channels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from .interpolate import cubic_coefficients


# ---- rearranging -------------------------------------------------------------------------------
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C * r * r, H, W) to (*, C, H * r, W * r)."""
    r = upscale_factor
    if input.dim() < 3:
        raise RuntimeError(
            "pixel_shuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.dim()} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *batch, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {r * r}"
        )
    n = len(batch)
    out = channels // (r * r)
    blocks = input.reshape(*batch, out, r, r, height, width)
    order = [*range(n), n, n + 3, n + 1, n + 4, n + 2]
    return blocks.permute(order).reshape(*batch, out, height * r, width * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H * r, W * r) to (*, C * r * r, H, W)."""
    r = downscale_factor
    if input.dim() < 3:
        raise RuntimeError(
            "pixel_unshuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.dim()} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *batch, channels, height, width = input.shape
    for name, position, size in (("height", -2, height), ("width", -1, width)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                f"input.size({position})={size} is not divisible by {r}"
            )
    n = len(batch)
    blocks = input.reshape(*batch, channels, height // r, r, width // r, r)
    order = [*range(n), n, n + 2, n + 4, n + 1, n + 3]
    return blocks.permute(order).reshape(*batch, channels * r * r, height // r, width // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Interleaves the channels of `groups` groups of (N, C, *)."""
    if input.dim() < 3:
        raise RuntimeError(
            "channel_shuffle expects input with > 2 dims, but got input with sizes "
            f"{list(input.shape)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    batch, channels = input.shape[:2]
    if channels % groups:
        raise RuntimeError(
            "Number of channels must be divisible by groups. Got "
            f"{channels} channels and {groups} groups."
        )
    grouped = input.reshape(batch, groups, channels // groups, *input.shape[2:])
    return grouped.transpose(1, 2).reshape(input.shape)


native_channel_shuffle = channel_shuffle


# ---- grids -------------------------------------------------------------------------------------
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The positions (N, H, W, 2) or (N, D, H, W, 3) of an affine map's values in the input.

    Args:
        theta: the maps, (N, 2, 3) or (N, 3, 4).
        size: the output's size (N, C, H, W) or (N, C, D, H, W).
        align_corners: whether -1 and 1 are the centres of the corner elements, or their edges.
    """
    spatial = len(size) - 2
    if spatial not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if theta.dim() != 3 or tuple(theta.shape[1:]) != (spatial, spatial + 1):
        raise ValueError(
            f"Expected a batch of {spatial}D affine matrices of shape Nx{spatial}x{spatial + 1} "
            f"for size {size}. Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    axes = []
    for d in reversed(range(spatial)):  # x first
        count = size[2 + d]
        if count <= 1:
            line = torch.zeros(count, dtype=theta.dtype)
        else:
            line = torch.linspace(-1, 1, count, dtype=theta.dtype)
        if not align_corners:
            line = line * ((count - 1) / count)
        shape = [1] * spatial
        shape[d] = count
        axes.append(line.reshape(shape).expand(*size[2:]))
    axes.append(torch.ones(*size[2:], dtype=theta.dtype))
    base = torch.stack(axes, -1).reshape(1, -1, spatial + 1)
    points = torch.matmul(base, theta.transpose(1, 2))
    return points.reshape(size[0], *size[2:], spatial)


def _unnormalized(x: Tensor, size: int, align_corners: bool) -> Tensor:
    """From [-1, 1] to positions of elements."""
    if align_corners:
        return (x + 1) / 2 * (size - 1)
    return ((x + 1) * size - 1) / 2


def _reflect(x: Tensor, twice_low: int, twice_high: int) -> Tensor:
    """Mirrored into [low, high] as often as needed."""
    if twice_low == twice_high:
        return torch.zeros_like(x)
    low, span = twice_low / 2, (twice_high - twice_low) / 2
    distance = (x - low).abs()
    extra = torch.fmod(distance, span)
    odd = torch.fmod((distance / span).floor(), 2) != 0
    return torch.where(odd, span - extra + low, extra + low)


def _into_bounds(x: Tensor, size: int, padding_mode: str, align_corners: bool) -> Tensor:
    """Positions led back into the input where the padding mode says so."""
    if padding_mode == "zeros":
        return x
    if padding_mode == "reflection":
        limits = (0, 2 * (size - 1)) if align_corners else (-1, 2 * size - 1)
        x = _reflect(x, *limits)
    return x.clamp(0, size - 1)


def _sample(input: Tensor, positions: list[Tensor]) -> Tensor:
    """input (N, C, *sizes) at whole positions, each (N, *out): (N, C, *out); 0 outside."""
    sizes = input.shape[2:]
    inside: Any = None
    flat: Any = 0
    for size, position in zip(sizes, positions, strict=True):
        within = (position >= 0) & (position <= size - 1)
        inside = within if inside is None else inside & within
        flat = flat * size + position.detach().clamp(0, size - 1).to(torch.int64)
    batch, channels = input.shape[:2]
    index = flat.reshape(batch, 1, -1).expand(-1, channels, -1)
    values = input.reshape(batch, channels, math.prod(sizes)).gather(2, index)
    values = values.reshape(batch, channels, *flat.shape[1:])
    return values * inside.unsqueeze(1).to(input.dtype)


def _sample_linear(input: Tensor, points: list[Tensor]) -> Tensor:
    """Between the 4 or 8 elements around each point."""
    spatial = len(points)
    lows = [p.detach().floor() for p in points]
    result: Any = None
    for corner in range(2**spatial):
        bits = [(corner >> d) & 1 for d in range(spatial)]
        weight: Any = 1
        for point, low, bit in zip(points, lows, bits, strict=True):
            fraction = point - low
            weight = weight * (fraction if bit else 1 - fraction)
        values = _sample(input, [low + bit for low, bit in zip(lows, bits, strict=True)])
        term = values * weight.unsqueeze(1)
        result = term if result is None else result + term
    return result


def _sample_cubic(
    input: Tensor, points: list[Tensor], padding_mode: str, align_corners: bool
) -> Tensor:
    """By the cubics through the 16 elements around each point."""
    lows = [p.detach().floor() for p in points]
    coefficients = [
        cubic_coefficients(point - low) for point, low in zip(points, lows, strict=True)
    ]
    result: Any = 0
    for i in range(4):
        row = _into_bounds(lows[0] + (i - 1), input.shape[2], padding_mode, align_corners)
        line: Any = 0
        for j in range(4):
            column = _into_bounds(lows[1] + (j - 1), input.shape[3], padding_mode, align_corners)
            line = line + _sample(input, [row, column]) * coefficients[1][j].unsqueeze(1)
        result = result + line * coefficients[0][i].unsqueeze(1)
    return result


def _check_grid(input: Tensor, grid: Tensor, mode: str) -> None:
    """Raises torch's errors for shapes that do not fit."""
    if input.dim() not in (4, 5) or grid.dim() != input.dim():
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            f"got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with "
            f"sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != input.dim() - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.dim() - 2} in last dimension, but "
            f"got grid with sizes {list(grid.shape)}"
        )
    if mode == "bicubic" and input.dim() == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Values of input (N, C, H, W) at grid (N, OH, OW, 2), or of three dimensions: (N, C, *out).

    Args:
        grid: (x, y) or (x, y, z) in [-1, 1].
        mode: "bilinear", "nearest" or "bicubic".
        padding_mode: "zeros", "border" or "reflection".
        align_corners: whether -1 and 1 are the centres of the corner elements, or their edges.
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
            "documentation of grid_sample for details.",
            stacklevel=2,
        )
        align_corners = False
    _check_grid(input, grid, mode)
    spatial = input.dim() - 2
    sizes = input.shape[2:]
    points = [
        _unnormalized(grid[..., spatial - 1 - d], sizes[d], align_corners) for d in range(spatial)
    ]
    if mode == "bicubic":
        return _sample_cubic(input, points, padding_mode, align_corners)
    points = [
        _into_bounds(point, size, padding_mode, align_corners)
        for point, size in zip(points, sizes, strict=True)
    ]
    if mode == "nearest":
        return _sample(input, [point.round() for point in points])
    return _sample_linear(input, points)
