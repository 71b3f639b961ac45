"""Pooling over windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from ._arguments import batched, per_dim

Ints = int | Sequence[int]


def _stride(stride: Ints | None, kernel: list[int]) -> list[int]:
    """The stride, which is the kernel's size where none is given."""
    if stride is None or (not isinstance(stride, int) and len(stride) == 0):
        return kernel
    return per_dim(stride, len(kernel))


# ---- maximum -----------------------------------------------------------------------------------
def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """Maxima over windows of (N, C, L) or (C, L), and their int64 positions in L."""
    if input.dim() not in (2, 3):
        raise RuntimeError(
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got:{list(input.shape)}"
        )
    kernel = per_dim(kernel_size, 1)
    values, indices = torch.max_pool2d_with_indices(
        input.unsqueeze(-2), [1, *kernel], [1, *_stride(stride, kernel)],
        [0, *per_dim(padding, 1)], [1, *per_dim(dilation, 1)], ceil_mode,
    )  # fmt: skip
    return values.squeeze(-2), indices.squeeze(-2)


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """Maxima over windows of (N, C, H, W) or (C, H, W), and their positions in H * W."""
    kernel = per_dim(kernel_size, 2)
    return torch.max_pool2d_with_indices(
        input, kernel, _stride(stride, kernel), per_dim(padding, 2), per_dim(dilation, 2),
        ceil_mode,
    )  # fmt: skip


def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """Maxima over windows of (N, C, D, H, W) or (C, D, H, W), and their positions in D * H * W."""
    kernel = per_dim(kernel_size, 3)
    return torch.max_pool3d_with_indices(
        input, kernel, _stride(stride, kernel), per_dim(padding, 3), per_dim(dilation, 3),
        ceil_mode,
    )  # fmt: skip


def _values_unless_asked(with_indices: Callable, name: str, doc: str) -> Callable:
    """The function which returns the values alone unless `return_indices`."""

    def pool(
        input: Tensor,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        result = with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
        return result if return_indices else result[0]

    pool.__name__ = pool.__qualname__ = name
    pool.__doc__ = doc
    return pool


max_pool1d = _values_unless_asked(
    max_pool1d_with_indices, "max_pool1d", "Maxima over windows of (N, C, L) or (C, L)."
)
max_pool2d = _values_unless_asked(
    max_pool2d_with_indices, "max_pool2d", "Maxima over windows of (N, C, H, W) or (C, H, W)."
)
max_pool3d = _values_unless_asked(
    max_pool3d_with_indices, "max_pool3d", "Maxima over windows of (N, C, D, H, W)."
)


# ---- average -----------------------------------------------------------------------------------
def avg_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Means over windows of (N, C, L) or (C, L)."""
    if input.dim() not in (2, 3):
        raise RuntimeError("Expected 2 to 3 dimensions, but got " + str(input.dim()))
    kernel = per_dim(kernel_size, 1)
    pooled = torch.avg_pool2d(
        input.unsqueeze(-2), [1, *kernel], [1, *_stride(stride, kernel)],
        [0, *per_dim(padding, 1)], ceil_mode, count_include_pad,
    )  # fmt: skip
    return pooled.squeeze(-2)


def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Means over windows of (N, C, H, W) or (C, H, W)."""
    kernel = per_dim(kernel_size, 2)
    return torch.avg_pool2d(
        input, kernel, _stride(stride, kernel), per_dim(padding, 2), ceil_mode,
        count_include_pad, divisor_override,
    )  # fmt: skip


def avg_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Means over windows of (N, C, D, H, W) or (C, D, H, W)."""
    kernel = per_dim(kernel_size, 3)
    return torch.avg_pool3d(
        input, kernel, _stride(stride, kernel), per_dim(padding, 3), ceil_mode,
        count_include_pad, divisor_override,
    )  # fmt: skip


# ---- power average -----------------------------------------------------------------------------
def _lp_pool(
    input: Tensor, norm_type: float, kernel: list[int], average: Callable, arguments: tuple
) -> Tensor:
    """The p-norm over windows, from the mean of p-th powers."""
    means = average(input.pow(norm_type), kernel, *arguments)
    powers = torch.sign(means) * torch.relu(torch.abs(means)) * math.prod(kernel)
    return powers.pow(1.0 / norm_type)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: int,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The p-norm over windows of (N, C, L) or (C, L)."""
    kernel = per_dim(kernel_size, 1)
    return _lp_pool(input, norm_type, kernel, avg_pool1d, (stride, 0, ceil_mode))


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The p-norm over windows of (N, C, H, W) or (C, H, W)."""
    kernel = per_dim(kernel_size, 2)
    return _lp_pool(input, norm_type, kernel, avg_pool2d, (stride, 0, ceil_mode))


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The p-norm over windows of (N, C, D, H, W) or (C, D, H, W)."""
    kernel = per_dim(kernel_size, 3)
    return _lp_pool(input, norm_type, kernel, avg_pool3d, (stride, 0, ceil_mode))


# ---- adaptive ----------------------------------------------------------------------------------
def _output_size(input: Tensor, size: Any, spatial: int) -> list[int]:
    """The output size; None keeps the input's size in that dimension."""
    sizes = [size] * spatial if size is None or isinstance(size, int) else list(size)
    if len(sizes) == 1:
        sizes *= spatial
    if len(sizes) != spatial:
        raise RuntimeError(f"adaptive_pool{spatial}d: output_size must be {spatial}")
    own = input.shape[-spatial:]
    return [own[i] if sizes[i] is None else sizes[i] for i in range(spatial)]


def adaptive_avg_pool1d(input: Tensor, output_size: Ints) -> Tensor:
    """Means of (N, C, L) or (C, L) over `output_size` nearly equal windows."""
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"adaptive_avg_pool1d(): Expected 2 to 3 dimensions, but got {input.dim()}-dimensional "
            "tensor"
        )
    size = _output_size(input, output_size, 1)
    return torch._adaptive_avg_pool2d(input.unsqueeze(-2), [1, *size]).squeeze(-2)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means of (N, C, H, W) or (C, H, W) over nearly equal windows."""
    size = _output_size(input, output_size, 2)
    if size == [1, 1] and 0 not in input.shape:
        return input.mean((-1, -2), keepdim=True)
    return torch._adaptive_avg_pool2d(input, size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Means of (N, C, D, H, W) or (C, D, H, W) over nearly equal windows."""
    size = _output_size(input, output_size, 3)
    return torch._adaptive_avg_pool3d(input, size)


def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: Ints, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """Maxima of (N, C, L) or (C, L) over nearly equal windows, and their positions in L."""
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"adaptive_max_pool1d(): Expected 2 to 3 dimensions, but got {input.dim()}-dimensional "
            "tensor"
        )
    size = _output_size(input, output_size, 1)
    values, indices = torch.adaptive_max_pool2d(input.unsqueeze(-2), [1, *size])
    return values.squeeze(-2), indices.squeeze(-2)


def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """Maxima of (N, C, H, W) over nearly equal windows, and their positions in H * W."""
    return torch.adaptive_max_pool2d(input, _output_size(input, output_size, 2))


def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """Maxima of (N, C, D, H, W) over nearly equal windows, and their positions in D * H * W."""
    return torch.adaptive_max_pool3d(input, _output_size(input, output_size, 3))


def adaptive_max_pool1d(input: Tensor, output_size: Ints, return_indices: bool = False) -> Any:
    """Maxima of (N, C, L) or (C, L) over nearly equal windows."""
    result = adaptive_max_pool1d_with_indices(input, output_size)
    return result if return_indices else result[0]


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima of (N, C, H, W) or (C, H, W) over nearly equal windows."""
    result = adaptive_max_pool2d_with_indices(input, output_size)
    return result if return_indices else result[0]


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima of (N, C, D, H, W) or (C, D, H, W) over nearly equal windows."""
    result = adaptive_max_pool3d_with_indices(input, output_size)
    return result if return_indices else result[0]


# ---- unpooling ---------------------------------------------------------------------------------
def _unpool_size(
    input: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    output_size: Sequence[int] | None,
) -> list[int]:
    """The size of what was pooled: the given one if it is possible, or the smallest."""
    spatial = len(kernel)
    own = input.shape[-spatial:]
    default = [(own[d] - 1) * stride[d] + kernel[d] - 2 * padding[d] for d in range(spatial)]
    if output_size is None:
        return default
    sizes = list(output_size)
    if len(sizes) == spatial + 2:
        sizes = sizes[2:]
    if len(sizes) != spatial:
        raise ValueError(
            f"output_size should be a sequence containing {spatial} or {spatial + 2} elements, "
            f"but it has a length of '{len(sizes)}'"
        )
    for d in range(spatial):
        low, high = default[d] - stride[d], default[d] + stride[d]
        if not low < sizes[d] < high:
            raise ValueError(
                f'invalid output_size "{sizes}" (dim {d} must be between {low} and {high})'
            )
    return sizes


def _max_unpool(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    output_size: Sequence[int] | None,
    spatial: int,
) -> Tensor:
    """Puts each value where its index says, in a plane of zeros."""
    kernel = per_dim(kernel_size, spatial)
    size = _unpool_size(
        input, kernel, _stride(stride, kernel), per_dim(padding, spatial), output_size
    )
    input, unbatched = batched(input, spatial, f"max_unpool{spatial}d")
    if unbatched:
        indices = indices.unsqueeze(0)
    if indices.dtype != torch.int64:
        raise RuntimeError(
            "elements in indices should be type int64 but got: " + str(indices.dtype)
        )
    if indices.shape != input.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor "
            f"({list(input.shape)}) but got indices tensor with shape: {list(indices.shape)}"
        )
    planes = torch.zeros(*input.shape[:2], math.prod(size), dtype=input.dtype)
    filled = planes.scatter(2, indices.flatten(2), input.flatten(2))
    output = filled.reshape(*input.shape[:2], *size)
    return output.squeeze(0) if unbatched else output


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Undoes `max_pool1d`: values at their indices, zeros elsewhere."""
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 1)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Undoes `max_pool2d`: values at their indices, zeros elsewhere."""
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 2)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Undoes `max_pool3d`: values at their indices, zeros elsewhere."""
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 3)
