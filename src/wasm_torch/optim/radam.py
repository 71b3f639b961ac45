"""RAdam."""

from __future__ import annotations

import math
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


class RAdam(PointwiseOptimizer):
    """Adam that starts as momentum, until v has seen enough steps (Liu et al. 2020)."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(("learning rate", lr), ("epsilon value", eps))
        check_betas(betas)
        check_options(("weight_decay value", weight_decay))
        refuse_options(self, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        })  # fmt: skip

    def _start(self, value: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"exp_avg": torch.zeros_like(value), "exp_avg_sq": torch.zeros_like(value)}

    def _update(
        self, value: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], step: int
    ) -> None:
        beta1, beta2 = (as_number(beta) for beta in group["betas"])
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        correction = 1 - beta2**step
        change = exp_avg / (1 - beta1**step) * as_number(group["lr"])
        longest = 2 / (1 - beta2) - 1  # of the moving average, in steps
        length = longest - 2 * step * beta2**step / correction
        if length > 5.0:
            change.mul_(math.sqrt(correction) / exp_avg_sq.sqrt().add_(group["eps"]))
            change.mul_(_rectification(length, longest))
        value.sub_(change)


def _rectification(length: float, longest: float) -> float:
    """What the variance of the adaptive rate is corrected by."""
    now = (length - 4) * (length - 2) * longest
    return math.sqrt(now / ((longest - 4) * (longest - 2) * length))
