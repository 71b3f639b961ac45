"""Sliding windows as columns, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import wasm_torch as torch
from wasm_torch import Tensor

from ._arguments import per_dim
from .padding import pad

Ints = int | Sequence[int]


def _windows(
    size: Sequence[int], kernel: list[int], dilation: list[int], padding: list[int],
    stride: list[int],
) -> tuple[list[int], list[int], Tensor]:  # fmt: skip
    """Padded (H, W), number of windows (OH, OW), and the flat positions (KH * KW, OH * OW) of
    every element of every window in the padded plane."""
    padded = [size[d] + 2 * padding[d] for d in range(2)]
    counts = [(padded[d] - dilation[d] * (kernel[d] - 1) - 1) // stride[d] + 1 for d in range(2)]
    along = []
    for d in range(2):
        taps = torch.arange(kernel[d]) * dilation[d]
        starts = torch.arange(max(counts[d], 0)) * stride[d]
        along.append(taps.unsqueeze(1) + starts)  # (K, O)
    rows = along[0].reshape(kernel[0], 1, -1, 1) * padded[1]
    positions = rows + along[1].reshape(1, kernel[1], 1, -1)
    return padded, counts, positions.reshape(math.prod(kernel), -1)


def _check_positive(**values: list[int]) -> None:
    for name, value in values.items():
        if any(v <= 0 for v in value):
            raise RuntimeError(
                f"{name} should be greater than zero, but got {name}_height: {value[0]} "
                f"{name}_width: {value[1]}"
            )


def unfold(
    input: Tensor, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Tensor:
    """The windows of (N, C, H, W) or (C, H, W) as columns: (N, C * KH * KW, windows)."""
    kernel, dilation = per_dim(kernel_size, 2), per_dim(dilation, 2)
    padding, stride = per_dim(padding, 2), per_dim(stride, 2)
    if input.dim() not in (3, 4):
        raise RuntimeError(
            f"Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(input.shape)}"
        )
    _check_positive(kernel=kernel, dilation=dilation, stride=stride)
    planes = input if input.dim() == 4 else input.unsqueeze(0)
    _, counts, positions = _windows(planes.shape[2:], kernel, dilation, padding, stride)
    if min(counts) < 1:
        raise RuntimeError(
            f"Given input with spatial size ({planes.shape[2]}, {planes.shape[3]}), "
            f"kernel_size=({kernel[0]}, {kernel[1]}), dilation=({dilation[0]}, {dilation[1]}), "
            f"padding=({padding[0]}, {padding[1]}), calculated "
            f"shape of the array of sliding blocks as ({counts[0]}, {counts[1]}), but its "
            "components must be at least one."
        )
    padded = pad(planes, [padding[1], padding[1], padding[0], padding[0]])
    columns = padded.flatten(2).index_select(2, positions.reshape(-1))
    batch, channels = planes.shape[:2]
    columns = columns.reshape(batch, channels * math.prod(kernel), positions.shape[1])
    return columns if input.dim() == 4 else columns.squeeze(0)


def fold(
    input: Tensor,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Tensor:
    """Sums columns (N, C * KH * KW, windows) back into the planes (N, C, H, W) they came from."""
    output, kernel = per_dim(output_size, 2), per_dim(kernel_size, 2)
    dilation, padding, stride = per_dim(dilation, 2), per_dim(padding, 2), per_dim(stride, 2)
    if input.dim() not in (2, 3):
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(input.shape)}"
        )
    _check_positive(kernel=kernel, dilation=dilation, stride=stride)
    columns = input if input.dim() == 3 else input.unsqueeze(0)
    taps = math.prod(kernel)
    if columns.shape[1] % taps:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={columns.shape[1]} and kernel_size=({kernel[0]}, {kernel[1]})."
        )
    padded, counts, positions = _windows(output, kernel, dilation, padding, stride)
    if math.prod(counts) != columns.shape[2]:
        raise RuntimeError(
            f"Given output_size=({output[0]}, {output[1]}), kernel_size=({kernel[0]}, "
            f"{kernel[1]}), dilation=({dilation[0]}, {dilation[1]}), padding=({padding[0]}, "
            f"{padding[1]}), stride=({stride[0]}, {stride[1]}), expected size of input's dimension "
            f"2 to match the calculated number of sliding blocks {counts[0]} * {counts[1]} = "
            f"{math.prod(counts)}, but got input.size(2)={columns.shape[2]}."
        )
    batch, channels = columns.shape[0], columns.shape[1] // taps
    planes = torch.zeros(batch, channels, math.prod(padded), dtype=input.dtype)
    planes = planes.index_add(
        2, positions.reshape(-1), columns.reshape(batch, channels, positions.numel())
    ).reshape(batch, channels, *padded)
    planes = pad(planes, [-padding[1], -padding[1], -padding[0], -padding[0]])
    return planes if input.dim() == 3 else planes.squeeze(0)
