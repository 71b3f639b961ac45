"""Losses with margins, and of pairs and triplets."""

from __future__ import annotations

from collections.abc import Callable

import wasm_torch as torch
from wasm_torch import Tensor
from wasm_torch.ops import losses
from wasm_torch.ops._convert import check_tensor

from ._arguments import reduced, reduction_number, reduction_of
from .activation import logsigmoid
from .linear import pairwise_distance


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target * (input1 - input2) + margin); target 1 wants input1 larger, -1 smaller."""
    reduction = reduction_of(reduction, size_average, reduce)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return reduced((-target * (input1 - input2) + margin).clamp_min(0), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x where target is 1, max(0, margin - x) where it is -1."""
    reduction = reduction_of(reduction, size_average, reduce)
    check_tensor("hinge_embedding_loss", "target", 2, target)
    zeros = torch.zeros_like(input)
    hinge = torch.where(target != 1, (margin - input).clamp_min(0), zeros)
    return reduced(hinge + torch.where(target != -1, input, zeros), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    input1, input2: (N, D) with target (N), or (D) with a scalar target.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if target.dim() not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if target.dim() == 1 and not input1.dim() == input2.dim() == 2:
        raise RuntimeError(
            "1D target tensor expects 2D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    if target.dim() == 0 and not input1.dim() == input2.dim() == 1:
        raise RuntimeError(
            "0D target tensor expects 1D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    dim = target.dim()
    epsilon = 1e-12
    dot = (input1 * input2).sum(dim)
    square1 = (input1 * input1).sum(dim) + epsilon
    square2 = (input2 * input2).sum(dim) + epsilon
    cosine = dot / (square1 * square2).sqrt()
    zeros = torch.zeros_like(cosine)
    positive = torch.where(target == 1, 1 - cosine, zeros)
    negative = torch.where(target == -1, (cosine - margin).clamp_min(0), zeros)
    return reduced(positive + negative, reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * x))."""
    reduction = reduction_of(reduction, size_average, reduce)
    return losses.soft_margin_loss(input, target, reduction_number(reduction))


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Binary cross entropy of sigmoid(x), averaged over the classes (last dimension)."""
    reduction = reduction_of(reduction, size_average, reduce)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return reduced(loss.sum(-1) / input.size(-1), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the other classes i of max(0, margin - x[target] + x[i]) ** p.

    input: (N, C) or (C); target: (N) or a scalar; weight: (C), by the target's class.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    if input.dim() > 2 or (input.dim() == 0 and input.numel() == 0) or target.dim() > 1:
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(input.shape)}"
        )
    scalar = target.dim() == 0
    scores = input if input.dim() == 2 else input.reshape(1, -1)
    classes = target.reshape(-1, 1)
    if bool(((classes < 0) | (classes >= scores.shape[1])).any()):
        raise RuntimeError("target out of range")
    violation = (margin - scores.gather(1, classes) + scores).clamp_min(0)
    if p == 2:
        violation = violation * violation
    if weight is not None:
        violation = violation * weight.index_select(0, classes.reshape(-1)).unsqueeze(1)
    own = torch.zeros_like(violation, dtype=torch.bool).scatter(1, classes, True)
    loss = violation.masked_fill(own, 0).sum(1) / scores.shape[1]
    if reduction == "none" and scalar:
        return loss.squeeze(0)
    return reduced(loss, reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum over targets j and other classes i of max(0, 1 - (x[j] - x[i])) / C.

    input and target: (N, C) or (C); each row of targets ends at its first -1.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if input.dim() > 2 or target.shape != input.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    scores = input if input.dim() == 2 else input.reshape(1, -1)
    classes = target if input.dim() == 2 else target.reshape(1, -1)
    if bool(((classes < -1) | (classes >= scores.shape[1])).any()):
        raise RuntimeError("target out of range")
    # Targets count up to the first -1.
    counts = (classes < 0).to(torch.int64).cumsum(1) == 0
    index = classes.masked_fill(~counts, 0)
    is_target = (
        torch.zeros(scores.shape, dtype=torch.int64).scatter_add(1, index, counts.to(torch.int64))
        > 0
    )
    chosen = scores.gather(1, index)  # (N, targets)
    violation = (1 - chosen.unsqueeze(2) + scores.unsqueeze(1)).clamp_min(0)
    hidden = ~counts.unsqueeze(2) | is_target.unsqueeze(1)
    loss = violation.masked_fill(hidden, 0).sum((1, 2)) / scores.shape[1]
    if reduction == "none" and input.dim() < 2:
        return loss.squeeze(0)
    return reduced(loss, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d the p-norm distance.

    With `swap`, the distance of positive and negative is used where it is smaller.
    """
    reduction = reduction_of(reduction, size_average, reduce)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.dim()}D, positive {positive.dim()}D, and "
            f"negative {negative.dim()}D inputs"
        )
    far = distance(anchor, negative)
    if swap:
        far = torch.minimum(far, distance(positive, negative))
    return reduced((distance(anchor, positive) - far + margin).clamp_min(0), reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with any distance."""
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)
