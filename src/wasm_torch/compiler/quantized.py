"""Weights in 8 bits: which tensors, how they are rounded, and the nodes that compute with them.

Each row of a weight (a filter of a convolution, an output of a linear layer, a row of an embedding)
has a scale, its largest magnitude divided by 127, and whole numbers from -127 to 127. What a node
reads besides is quantized in the same way as it comes (kernels/src/packed/int8.h).
"""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch._formats import channels_last_stride
from wasm_torch.compiler.packed import (
    NO_ACTIVATION,
    ONE_TAP,
    PackedConvolution,
    PackedLinear,
    as_points,
    with_channels_last,
)
from wasm_torch.ops._table import TABLE
from wasm_torch.ops.convolution import output_size, spatial, three

#: Weights of fewer elements stay as they are: their bytes and time do not count.
LEAST_ELEMENTS = 1024
#: Filters of a panel, and channels that lie side by side in one (kernels/src/packed/int8.h).
_PANEL, _QUAD = 8, 4
#: Products of a sum, beyond which 32 bits might not hold it.
_MOST_DEPTH = 133152
_LARGEST = 127


def can_be_quantized(kind: str, shape: tuple[int, ...], groups: int = 1) -> bool:
    """Whether the weight of a "convolution", "linear" layer or "embedding" is kept in 8 bits."""
    elements = 1
    for size in shape:
        elements *= size
    if elements < LEAST_ELEMENTS:
        return False
    if kind == "embedding":
        return True
    depth = elements // shape[0]
    return groups == 1 and shape[1] % _QUAD == 0 and depth <= _MOST_DEPTH


def scales(weight: Any) -> Any:
    """The scale of each row of a float32 tensor (rows, ...): (rows)."""
    largest = weight.reshape((weight.shape[0], -1)).abs().amax(1)
    # A row of zeros has any scale.
    return (largest / _LARGEST).where(largest > 0, 1.0)


def rounded(weight: Any, scale: Any) -> Any:
    """The whole numbers of a weight, as floats of its shape."""
    return (
        (weight / scale.reshape((-1, *(1,) * (weight.ndim - 1)))).round().clamp(-_LARGEST, _LARGEST)
    )


def in_panels(whole: Any) -> Any:
    """Whole numbers (filters, channels, *taps) as int8 (panels, taps, channels / 4, 8, 4)."""
    filters, channels = whole.shape[:2]
    panels = -(-filters // _PANEL)
    taps = whole.numel() // (filters * channels)
    dense = whole.reshape((filters, channels // _QUAD, _QUAD, taps))
    if filters % _PANEL:
        padding = dense.new_zeros((panels * _PANEL - filters, *dense.shape[1:]))
        dense = TABLE["cat"].kernel([dense, padding], 0)
    split = dense.reshape((panels, _PANEL, channels // _QUAD, _QUAD, taps))
    return split.permute((0, 4, 2, 1, 3)).contiguous().to(_C.int8)


class QuantizedConvolution:
    """activation(convolution(input, weight, bias) + residual) in 8 bits, channels last.

    ``kernel``: the sizes of the taps, which the panels of the weight do not tell.
    """

    name = "convolution"

    @staticmethod
    def kernel(
        input: Any,
        weight: Any,
        bias: Any,
        residual: Any,
        geometry: Any,
        activation: Any,
        scale: Any,
        weight_sums: Any,
        kernel: Any,
    ) -> Any:
        stride, padding, dilation, _ = geometry
        sizes = output_size(input.shape[2:], kernel, stride, padding, dilation)
        shape = (input.shape[0], scale.shape[0], *sizes)
        out = _C.empty(shape, input.dtype, channels_last_stride(shape))
        if out.numel() == 0:
            return out
        residual = None if residual is None else spatial(with_channels_last(residual))
        _C.launch(
            "conv_int8",
            *(spatial(out), spatial(with_channels_last(input)), weight, scale, weight_sums),
            *(bias, residual, *three(kernel, 1), 1),
            *(*three(stride, 1), *three(padding, 0), *three(dilation, 1)),
            *(activation or NO_ACTIVATION),
        )
        return out


class QuantizedLinear:
    """activation(input @ weight.T + bias + residual) in 8 bits."""

    name = "linear"

    @staticmethod
    def kernel(
        input: Any,
        weight: Any,
        bias: Any,
        residual: Any,
        geometry: None,
        activation: Any,
        scale: Any,
        weight_sums: Any,
        kernel: None,
    ) -> Any:
        out = _C.empty((*input.shape[:-1], scale.shape[0]), input.dtype)
        if out.numel() == 0:
            return out
        residual = None if residual is None else as_points(_C.contiguous(residual))
        _C.launch(
            "conv_int8",
            *(as_points(out), as_points(_C.contiguous(input)), weight, scale, weight_sums),
            *(bias, residual, 1, 1, 1, *ONE_TAP, *(activation or NO_ACTIVATION)),
        )
        return out


class QuantizedEmbedding:
    """The rows of a weight in 8 bits (count, width), times their scales (count, 1)."""

    name = "embedding"

    @staticmethod
    def kernel(weight: Any, indices: Any, scale: Any) -> Any:
        select = TABLE["embedding"].kernel
        rows, factors = (select(t, indices, -1, False, False) for t in (weight, scale))
        return _C.binary(_C.cast(rows, _C.float32), factors, _C.BINARY["mul"])


#: What stands for the rows whose weights are kept in 8 bits.
QUANTIZED: dict[str, Any] = {
    "convolution": QuantizedConvolution,
    "linear": QuantizedLinear,
    "embedding": QuantizedEmbedding,
}


def takes_epilogues(op: Any) -> bool:
    """Whether a node's op has a residual and an activation among its arguments, as these have."""
    return op in (PackedConvolution, PackedLinear, QuantizedConvolution, QuantizedLinear)
