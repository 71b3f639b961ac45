"""NAdam."""

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


class NAdam(PointwiseOptimizer):
    """Adam with Nesterov's momentum, whose coefficient grows with the steps (Dozat 2016)."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(("learning rate", lr), ("epsilon value", eps))
        check_betas(betas)
        check_options(
            ("weight_decay value", weight_decay), ("momentum_decay value", momentum_decay)
        )
        refuse_options(self, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        })  # fmt: skip

    def _start(self, value: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "mu_product": torch.tensor(1.0, dtype=torch.float32),
            "exp_avg": torch.zeros_like(value),
            "exp_avg_sq": torch.zeros_like(value),
        }

    def _update(
        self, value: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], step: int
    ) -> None:
        lr, decay = as_number(group["lr"]), group["momentum_decay"]
        beta1, beta2 = (as_number(beta) for beta in group["betas"])
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (step * decay))
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * decay))
        state["mu_product"].mul_(mu)
        product = state["mu_product"].item()
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        scale = exp_avg_sq.div(1 - beta2**step).sqrt_().add_(group["eps"])
        value.addcdiv_(grad, scale, value=-lr * (1.0 - mu) / (1.0 - product))
        value.addcdiv_(exp_avg, scale, value=-lr * mu_next / (1.0 - product * mu_next))
