"""Convolutions over one, two and three spatial dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import wasm_torch as torch
from wasm_torch import Tensor

from ._arguments import batched, per_dim
from .padding import pad as pad_input

Ints = int | Sequence[int]


def _same_padding(input: Tensor, weight: Tensor, dilation: list[int]) -> tuple[Tensor, list[int]]:
    """The input and the symmetric padding which together keep the spatial size.

    Where an odd number of elements must be added, the extra one is added to the end of the input.
    """
    spatial = weight.dim() - 2
    totals = [dilation[i] * (weight.shape[i + 2] - 1) for i in range(spatial)]
    if any(total % 2 for total in totals):
        extra: list[int] = []
        for total in reversed(totals):
            extra += [0, total % 2]
        input = pad_input(input, extra)
    return input, [total // 2 for total in totals]


def _conv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: str | Ints,
    dilation: Ints,
    groups: int,
    spatial: int,
) -> Tensor:
    """Convolves (N, C, *spatial) or (C, *spatial) with (O, C / groups, *kernel)."""
    function = f"conv{spatial}d"
    stride, dilation = per_dim(stride, spatial), per_dim(dilation, spatial)
    input, unbatched = batched(input, spatial, function)
    if isinstance(padding, str):
        if padding == "valid":
            padding = [0] * spatial
        elif padding == "same":
            if any(s != 1 for s in stride):
                raise RuntimeError("padding='same' is not supported for strided convolutions")
            input, padding = _same_padding(input, weight, dilation)
        else:
            raise RuntimeError(f"Invalid padding string: '{padding}'")
    output = torch.convolution(
        input, weight, bias, stride, per_dim(padding, spatial), dilation, False, [0] * spatial,
        groups,
    )  # fmt: skip
    return output.squeeze(0) if unbatched else output


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolves (N, C, L) or (C, L) with weight (O, C / groups, K), adding bias (O).

    `padding` may be "valid" (none) or "same" (keeps L; stride 1 only).
    """
    return _conv(input, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolves (N, C, H, W) or (C, H, W) with weight (O, C / groups, KH, KW), adding bias (O)."""
    return _conv(input, weight, bias, stride, padding, dilation, groups, 2)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolves (N, C, D, H, W) or (C, D, H, W) with weight (O, C / groups, KD, KH, KW)."""
    return _conv(input, weight, bias, stride, padding, dilation, groups, 3)


def _conv_transpose(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
    spatial: int,
) -> Tensor:
    """The gradient of a convolution with respect to its input; weight is (C, O / groups, *K)."""
    input, unbatched = batched(input, spatial, f"conv_transpose{spatial}d")
    output = torch.convolution(
        input, weight, bias, per_dim(stride, spatial), per_dim(padding, spatial),
        per_dim(dilation, spatial), True, per_dim(output_padding, spatial), groups,
    )  # fmt: skip
    return output.squeeze(0) if unbatched else output


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Transposed convolution of (N, C, L) or (C, L) with weight (C, O / groups, K)."""
    return _conv_transpose(
        input, weight, bias, stride, padding, output_padding, groups, dilation, 1
    )


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Transposed convolution of (N, C, H, W) or (C, H, W) with weight (C, O / groups, KH, KW)."""
    return _conv_transpose(
        input, weight, bias, stride, padding, output_padding, groups, dilation, 2
    )


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Transposed convolution of (N, C, D, H, W) with weight (C, O / groups, KD, KH, KW)."""
    return _conv_transpose(
        input, weight, bias, stride, padding, output_padding, groups, dilation, 3
    )


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Convolves (T, N, C) with weight (K, C, O), adding bias (O)."""
    output = conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad)
    return output.permute(2, 0, 1)
