"""Recurrent networks: their steps, and whole sequences step by step or as one operation."""

from __future__ import annotations

from typing import Any, NamedTuple

import wasm_torch as torch
from wasm_torch import Tensor
from wasm_torch.ops import TABLE

from ._arguments import records_gradient
from .dropout import dropout
from .linear import linear


class LayerWeights(NamedTuple):
    """The parameters of one layer in one direction; w_hr projects the state of an LSTM."""

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None


# ---- one step ----------------------------------------------------------------------------------
def _rnn_step(projected: Tensor, state: tuple, w_hh: Tensor, b_hh: Any, relu: bool) -> tuple:
    """h' = act(x W_ih + b_ih + h W_hh + b_hh); `projected` is x W_ih + b_ih."""
    total = projected + linear(state[0], w_hh, b_hh)
    return (total.relu() if relu else total.tanh(),)


def _lstm_step(projected: Tensor, state: tuple, w_hh: Tensor, b_hh: Any, w_hr: Any) -> tuple:
    """Gates i, f, g, o (Hochreiter & Schmidhuber 1997; projection: Sak et al. 2014)."""
    hidden, cell = state
    gates = projected + linear(hidden, w_hh, b_hh)
    i, f, g, o = gates.chunk(4, -1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    hidden = o.sigmoid() * cell.tanh()
    return (hidden if w_hr is None else linear(hidden, w_hr)), cell


def _gru_step(projected: Tensor, state: tuple, w_hh: Tensor, b_hh: Any) -> tuple:
    """Gates r, z, n (Cho et al. 2014), the reset gate after the product as in cuDNN."""
    hidden = state[0]
    x_r, x_z, x_n = projected.chunk(3, -1)
    h_r, h_z, h_n = linear(hidden, w_hh, b_hh).chunk(3, -1)
    reset, update = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    new = (x_n + reset * h_n).tanh()
    return (new + update * (hidden - new),)


def step(mode: str, projected: Tensor, state: tuple, w_hh: Tensor, b_hh: Any, w_hr: Any) -> tuple:
    if mode == "LSTM":
        return _lstm_step(projected, state, w_hh, b_hh, w_hr)
    if mode == "GRU":
        return _gru_step(projected, state, w_hh, b_hh)
    return _rnn_step(projected, state, w_hh, b_hh, mode == "RNN_RELU")


# ---- whole sequences ---------------------------------------------------------------------------
def scan(
    mode: str, input: Tensor, sizes: list[int], state: tuple, weights: LayerWeights, reverse: bool
) -> tuple[Tensor, tuple]:
    """One layer in one direction.

    Args:
        input: (sum of sizes, features): the steps one after the other, each of its batch size.
        sizes: the batch size of each step, never rising.
        state: tensors of (batch, hidden).

    Returns:
        The outputs in the layout of the input, and the final state of each sequence.
    """
    # One product for all steps.
    projected = linear(input, weights.w_ih, weights.b_ih).split(sizes)
    outputs: list[Any] = [None] * len(sizes)
    finished: list[tuple] = []  # states of sequences that have ended, shortest first
    order = range(len(sizes) - 1, -1, -1) if reverse else range(len(sizes))
    # In reverse, longer sequences begin first; the others join with their initial state.
    current = tuple(s[: sizes[-1]] for s in state) if reverse else state
    for t in order:
        size, have = sizes[t], current[0].shape[0]
        if size > have:
            current = tuple(
                torch.cat([c, s[have:size]]) for c, s in zip(current, state, strict=True)
            )
        elif size < have:
            finished.append(tuple(c[size:] for c in current))
            current = tuple(c[:size] for c in current)
        current = step(mode, projected[t], current, weights.w_hh, weights.b_hh, weights.w_hr)
        outputs[t] = current[0]
    parts = [current, *reversed(finished)]
    final = tuple(
        torch.cat(list(pieces)) if len(parts) > 1 else pieces[0]
        for pieces in zip(*parts, strict=True)
    )
    return torch.cat(outputs), final


def run_layers(
    mode: str,
    data: Tensor,
    sizes: list[int],
    state: tuple,
    weights: list[LayerWeights],
    dropout_p: float,
    training: bool,
    bidirectional: bool,
) -> tuple[Tensor, tuple]:
    """All layers step by step: data as `scan` takes it, state (layers * directions, B, hidden)."""
    directions = 2 if bidirectional else 1
    layers = len(weights) // directions
    finals: list[tuple] = []
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            output, final = scan(
                mode, data, sizes, tuple(s[index] for s in state), weights[index], direction == 1
            )
            outputs.append(output)
            finals.append(final)
        data = torch.cat(outputs, -1) if directions == 2 else outputs[0]
        if dropout_p > 0 and layer < layers - 1:
            data = dropout(data, dropout_p, training)
    return data, tuple(torch.stack(list(parts)) for parts in zip(*finals, strict=True))


def recurrent(
    mode: str,
    input: Tensor,
    state: tuple,
    weights: list[LayerWeights],
    dropout_p: float,
    training: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, tuple]:
    """All layers over sequences of one length: by one operation where no gradient is recorded.

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input: (L, N, features), or (N, L, features) with `batch_first`.
        state: tensors of (layers * directions, N, hidden).
        weights: of each layer and direction.

    Returns:
        The output, laid out as the input, and the last state.
    """
    dropout_p = dropout_p if training else 0.0
    if dropout_p == 0 and _is_fused(mode, input, state, weights):
        has_biases = weights[0].b_ih is not None
        parameters = [t for layer in weights for t in layer if t is not None]
        layers = len(weights) // (2 if bidirectional else 1)
        row, first = (
            (TABLE["lstm.input"], list(state)) if mode == "LSTM" else (TABLE["gru.input"], state[0])
        )
        output, *final = row(
            input, first, parameters, has_biases, layers, 0.0, False, bidirectional, batch_first
        )
        return output, tuple(final)
    steps = input.transpose(0, 1) if batch_first else input
    length, batch, features = steps.shape
    data, final = run_layers(
        mode, steps.reshape(length * batch, features), [batch] * length, state, weights, dropout_p,
        training, bidirectional,
    )  # fmt: skip
    output = data.reshape(length, batch, data.shape[-1])
    return (output.transpose(0, 1) if batch_first else output), final


def _is_fused(mode: str, input: Tensor, state: tuple, weights: list[LayerWeights]) -> bool:
    if mode not in ("LSTM", "GRU") or any(layer.w_hr is not None for layer in weights):
        return False
    tensors = [input, *state, *(t for layer in weights for t in layer if t is not None)]
    if any(t.dtype is not torch.float32 for t in tensors):
        return False
    return not records_gradient(*tensors)
