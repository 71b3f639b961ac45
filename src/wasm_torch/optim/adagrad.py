"""Adagrad."""

from __future__ import annotations

from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from .optimizer import ParamsT, PointwiseOptimizer, as_number, check_options, refuse_options


class Adagrad(PointwiseOptimizer):
    """Adagrad (Duchi et al. 2011): p decreases by lr * g / (sqrt(sum of g * g) + eps)."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_options(
            ("learning rate", lr),
            ("lr_decay value", lr_decay),
            ("weight_decay value", weight_decay),
            ("initial_accumulator_value value", initial_accumulator_value),
            ("epsilon value", eps),
        )
        refuse_options(self, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused,
        })  # fmt: skip
        if fused and foreach:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = {
                    "step": torch.tensor(0.0, dtype=torch.float32),
                    "sum": torch.full_like(parameter.detach(), initial_accumulator_value),
                }

    def _start(self, value: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        start = group["initial_accumulator_value"]
        return {"sum": torch.full_like(value, start)}

    def _update(
        self, value: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], step: int
    ) -> None:
        rate = as_number(group["lr"]) / (1 + (step - 1) * group["lr_decay"])
        state["sum"].addcmul_(grad, grad, value=1)
        value.addcdiv_(grad, state["sum"].sqrt().add_(group["eps"]), value=-rate)
