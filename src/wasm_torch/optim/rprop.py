"""Rprop."""

from __future__ import annotations

from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from .optimizer import ParamsT, PointwiseOptimizer, as_number, check_options, refuse_options


class Rprop(PointwiseOptimizer):
    """Resilient propagation (Riedmiller & Braun 1993), for gradients of the whole data.

    Each element has a step of its own, which grows while the gradient keeps its sign.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(("learning rate", lr))
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        refuse_options(self, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        })  # fmt: skip

    def _start(self, value: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "prev": torch.zeros_like(value),
            "step_size": torch.full_like(value, as_number(group["lr"])),
        }

    def _update(
        self, value: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], step: int
    ) -> None:
        shrink, grow = group["etas"]
        agreement = grad * state["prev"]
        turned = agreement < 0
        factor = torch.ones_like(agreement).masked_fill_(agreement > 0, grow)
        factor.masked_fill_(turned, shrink)
        state["step_size"].mul_(factor).clamp_(*group["step_sizes"])
        grad = grad.masked_fill(turned, 0)  # a step over a minimum is not followed by another
        value.addcmul_(grad.sign(), state["step_size"], value=-1)
        state["prev"].copy_(grad)
