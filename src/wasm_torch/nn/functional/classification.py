"""Losses between scores of classes and class numbers or probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor
from wasm_torch.ops import losses

from ._arguments import reduced, reduction_number, reduction_of
from .linear import linear


def _check_nll(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Raises torch's errors for shapes that do not fit."""
    ndim = input.dim()
    if ndim == 0 or (ndim == 1 and target.dim() != 0 and target.shape != (1,)):
        raise ValueError(
            f"Expected input batch_size ({input.shape[0] if ndim else 1}) to match target "
            f"batch_size ({target.shape[0]})."
        )
    if ndim >= 2:
        if target.dim() == 0 or input.shape[0] != target.shape[0]:
            size = target.shape[0] if target.dim() else 1
            raise ValueError(
                f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({size})."
            )
        if ndim == 2 and target.dim() > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if target.shape[1:] != input.shape[2:]:
            expected = [input.shape[0], *input.shape[2:]]
            raise RuntimeError(f"Expected target size {expected}, got {list(target.shape)}")
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(
            f"expected scalar type Long but found {str(target.dtype).removeprefix('torch.')}"
        )
    classes = input.shape[1 if ndim > 1 else 0]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            "weight tensor should be defined either for all "
            f"{classes} classes or no classes but got weight tensor of shape: "
            f"{list(weight.shape)}"
        )


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-input[n, target[n]] of log-probabilities (N, C, *) and class numbers (N, *).

    Args:
        weight: (C), by which the loss of each class is scaled; the mean is the weighted one.
        ignore_index: the class number which does not count.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _check_nll(input, target, weight)
    if input.dim() == 1 and target.dim() == 1:
        return nll_loss(
            input.unsqueeze(0), target, weight, None, ignore_index, None, reduction
        ).reshape(target.shape if reduction == "none" else ())
    row = losses.nll_loss_forward if input.dim() < 3 else losses.nll_loss2d_forward
    return row(input, target, weight, reduction_number(reduction), ignore_index)[0]


def _probability_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """Cross entropy with class probabilities of the input's shape."""
    if not target.is_floating_point():
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{_scalar_name(target.dtype)}"
        )
    dim = 1 if input.dim() > 1 else 0
    classes = input.shape[dim]
    if weight is not None and (weight.dim() != 1 or weight.numel() != classes):
        raise RuntimeError(
            "cross_entropy: weight tensor should be defined either for all "
            f"{classes} classes or no classes but got weight tensor of shape: {list(weight.shape)}"
        )
    if label_smoothing > 0:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    terms = torch.log_softmax(input, dim) * target
    if weight is not None:
        shape = [1] * input.dim()
        shape[dim] = classes
        terms = terms * weight.view(shape)
    if reduction == "mean":
        count = input.numel() // classes if classes else 0
        return -terms.sum() / count if count else terms.sum() / 0.0
    return reduced(-terms.sum(dim), reduction)


def _scalar_name(dtype: Any) -> str:
    names = {"int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte"}
    return names.get(str(dtype).removeprefix("torch."), "Bool")


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log(softmax(input)[target]) of scores (N, C, *).

    Args:
        target: class numbers (N, *), or probabilities (N, C, *).
        weight: (C), by which the loss of each class is scaled.
        ignore_index: the class number which does not count.
        label_smoothing: how much of the target is spread evenly over all classes.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    if target.shape == input.shape:
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return _probability_loss(input, target, weight, reduction, label_smoothing)
    dim = 1 if input.dim() > 1 else 0
    log_probabilities = torch.log_softmax(input, dim)
    loss = nll_loss(log_probabilities, target, weight, None, ignore_index, None, reduction)
    if label_smoothing == 0.0:
        return loss
    classes = input.shape[dim]
    smooth = log_probabilities
    if weight is not None:
        shape = [1] * input.dim()
        shape[dim] = classes
        smooth = smooth * weight.view(shape)
    ignored = target == ignore_index
    smooth = -smooth.sum(dim).masked_fill(ignored, 0.0)
    if reduction == "mean":
        if weight is None:
            divisor = (~ignored).sum()
        else:
            valid = target.masked_fill(ignored, 0).reshape(-1)
            divisor = weight.gather(0, valid).masked_fill(ignored.reshape(-1), 0.0).sum()
        smooth = smooth.sum() / divisor
    else:
        smooth = reduced(smooth, reduction)
    return loss * (1 - label_smoothing) + smooth * (label_smoothing / classes)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """Cross entropy of input (N, in) led through linear_weight (C, *, in): scores (N, C, *).

    `options` choose how torch cuts the work into chunks; they do not change the result.
    """
    classes = linear_weight.shape[:-1]
    flat = linear_weight.reshape(-1, linear_weight.shape[-1])
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    scores = linear(input, flat, bias)
    if len(classes) > 1:
        scores = scores.reshape(*input.shape[:-1], *classes)
    return cross_entropy(
        scores, target, weight, ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction, label_smoothing=label_smoothing,
    )  # fmt: skip


# ---- connectionist temporal classification -----------------------------------------------------
def _padded_targets(targets: Tensor, lengths: list[int]) -> list[list[int]]:
    """The target of each sample, from (N, S) or from all of them joined."""
    values = targets.tolist()
    if targets.dim() == 2:
        return [row[:length] for row, length in zip(values, lengths, strict=True)]
    rows, start = [], 0
    for length in lengths:
        rows.append(values[start : start + length])
        start += length
    return rows


def _as_lengths(lengths: Tensor | Sequence[int]) -> list[int]:
    values = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
    return [values] if isinstance(values, int) else values


def _ctc_losses(
    log_probs: Tensor, targets: list[list[int]], input_lengths: list[int], blank: int
) -> Tensor:
    """-log p(target) of each sample (N), by the forward algorithm (Graves et al. 2006).

    log_probs is (T, N, C). The labels, with blanks around and between, are the states; `alpha`
    (N, states) holds the log-probability of all paths that end in each.
    """
    steps, batch, _ = log_probs.shape
    width = 2 * max((len(t) for t in targets), default=0) + 1
    labels, may_skip = [], []
    for target in targets:
        row = [blank] * width
        row[1 : 2 * len(target) : 2] = target
        labels.append(row)
        may_skip.append([s >= 2 and row[s] != blank and row[s] != row[s - 2] for s in range(width)])
    low = torch.finfo(log_probs.dtype).min / 4  # stands for log(0), and stays finite in gradients
    states = torch.tensor(labels, dtype=torch.int64)
    emissions = log_probs.gather(2, states.unsqueeze(0).expand(steps, -1, -1))  # (T, N, states)
    skip = torch.tensor(may_skip)
    start = torch.tensor([[s < 2 and s <= 2 * len(t) for s in range(width)] for t in targets])
    ends = torch.tensor(
        [[s in (2 * len(t), 2 * len(t) - 1) and s >= 0 for s in range(width)] for t in targets]
    )
    lengths = torch.tensor(input_lengths)

    alpha = emissions[0].masked_fill(~start, low)
    wall = torch.full((batch, 2), low, dtype=log_probs.dtype)
    for t in range(1, steps):
        padded = torch.cat([wall, alpha], 1)
        from_skip = padded[:, :-2].masked_fill(~skip, low)
        arriving = torch.logsumexp(torch.stack([alpha, padded[:, 1:-1], from_skip]), 0)
        alpha = torch.where((t < lengths).unsqueeze(1), arriving + emissions[t], alpha)
    total = torch.logsumexp(alpha.masked_fill(~ends, low), 1)
    loss = -total
    # Samples without input have an empty path only.
    empty = lengths == 0
    if bool(empty.any()):
        no_target = torch.tensor([0.0 if not t else math.inf for t in targets], dtype=loss.dtype)
        loss = torch.where(empty, no_target, loss)
    impossible = loss.detach() > -low / 2
    return loss.masked_fill(impossible, math.inf)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Connectionist temporal classification.

    Args:
        log_probs: (T, N, C) or (T, C), made by log_softmax. The gradient is, as torch's, the one
            for that case: it already accounts for the probabilities' summing to one.
        targets: (N, S), or all targets joined.
        input_lengths, target_lengths: (N).
        zero_infinity: losses of impossible targets, and their gradients, are 0.

    Returns:
        (N) or, reduced, a scalar; "mean" divides each loss by its target's length first.
    """
    unbatched = log_probs.dim() == 2
    if unbatched:
        log_probs = log_probs.unsqueeze(1)
        targets = targets.unsqueeze(0) if targets.dim() == 1 else targets
    inputs, lengths = _as_lengths(input_lengths), _as_lengths(target_lengths)
    steps, batch, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    if len(inputs) != batch:
        raise RuntimeError("input_lengths must be of size batch_size")
    if len(lengths) != batch:
        raise RuntimeError("target_lengths must be of size batch_size")
    if any(n > steps or n < 0 for n in inputs):
        sample = next(i for i, n in enumerate(inputs) if n > steps or n < 0)
        raise RuntimeError(
            f"Expected input_lengths to have value at most {steps}, but got value {inputs[sample]} "
            "(while checking arguments for ctc_loss_cpu)"
        )
    loss = _ctc_losses(log_probs, _padded_targets(targets, lengths), inputs, blank)
    # The normalisation's share of the gradient: a term whose value is zero.
    used = torch.arange(steps).unsqueeze(1) < torch.tensor(inputs)  # (T, N)
    mass = (log_probs.exp() * used.unsqueeze(-1).to(log_probs.dtype)).sum((0, 2))
    loss = loss + (mass - mass.detach())
    if zero_infinity:
        loss = torch.where(loss.detach() == math.inf, torch.zeros_like(loss), loss)
    if reduction == "mean":
        sizes = torch.tensor([max(n, 1) for n in lengths], dtype=loss.dtype)
        return (loss / sizes).mean()
    loss = reduced(loss, reduction)
    return loss.squeeze(0) if unbatched and reduction == "none" else loss
