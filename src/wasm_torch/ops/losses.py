"""Losses that torch differentiates as one operation. Reductions: 0 none, 1 mean, 2 sum."""

from __future__ import annotations

import contextlib
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._table import FUNCTIONS, PACKETS, op

MEAN, SUM = 1, 2


def _reduced(loss: Any, reduction: int) -> Any:
    """The loss of each element as it is, or its mean or sum."""
    if reduction == MEAN:
        return loss.mean()
    return loss.sum() if reduction == SUM else loss


def _spread(grad: Any, reduction: int, like: Any) -> Any:
    """The gradient of each element's loss, from that of the reduced one."""
    return grad / like.numel() if reduction == MEAN else grad


# ---- of a distance -------------------------------------------------------------------------------
def _mse_gradient(grad: Any, self: Any, target: Any, reduction: int) -> Any:
    difference = self - target
    return _spread(grad, reduction, difference) * 2 * difference


@op(
    "mse_loss(Tensor self, Tensor target, int reduction=1) -> Tensor",
    function=False,
    method=False,
    vjp={
        "self": lambda grad, self, target, reduction: _mse_gradient(grad, self, target, reduction),
        "target": lambda grad, self, target, reduction: (
            -_mse_gradient(grad, self, target, reduction)
        ),
    },
)
def mse_loss(self: Any, target: Any, reduction: int) -> Any:
    """(self - target)^2; ``reduction`` 0 none, 1 mean, 2 sum."""
    return _reduced((self - target).square(), reduction)


def _smooth_gradient(grad: Any, self: Any, target: Any, reduction: int, beta: float) -> Any:
    difference = self - target
    slope = FUNCTIONS["where"](difference.abs() < beta, difference / beta, difference.sign())
    return _spread(grad, reduction, difference) * slope


@op(
    "smooth_l1_loss(Tensor self, Tensor target, int reduction=1, float beta=1.0) -> Tensor",
    function=False,
    method=False,
    node="SmoothL1LossBackward0",
    vjp={
        "self": lambda grad, self, target, reduction, beta: _smooth_gradient(
            grad, self, target, reduction, beta
        ),
        "target": lambda grad, self, target, reduction, beta: (
            -_smooth_gradient(grad, self, target, reduction, beta)
        ),
    },
)
def smooth_l1_loss(self: Any, target: Any, reduction: int, beta: float) -> Any:
    """d^2 / (2 beta) where |d| = |self - target| is below ``beta``, |d| - beta / 2 elsewhere;
    ``reduction`` 0 none, 1 mean, 2 sum.
    """
    distance = (self - target).abs()
    near = distance.square() * (0.5 / beta)
    return _reduced(FUNCTIONS["where"](distance < beta, near, distance - 0.5 * beta), reduction)


def _huber_gradient(grad: Any, self: Any, target: Any, reduction: int, delta: float) -> Any:
    difference = self - target
    slope = FUNCTIONS["where"](difference.abs() <= delta, difference, difference.sign() * delta)
    return _spread(grad, reduction, difference) * slope


@op(
    "huber_loss(Tensor self, Tensor target, int reduction=1, float delta=1.0) -> Tensor",
    function=False,
    method=False,
    vjp={
        "self": lambda grad, self, target, reduction, delta: _huber_gradient(
            grad, self, target, reduction, delta
        ),
        "target": lambda grad, self, target, reduction, delta: (
            -_huber_gradient(grad, self, target, reduction, delta)
        ),
    },
)
def huber_loss(self: Any, target: Any, reduction: int, delta: float) -> Any:
    """d^2 / 2 where |d| = |self - target| is up to ``delta``, delta * (|d| - delta / 2) elsewhere;
    ``reduction`` 0 none, 1 mean, 2 sum.
    """
    distance = (self - target).abs()
    near, far = distance.square() * 0.5, (distance - 0.5 * delta) * delta
    return _reduced(FUNCTIONS["where"](distance <= delta, near, far), reduction)


# ---- of two classes ------------------------------------------------------------------------------
@op(
    "soft_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor",
    function=False,
    method=False,
    vjp=lambda grad, self, target, reduction: (
        _spread(grad, reduction, self) * -target * (-target * self).sigmoid()
    ),
)
def soft_margin_loss(self: Any, target: Any, reduction: int) -> Any:
    """log(1 + exp(-target * self)), with targets 1 and -1; ``reduction`` 0 none, 1 mean, 2 sum."""
    return _reduced((-target * self).exp().log1p(), reduction)


def _logs(probability: Any) -> tuple[Any, Any]:
    """log(x) and log(1 - x), each at least -100."""
    return probability.log().clamp_min(-100), (-probability).log1p().clamp_min(-100)


def _weighted(loss: Any, weight: Any) -> Any:
    return loss if weight is None else loss * weight


def _cross_entropy_input(grad: Any, self: Any, target: Any, weight: Any, reduction: int) -> Any:
    """The denominator is at least 1e-12, so that the gradient stays finite at 0 and 1."""
    slope = (self - target) / ((1 - self) * self).clamp_min(1e-12)
    return _weighted(_spread(grad, reduction, self) * slope, weight)


def _cross_entropy_target(grad: Any, self: Any, weight: Any, reduction: int) -> Any:
    positive, negative = _logs(self)
    return _weighted(_spread(grad, reduction, self) * (negative - positive), weight)


@op(
    "binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=1) "
    "-> Tensor",
    function=False,
    method=False,
    vjp={
        "self": lambda grad, self, target, weight, reduction: _cross_entropy_input(
            grad, self, target, weight, reduction
        ),
        "target": lambda grad, self, weight, reduction: _cross_entropy_target(
            grad, self, weight, reduction
        ),
    },
)
def binary_cross_entropy(self: Any, target: Any, weight: Any, reduction: int) -> Any:
    """-(target log(self) + (1 - target) log(1 - self)) of probabilities, logarithms limited to
    -100; ``reduction`` 0 none, 1 mean, 2 sum.
    """
    positive, negative = _logs(self)
    return _reduced(_weighted((target - 1) * negative - target * positive, weight), reduction)


def _log_sigmoid(x: Any) -> Any:
    return PACKETS["log_sigmoid"].call(x)


def _logits_input(
    grad: Any, self: Any, target: Any, weight: Any, pos_weight: Any, reduction: int
) -> Any:
    if pos_weight is None:
        slope = self.sigmoid() - target
    else:
        positive = pos_weight * target
        slope = (positive + 1 - target) * self.sigmoid() - positive
    return _weighted(_spread(grad, reduction, self) * slope, weight)


def _logits_target(grad: Any, self: Any, weight: Any, pos_weight: Any, reduction: int) -> Any:
    slope = -self
    if pos_weight is not None:
        slope = slope - (pos_weight - 1) * _log_sigmoid(self)
    return _weighted(_spread(grad, reduction, self) * slope, weight)


@op(
    "binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, "
    "Tensor? pos_weight=None, int reduction=1) -> Tensor",
    function=False,
    method=False,
    vjp={
        "self": lambda grad, self, target, weight, pos_weight, reduction: _logits_input(
            grad, self, target, weight, pos_weight, reduction
        ),
        "target": lambda grad, self, weight, pos_weight, reduction: _logits_target(
            grad, self, weight, pos_weight, reduction
        ),
    },
)
def binary_cross_entropy_with_logits(
    self: Any, target: Any, weight: Any, pos_weight: Any, reduction: int
) -> Any:
    """`binary_cross_entropy` of sigmoid(self), without overflow on the way; ``pos_weight`` scales
    the positive term.
    """
    log_sigmoid = _log_sigmoid(self)
    if pos_weight is not None:
        log_sigmoid = ((pos_weight - 1) * target + 1) * log_sigmoid
    return _reduced(_weighted((1 - target) * self - log_sigmoid, weight), reduction)


# ---- of many classes -----------------------------------------------------------------------------
def _check_classes(target: Any, ignored: Any, classes: int) -> None:
    """Raises IndexError where a class number is neither valid nor ignored."""
    bad = ((target < 0) | (target >= classes)) & ~ignored
    if bool(bad.any()):
        raise IndexError(f"Target {target.masked_select(bad)[0].item()} is out of bounds.")


def _valid_classes(target: Any, ignore_index: int, classes: int) -> tuple[Any, Any]:
    """The class numbers, 0 where ignored, and the mask of ignored ones."""
    ignored = target == ignore_index
    _check_classes(target, ignored, classes)
    return target.masked_fill(ignored, 0), ignored


def _nll_gradient(
    grad: Any, size: Any, target: Any, weight: Any, reduction: int, ignore_index: int, total: Any
) -> Any:
    """-weight at the target's classes, over the total weight for a mean."""
    dim = 1 if len(size) > 1 else 0
    share = -(grad / total if reduction == MEAN else grad).expand(tuple(target.shape))
    zeros = FUNCTIONS["zeros"](tuple(size), dtype=grad.dtype)
    index = target.to(_C.int64)
    if weight is None and not 0 <= ignore_index < size[dim]:
        # Where every target is valid, which the scatter finds out, nothing need be masked.
        with contextlib.suppress(IndexError, RuntimeError):
            return zeros.scatter(dim, index.unsqueeze(dim), share.unsqueeze(dim))
    index, ignored = _valid_classes(index, ignore_index, size[dim])
    if weight is not None:
        share = share * weight.gather(0, index.reshape(-1)).reshape(tuple(target.shape))
    return zeros.scatter(dim, index.unsqueeze(dim), share.masked_fill(ignored, 0).unsqueeze(dim))


def _nll(self: Any, target: Any, weight: Any, reduction: int, ignore_index: int) -> tuple[Any, Any]:
    """The loss, and the total weight by which a mean divides."""
    dim = 1 if self.ndim > 1 else 0
    index = target.to(_C.int64)
    if weight is None and not 0 <= ignore_index < self.shape[dim]:
        with contextlib.suppress(IndexError, RuntimeError):
            picked = self.gather(dim, index.unsqueeze(dim)).squeeze(dim)
            total = FUNCTIONS["full"]((), float(picked.numel()), dtype=self.dtype)
            return -_reduced(picked, reduction), total
    index, ignored = _valid_classes(index, ignore_index, self.shape[dim])
    loss = -self.gather(dim, index.unsqueeze(dim)).squeeze(dim).masked_fill(ignored, 0)
    if weight is None:
        total = (~ignored).sum().to(self.dtype)
    else:
        scale = weight.gather(0, index.reshape(-1)).reshape(tuple(target.shape))
        scale = scale.masked_fill(ignored, 0)
        loss, total = loss * scale, scale.sum()
    if reduction == MEAN:
        return loss.sum() / total, total
    return _reduced(loss, reduction), total


_NLL_VJP = {
    "self": lambda grad, self_size, target, weight, reduction, ignore_index, result1: _nll_gradient(
        grad, self_size, target, weight, reduction, ignore_index, result1
    )
}


@op(
    "nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int reduction, "
    "int ignore_index) -> (Tensor, Tensor)",
    function=False,
    method=False,
    node="NllLossBackward0",
    vjp=_NLL_VJP,
)
def nll_loss_forward(
    self: Any, target: Any, weight: Any, reduction: int, ignore_index: int
) -> tuple[Any, Any]:
    """-self[target] of log-probabilities (N, C) or (C) and int64 targets (N) or (), and the total
    weight. Targets equal to ``ignore_index`` count nothing.
    """
    return _nll(self, target, weight, reduction, ignore_index)


@op(
    "nll_loss2d_forward(Tensor self, Tensor target, Tensor? weight, int reduction, "
    "int ignore_index) -> (Tensor, Tensor)",
    function=False,
    method=False,
    node="NllLoss2DBackward0",
    vjp=_NLL_VJP,
)
def nll_loss2d_forward(
    self: Any, target: Any, weight: Any, reduction: int, ignore_index: int
) -> tuple[Any, Any]:
    """`nll_loss_forward` for (N, C, H, W) and (N, H, W)."""
    return _nll(self, target, weight, reduction, ignore_index)
