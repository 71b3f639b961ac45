"""Adadelta."""

from __future__ import annotations

from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from .optimizer import ParamsT, PointwiseOptimizer, as_number, check_options, refuse_options


class Adadelta(PointwiseOptimizer):
    """Adadelta (Zeiler 2012): steps as large as the steps before, in proportion to the gradient."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(("learning rate", lr))
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_options(("epsilon value", eps), ("weight_decay value", weight_decay))
        refuse_options(self, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        })  # fmt: skip

    def _start(self, value: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"square_avg": torch.zeros_like(value), "acc_delta": torch.zeros_like(value)}

    def _update(
        self, value: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], step: int
    ) -> None:
        rho, eps = group["rho"], group["eps"]
        square_avg, acc_delta = state["square_avg"], state["acc_delta"]
        square_avg.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        delta = acc_delta.add(eps).sqrt_().div_(square_avg.add(eps).sqrt_()).mul_(grad)
        acc_delta.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        value.add_(delta, alpha=-as_number(group["lr"]))
