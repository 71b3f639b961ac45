"""ATen operations whose arguments differ from those of wasm_torch's own.

Each adapter takes the arguments of the ATen schema by name and calls the operations that give the
same result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wasm_torch
from wasm_torch.nn import functional
from wasm_torch.nn.functional.recurrence import LayerWeights, recurrent

#: Qualified ATen name -> what runs it.
ADAPTERS: dict[str, Callable[..., Any]] = {}


def _adapter(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            ADAPTERS[name] = function
        return function

    return declare


@_adapter("_native_batch_norm_legit_no_training")
def _batch_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    momentum: float,
    eps: float,
) -> Any:
    row = wasm_torch.ops.TABLE["native_batch_norm"]
    return row(input, weight, bias, running_mean, running_var, False, momentum, eps)


@_adapter("_native_batch_norm_legit.no_stats")
def _batch_norm_of_batch(
    input: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float
) -> Any:
    row = wasm_torch.ops.TABLE["native_batch_norm"]
    return row(input, weight, bias, None, None, True, momentum, eps)


@_adapter("scaled_dot_product_attention")
def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa
    )


def _recurrent(
    mode: str,
    input: Any,
    state: tuple[Any, ...],
    params: Any,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, ...]:
    each = len(params) // (num_layers * (2 if bidirectional else 1))
    groups = [params[i : i + each] for i in range(0, len(params), each)]
    names = ("w_ih", "w_hh", "b_ih", "b_hh", "w_hr") if has_biases else ("w_ih", "w_hh", "w_hr")
    weights = [LayerWeights(**dict(zip(names, group, strict=False))) for group in groups]
    output, final = recurrent(
        mode, input, state, weights, dropout, train, bidirectional, batch_first
    )
    return (output, *final)


@_adapter("lstm.input")
def _lstm(input: Any, hx: Any, **options: Any) -> tuple[Any, ...]:
    return _recurrent("LSTM", input, tuple(hx), **options)


@_adapter("gru.input")
def _gru(input: Any, hx: Any, **options: Any) -> tuple[Any, ...]:
    return _recurrent("GRU", input, (hx,), **options)


@_adapter("copy")
def _copy(self: Any, src: Any) -> Any:
    return src.to(self.dtype).expand(tuple(self.shape)).clone()


@_adapter("lift_fresh_copy", "detach_copy", "alias_copy")
def _clone(self: Any) -> Any:
    return self.clone()


@_adapter("upsample_nearest2d.vec", "upsample_nearest1d.vec")
def _nearest(input: Any, output_size: Any = None, scale_factors: Any = None) -> Any:
    scale = None if scale_factors is None else tuple(scale_factors)
    size = None if output_size is None else tuple(output_size)
    return functional.interpolate(input, size=size, scale_factor=scale, mode="nearest")


@_adapter("upsample_bilinear2d.vec")
def _bilinear(input: Any, output_size: Any, align_corners: bool, scale_factors: Any = None) -> Any:
    scale = None if scale_factors is None else tuple(scale_factors)
    size = None if output_size is None else tuple(output_size)
    return functional.interpolate(
        input, size=size, scale_factor=scale, mode="bilinear", align_corners=align_corners
    )


#: Interpolations and paddings of `grid_sample` by torch's numbers.
_MODES, _PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


@_adapter("grid_sampler_2d", "grid_sampler_3d")
def _grid_sampler(
    input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    mode, padding = _MODES[interpolation_mode], _PADDINGS[padding_mode]
    return functional.grid_sample(input, grid, mode, padding, align_corners)


@_adapter("_cdist_forward")
def _cdist(x1: Any, x2: Any, p: float, compute_mode: int | None) -> Any:
    return wasm_torch.cdist(x1, x2, p)


@_adapter("_pdist_forward")
def _pdist(self: Any, p: float = 2.0) -> Any:
    return functional.pdist(self, p)


@_adapter("__lshift__.Scalar", "__lshift__.Tensor")
def _left_shift(self: Any, other: Any) -> Any:
    return self << other


@_adapter("__rshift__.Scalar", "__rshift__.Tensor")
def _right_shift(self: Any, other: Any) -> Any:
    return self >> other


@_adapter("view", "_unsafe_view", "reshape")
def _view(self: Any, size: Any) -> Any:
    # Strides here may differ from torch's, for instance those of attention: a copy where needed.
    return self.reshape(tuple(size))


@_adapter("_assert_tensor_metadata")
def _known_metadata(**_: Any) -> None:
    """torch.export has checked shape and dtype, which are fixed."""
