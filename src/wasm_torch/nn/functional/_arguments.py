"""Reading the arguments which many functions share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor


def records_gradient(*tensors: Tensor | None) -> bool:
    """Whether an operation on these is recorded for a backward pass."""
    wanted = (t is not None and t.requires_grad for t in tensors)
    return torch.is_grad_enabled() and any(wanted)


def per_dim(value: int | Sequence[int], ndim: int) -> list[int]:
    """One int for each of `ndim` spatial dimensions."""
    if isinstance(value, int):
        return [value] * ndim
    values = list(value)
    return values * ndim if len(values) == 1 and ndim > 1 else values


def reduction_of(reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """The reduction, from its name or from the two deprecated flags."""
    if size_average is None and reduce is None:
        return reduction
    average = True if size_average is None else size_average
    chosen = ("mean" if average else "sum") if reduce is None or reduce else "none"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{chosen}' "
        "instead.",
        stacklevel=3,
    )
    return chosen


#: The numbers by which operations know the reductions.
_NUMBERS = {"none": 0, "mean": 1, "sum": 2}


def reduction_number(reduction: str) -> int:
    """The number of a reduction."""
    number = _NUMBERS.get(reduction)
    if number is None:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return number


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The loss of each element as it is, or its mean or sum."""
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction")


def batched(input: Tensor, spatial: int, function: str) -> tuple[Tensor, bool]:
    """(N, C, *spatial) and whether the batch dimension was added.

    Raises:
        RuntimeError: the input has neither `spatial + 1` nor `spatial + 2` dimensions.
    """
    ndim = input.dim()
    if ndim == spatial + 2:
        return input, False
    if ndim == spatial + 1:
        return input.unsqueeze(0), True
    raise RuntimeError(
        f"Expected {spatial + 1}D (unbatched) or {spatial + 2}D (batched) input to {function}, "
        f"but got input of size: {list(input.shape)}"
    )


def check_probability(p: Any, name: str = "dropout") -> None:
    """Raises where p lies outside [0, 1]."""
    if p < 0.0 or p > 1.0:
        raise ValueError(f"{name} probability has to be between 0 and 1, but got {p}")
