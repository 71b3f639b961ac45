"""Convolutions and linear layers over weights that are packed once, when a model is loaded.

The weights lie in the file as torch has them; the model's ``prepare`` packs each in its place
(kernels/src/packed/packed.h). Tensors are channels last here, whatever came in: what follows keeps
that order, so layouts change at the edges of a model and where a kernel wants rows.
"""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch._formats import channels_last_stride, suggests_channels_last
from wasm_torch.ops._table import TABLE
from wasm_torch.ops.convolution import output_size, spatial, three

#: Positions of these among the arguments of the nodes below. The activation is (unary operator, p0,
#: p1) or None; the geometry beside it (stride, padding, dilation, groups), of a linear layer None.
RESIDUAL, ACTIVATION = 3, 5

NO_ACTIVATION = (-1, 0.0, 0.0)
ONE_TAP = (1, 1, 1, 1, 0, 0, 0, 1, 1, 1)


class PackedConvolution:
    """activation(convolution(input, weight, bias) + residual), channels last."""

    name = "convolution"

    @staticmethod
    def kernel(
        input: Any, weight: Any, bias: Any, residual: Any, geometry: Any, activation: Any
    ) -> Any:
        stride, padding, dilation, groups = geometry
        sizes = output_size(input.shape[2:], weight.shape[2:], stride, padding, dilation)
        shape = (input.shape[0], weight.shape[0], *sizes)
        out = _C.empty(shape, input.dtype, channels_last_stride(shape))
        if out.numel() == 0:
            return out
        residual = None if residual is None else spatial(with_channels_last(residual))
        numbers = (groups, *three(stride, 1), *three(padding, 0), *three(dilation, 1))
        _C.launch(
            "conv_packed",
            *(spatial(out), spatial(with_channels_last(input)), spatial(weight), bias, residual),
            *(*numbers, *(activation or NO_ACTIVATION)),
        )
        return out


class PackedLinear:
    """activation(input @ weight.T + bias + residual): a convolution with one tap over rows."""

    name = "linear"

    @staticmethod
    def kernel(
        input: Any, weight: Any, bias: Any, residual: Any, geometry: None, activation: Any
    ) -> Any:
        out = _C.empty((*input.shape[:-1], weight.shape[0]), input.dtype)
        if out.numel() == 0:
            return out
        residual = None if residual is None else as_points(_C.contiguous(residual))
        shape = (weight.shape[0], weight.shape[1], 1, 1, 1)
        taps = _C.as_strided(weight, shape, (weight.shape[1], 1, 1, 1, 1), 0)
        _C.launch(
            "conv_packed",
            *(as_points(out), as_points(_C.contiguous(input)), taps, bias, residual),
            *(*ONE_TAP, *(activation or NO_ACTIVATION)),
        )
        return out


class Reshape:
    """A view where the strides allow it, as they do in the model's own layout; else a copy."""

    name = "view"

    @staticmethod
    def kernel(t: Any, size: Any) -> Any:
        view = TABLE["view"].kernel
        try:
            return view(t, size)
        except RuntimeError:
            return view(_C.contiguous(t), size)


class IndexSelect:
    """The slices at an index, channels last where the tensor is."""

    name = "index_select"

    @staticmethod
    def kernel(t: Any, dim: int, index: Any) -> Any:
        select = TABLE["index_select"].kernel
        if not suggests_channels_last(t):
            return select(t, dim, index)
        last, dim = t.ndim - 1, dim % t.ndim
        inner = _permuted(t, (0, *range(2, t.ndim), 1))
        chosen = select(inner, (0, last, *range(1, last))[dim], index)
        return _permuted(chosen, (0, last, *range(1, last)))


def _permuted(t: Any, dims: tuple[int, ...]) -> Any:
    size, stride = tuple(t.shape), t.stride()
    order = tuple(size[d] for d in dims), tuple(stride[d] for d in dims)
    return _C.as_strided(t, *order, t.storage_offset())


#: Rows that give up the layout of their operand, and what stands for them.
KEEPING = {"view": Reshape, "index_select": IndexSelect}

#: The rows that have a packed form.
PACKED: dict[str, type[PackedConvolution] | type[PackedLinear]] = {
    "convolution": PackedConvolution,
    "linear": PackedLinear,
}


def with_channels_last(t: Any) -> Any:
    """The tensor with its channels side by side; others than those of one point lie apart.

    That strides say so, and not sizes, makes the choice the same whatever the sizes.
    """
    if t.shape[1] == 1 or (t.stride(1) == 1 and t.stride(-1) >= t.shape[1]):
        return t
    copy = _C.empty(tuple(t.shape), t.dtype, channels_last_stride(tuple(t.shape)))
    _C.copy_into(copy, t)
    return copy


def as_points(t: Any) -> Any:
    """A dense (..., C) as the points of a line: (1, C, 1, 1, rows)."""
    channels = t.shape[-1]
    rows = 1
    for size in t.shape[:-1]:
        rows *= size
    return _C.as_strided(t, (1, channels, 1, 1, rows), (0, 1, 0, 0, channels), t.storage_offset())
