"""ASGD."""

from __future__ import annotations

from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from .optimizer import ParamsT, PointwiseOptimizer, as_number, check_options, refuse_options


class ASGD(PointwiseOptimizer):
    """Averaged gradient descent (Polyak & Juditsky 1992).

    ``state[p]["ax"]`` is the mean of p over the steps after ``t0``.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_options(("learning rate", lr), ("weight_decay value", weight_decay))
        refuse_options(self, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        })  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for entry in self.state.values():  # numbers, in an old checkpoint
            for name in ("eta", "mu"):
                if isinstance(entry.get(name), int | float):
                    entry[name] = torch.tensor(float(entry[name]), dtype=torch.float32)

    def _start(self, value: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "eta": torch.tensor(float(as_number(group["lr"])), dtype=torch.float32),
            "mu": torch.tensor(1.0, dtype=torch.float32),
            "ax": torch.zeros_like(value),
        }

    def _update(
        self, value: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], step: int
    ) -> None:
        lr, lambd = as_number(group["lr"]), group["lambd"]
        eta, mu, mean = state["eta"].item(), state["mu"].item(), state["ax"]
        value.mul_(1 - lambd * eta).add_(grad, alpha=-eta)
        if mu == 1:
            mean.copy_(value)
        else:
            mean.add_(value.sub(mean).mul_(mu))
        state["eta"].fill_(lr / (1 + lambd * lr * step) ** group["alpha"])
        state["mu"].fill_(1 / max(1, step - group["t0"]))
