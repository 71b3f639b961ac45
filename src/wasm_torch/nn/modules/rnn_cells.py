"""Single steps of recurrent layers."""

from __future__ import annotations

import math
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from .. import functional as F
from .. import init
from ..functional.recurrence import step
from ..parameter import Parameter
from .module import Module


class RNNCellBase(Module):
    """What the cells share: weight_ih (gates * hidden, input), weight_hh, bias_ih, bias_hh."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        options = {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(torch.empty((rows, input_size), **options))
        self.weight_hh = Parameter(torch.empty((rows, hidden_size), **options))
        for name in ("bias_ih", "bias_hh"):
            value = Parameter(torch.empty(rows, **options)) if bias else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new initial values, uniform within 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _run(self, mode: str, input: Tensor, state: tuple | None) -> tuple:
        """The next state, of inputs (N, input) or (input)."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        count = 2 if mode == "LSTM" else 1
        for index, value in enumerate(state or ()):
            if value.dim() not in (1, 2):
                what = "hidden" if count == 1 else f"hx[{index}]"
                raise ValueError(
                    f"{name}: Expected {what} to be 1D or 2D, got {value.dim()}D instead"
                )
        batched = input.dim() == 2
        rows = input if batched else input.unsqueeze(0)
        if state is None:
            zeros = torch.zeros(rows.shape[0], self.hidden_size, dtype=rows.dtype)
            state = (zeros,) * count
        elif not batched:
            state = tuple(s.unsqueeze(0) for s in state)
        projected = F.linear(rows, self.weight_ih, self.bias_ih)
        state = step(mode, projected, state, self.weight_hh, self.bias_hh, None)
        return state if batched else tuple(s.squeeze(0) for s in state)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        nonlinearity = self.__dict__.get("nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else text + f", nonlinearity={nonlinearity}"


class RNNCell(RNNCellBase):
    """h' = tanh or relu of (x W_ih + b_ih + h W_hh + b_hh)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """(N, input), (N, hidden) to (N, hidden)."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        mode = "RNN_RELU" if self.nonlinearity == "relu" else "RNN_TANH"
        return self._run(mode, input, None if hx is None else (hx,))[0]


class GRUCell(RNNCellBase):
    """One step of a GRU."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """(N, input), (N, hidden) to (N, hidden)."""
        return self._run("GRU", input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """One step of an LSTM."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """(N, input), (h, c) to (h', c'), all (N, hidden)."""
        return self._run("LSTM", input, hx)
