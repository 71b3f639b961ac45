"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wasm_torch as torch

from .optimizer import Optimizer, ParamsT, as_number, gradient_of, refuse_options, update


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Sutskever et al. 2013) if asked for.

    g = grad + weight_decay * p; the buffer becomes momentum * buffer + (1 - dampening) * g;
    p decreases by lr times the buffer, or, with `nesterov`, times g + momentum * buffer.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        if as_number(lr) < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if as_number(weight_decay) < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        refuse_options(self, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused,
        })  # fmt: skip

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters that have gradients; returns the closure's loss."""
        loss = self._evaluate(closure)
        for group in self.param_groups:
            lr, decay = as_number(group["lr"]), as_number(group["weight_decay"])
            momentum = group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                buffer, first = None, False
                if momentum != 0:
                    state = self.state[parameter]
                    buffer = state.get("momentum_buffer")
                    first = buffer is None
                    if first:
                        buffer = state["momentum_buffer"] = torch.zeros_like(parameter.detach())
                update(
                    "sgd", parameter, gradient_of(parameter), buffer, lr, momentum,
                    group["dampening"], decay, group["nesterov"], group["maximize"], first,
                )  # fmt: skip
        return loss
