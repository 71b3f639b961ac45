"""Recurrent layers."""

from __future__ import annotations

import math
import warnings
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from .. import init
from ..functional.recurrence import LayerWeights, recurrent, run_layers
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """What RNN, LSTM and GRU share.

    The parameters of layer k are weight_ih_lk (gates * hidden, input), weight_hh_lk, bias_ih_lk
    and bias_hh_lk, with the ending _reverse for the second direction.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_arguments(dropout)
        options = {"device": device, "dtype": dtype}
        gates = _GATES[mode] * hidden_size
        real_hidden = proj_size if proj_size > 0 else hidden_size
        directions = 2 if bidirectional else 1
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            width = input_size if layer == 0 else real_hidden * directions
            for direction in range(directions):
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                shapes = {"weight_ih": (gates, width), "weight_hh": (gates, real_hidden)}
                if bias:
                    shapes["bias_ih"] = (gates,)
                    shapes["bias_hh"] = (gates,)
                if proj_size > 0:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(torch.empty(shape, **options)))
                self._all_weights.append([name + suffix for name in shapes])
        self.reset_parameters()

    def _check_arguments(self, dropout: Any) -> None:
        if (
            isinstance(dropout, bool)
            or not isinstance(dropout, int | float)
            or not (0 <= dropout <= 1)
        ):
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                "element being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                f"num_layers={self.num_layers}",
                stacklevel=4,
            )
        if not isinstance(self.hidden_size, int):
            raise TypeError(
                f"hidden_size should be of type int, got: {type(self.hidden_size).__name__}"
            )
        if self.hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if self.num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if self.proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Nothing to do: the parameters need not lie next to each other."""

    def reset_parameters(self) -> None:
        """Draws new initial values, uniform within 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _weights(self) -> list[LayerWeights]:
        """The parameters of each layer and direction."""
        # weight_ih_l0_reverse is w_ih.
        return [
            LayerWeights(
                **{name[0] + name.partition("_l")[0][-3:]: getattr(self, name) for name in names}
            )
            for names in self._all_weights
        ]

    def _zero_state(self, batch: int, dtype: Any) -> tuple:
        count = self.num_layers * (2 if self.bidirectional else 1)
        hidden = self.proj_size if self.proj_size > 0 else self.hidden_size
        shapes = [hidden] if self.mode != "LSTM" else [hidden, self.hidden_size]
        return tuple(torch.zeros(count, batch, size, dtype=dtype) for size in shapes)

    def _check_state(self, state: tuple, batch: int) -> None:
        names = ("hidden size",) if self.mode != "LSTM" else ("hidden[0] size", "hidden[1] size")
        expected = [tuple(s.shape) for s in self._zero_state(batch, None)]
        for name, have, want in zip(names, state, expected, strict=True):
            if tuple(have.shape) != want:
                raise RuntimeError(f"Expected {name} {want}, got {list(have.shape)}")

    def _check_input(self, features: int) -> None:
        if features != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{features}"
            )

    def _forward(self, input: Any, state: tuple | None) -> tuple[Any, tuple]:
        """The output and the final state; state tensors are (layers * directions, B, H)."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, state)
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.dim()}D instead"
            )
        batched = input.dim() == 3
        if not batched:
            input = input.unsqueeze(1)
            if state is not None:
                if any(s.dim() != 2 for s in state):
                    raise RuntimeError(self._state_dims_error(False, state))
                state = tuple(s.unsqueeze(1) for s in state)
        elif state is not None and any(s.dim() != 3 for s in state):
            raise RuntimeError(self._state_dims_error(True, state))
        batch_first = batched and self.batch_first
        length, batch, features = input.shape
        if batch_first:
            length, batch = batch, length
        self._check_input(features)
        if state is None:
            state = self._zero_state(batch, input.dtype)
        else:
            self._check_state(state, batch)
        if length == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        output, final = recurrent(
            self.mode, input, state, self._weights(), self.dropout, self.training,
            self.bidirectional, batch_first,
        )  # fmt: skip
        if not batched:
            return output.squeeze(1), tuple(s.squeeze(1) for s in final)
        return output, final

    def _state_dims_error(self, batched: bool, state: tuple) -> str:
        want = 3 if batched else 2
        kind = "batched 3-D" if batched else "unbatched 2-D"
        if self.mode == "LSTM":
            return (
                f"For {kind} input, hx and cx should also be {want}-D but got "
                f"({state[0].dim()}-D, {state[1].dim()}-D) tensors"
            )
        return f"For {kind} input, hx should also be {want}-D but got {state[0].dim()}-D tensor"

    def _forward_packed(self, input: PackedSequence, state: tuple | None) -> tuple[Any, tuple]:
        sizes = input.batch_sizes.tolist()
        self._check_input(input.data.shape[-1])
        if state is None:
            state = self._zero_state(sizes[0], input.data.dtype)
        else:
            self._check_state(state, sizes[0])
            if input.sorted_indices is not None:
                state = tuple(s.index_select(1, input.sorted_indices) for s in state)
        data, final = run_layers(
            self.mode, input.data, sizes, state, self._weights(), self.dropout, self.training,
            self.bidirectional,
        )  # fmt: skip
        if input.unsorted_indices is not None:
            final = tuple(s.index_select(1, input.unsorted_indices) for s in final)
        packed = PackedSequence(
            data, input.batch_sizes, input.sorted_indices, input.unsorted_indices
        )
        return packed, final

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text


class RNN(RNNBase):
    """The simple recurrent network (Elman 1990) with tanh or relu.

    Takes `input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True,
    batch_first=False, dropout=0.0, bidirectional=False`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
        if nonlinearity not in modes:
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        self.__dict__["nonlinearity"] = nonlinearity
        super().__init__(modes[nonlinearity], input_size, hidden_size, num_layers, *args, **kwargs)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """(L, N, input) and (layers * directions, N, hidden) to the output and the last state."""
        output, final = self._forward(input, None if hx is None else (hx,))
        return output, final[0]


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """(L, N, input) and (layers * directions, N, hidden) to the output and the last state."""
        output, final = self._forward(input, None if hx is None else (hx,))
        return output, final[0]


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber 1997)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def forward(
        self, input: Any, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        """(L, N, input) and (h, c) to the output and the last (h, c)."""
        return self._forward(input, None if hx is None else tuple(hx))
