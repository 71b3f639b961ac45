"""Adam and AdamW."""

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


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015).

    m and v are running means of g and g * g, corrected for their start at zero; p decreases by
    lr * m / (sqrt(v) + eps). With `amsgrad` the largest v so far is used (Reddi et al. 2018).
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if as_number(lr) < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if eps < 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i, beta in enumerate(betas):
            if not 0.0 <= as_number(beta) < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        refuse_options(self, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        })  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        steps_as_tensors(self)

    def _state(self, parameter: Any, amsgrad: bool) -> dict[str, Any]:
        """The parameter's state, made at its first step."""
        state = self.state[parameter]
        if not state:
            value = parameter.detach()
            state["step"] = torch.tensor(0.0, dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(value)
            state["exp_avg_sq"] = torch.zeros_like(value)
            if amsgrad:
                state["max_exp_avg_sq"] = torch.zeros_like(value)
        return state

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters that have gradients; returns the closure's loss."""
        loss = self._evaluate(closure)
        for group in self.param_groups:
            lr = as_number(group["lr"])
            beta1, beta2 = (as_number(beta) for beta in group["betas"])
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self._state(parameter, group["amsgrad"])
                update(
                    "adam", parameter, gradient_of(parameter), state["exp_avg"],
                    state["exp_avg_sq"], state["max_exp_avg_sq"] if group["amsgrad"] else None,
                    lr, beta1, beta2, group["eps"], group["weight_decay"],
                    group.get("decoupled_weight_decay", False), group["maximize"],
                    next_step(state),
                )  # fmt: skip
        return loss


class AdamW(Adam):
    """Adam whose weight decay acts on the parameters directly (Loshchilov & Hutter 2019)."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
