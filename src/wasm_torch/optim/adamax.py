"""Adamax."""

from __future__ import annotations

from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from .optimizer import (
    ParamsT,
    PointwiseOptimizer,
    as_number,
    check_betas,
    check_options,
    refuse_options,
)


class Adamax(PointwiseOptimizer):
    """Adam with the infinity norm in place of the root of v (Kingma & Ba 2015, section 7.1)."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_options(("learning rate", lr), ("epsilon value", eps))
        check_betas(betas)
        check_options(("weight_decay value", weight_decay))
        refuse_options(self, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        })  # fmt: skip

    def _start(self, value: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"exp_avg": torch.zeros_like(value), "exp_inf": torch.zeros_like(value)}

    def _update(
        self, value: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], step: int
    ) -> None:
        beta1, beta2 = (as_number(beta) for beta in group["betas"])
        exp_avg, exp_inf = state["exp_avg"], state["exp_inf"]
        exp_avg.lerp_(grad, 1 - beta1)
        exp_inf.copy_(torch.maximum(exp_inf.mul_(beta2), grad.abs().add_(group["eps"])))
        rate = as_number(group["lr"]) / (1 - beta1**step)
        value.addcdiv_(exp_avg, exp_inf, value=-rate)
