"""RMSprop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wasm_torch as torch

from .optimizer import (
    Optimizer,
    ParamsT,
    as_number,
    gradient_of,
    next_step,
    refuse_options,
    steps_as_tensors,
    update,
)


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012; centered: Graves 2013).

    p decreases by lr * g / (sqrt(running mean of g * g) + eps), or by a momentum of that. With
    `centered` the square of the running mean of g is subtracted under the root.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not as_number(lr) >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        if not momentum >= 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if not alpha >= 0.0:
            raise ValueError(f"Invalid alpha value: {alpha}")
        refuse_options(self, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable,
        })  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        steps_as_tensors(self)

    def _state(self, parameter: Any, group: dict[str, Any]) -> dict[str, Any]:
        """The parameter's state, made at its first step."""
        state = self.state[parameter]
        if not state:
            value = parameter.detach()
            state["step"] = torch.tensor(0.0, dtype=torch.float32)
            state["square_avg"] = torch.zeros_like(value)
            if group["momentum"] > 0:
                state["momentum_buffer"] = torch.zeros_like(value)
            if group["centered"]:
                state["grad_avg"] = torch.zeros_like(value)
        return state

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters that have gradients; returns the closure's loss."""
        loss = self._evaluate(closure)
        for group in self.param_groups:
            lr = as_number(group["lr"])
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self._state(parameter, group)
                next_step(state)
                update(
                    "rmsprop", parameter, gradient_of(parameter), state["square_avg"],
                    state["momentum_buffer"] if group["momentum"] > 0 else None,
                    state["grad_avg"] if group["centered"] else None,
                    lr, group["alpha"], group["eps"], group["weight_decay"], group["momentum"],
                    group["maximize"],
                )  # fmt: skip
        return loss
