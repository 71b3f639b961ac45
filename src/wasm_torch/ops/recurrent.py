"""Recurrent layers as a kernel for each layer and direction, without a gradient.

`nn.LSTM` and `nn.GRU` use these rows where none is recorded, and unroll their steps otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import op
from wasm_torch.ops.matmul import linear


def _swapped(t: Any) -> Any:
    """A view with the first two dims exchanged."""
    (d0, d1, d2), (s0, s1, s2) = t.shape, t.stride()
    return _C.as_strided(t, (d1, d0, d2), (s1, s0, s2), t.storage_offset())


def _part(t: Any, index: int) -> Any:
    """Entry ``index`` of the first dim."""
    offset = t.storage_offset() + index * t.stride(0)
    return _C.as_strided(t, tuple(t.shape[1:]), tuple(t.stride()[1:]), offset)


def _run(
    kernel: str,
    input: Any,
    states: Sequence[Any],
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, ...]:
    """The output, and the last states as (layers * directions, N, hidden)."""
    directions, each = 2 if bidirectional else 1, 4 if has_biases else 2
    if len(params) != num_layers * directions * each or (train and dropout > 0):
        raise RuntimeError(f"{kernel}: no kernel takes a projection of the state, nor dropout")
    batch, steps = input.shape[:2] if batch_first else (input.shape[1], input.shape[0])
    hidden = params[1].shape[1]
    finals = [k.empty(tuple(state.shape), input.dtype) for state in states]
    data, out = input, None
    for layer in range(num_layers):
        out = k.empty((steps, batch, directions * hidden), input.dtype)
        for direction in range(directions):
            index = layer * directions + direction
            w_ih, w_hh, *biases = params[index * each : (index + 1) * each]
            b_ih, b_hh = biases or (None, None)
            projected = linear.kernel(data, w_ih, b_ih)
            offset = out.storage_offset() + direction * hidden
            k.launch(
                kernel,
                _C.as_strided(out, (steps, batch, hidden), tuple(out.stride()), offset),
                *(_part(final, index) for final in finals),
                _swapped(projected) if batch_first and layer == 0 else projected,
                *(_part(state, index) for state in states),
                w_hh,
                b_hh,
                direction,
            )
        data = out
    return (_swapped(out) if batch_first else out), *finals


@op(
    "lstm.input(Tensor input, Tensor[] hx, Tensor[] params, bool has_biases, int num_layers, float "
    "dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor, Tensor)",
    family="recurrent",
    function=False,
    method=False,
)
def lstm(input: Any, hx: Any, params: Any, *options: Any) -> tuple[Any, ...]:
    """All layers of an LSTM: the output, and the last hidden and cell states."""
    return _run("lstm_sequence", input, hx, params, *options)


@op(
    "gru.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, int num_layers, float "
    "dropout, bool train, bool bidirectional, bool batch_first) -> (Tensor, Tensor)",
    family="recurrent",
    function=False,
    method=False,
)
def gru(input: Any, hx: Any, params: Any, *options: Any) -> tuple[Any, ...]:
    """All layers of a GRU: the output, and the last hidden states."""
    return _run("gru_sequence", input, [hx], params, *options)
