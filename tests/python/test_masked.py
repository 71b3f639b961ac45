"""Masked reductions and normalisations against torch: one line a case."""

from __future__ import annotations

import pytest
import torch.masked  # noqa: F401 - torch does not import it by itself
from parity import assert_same_error, check

MASKS = ["None", "b(2, 3, 4)", "b(3, 1)", "b(4)", "torch.zeros(4, dtype=torch.bool)"]
DIMS = ["dim=None", "dim=1", "dim=(0, -1), keepdim=True", "dim=()"]


@pytest.mark.parametrize(
    "name", ["sum", "prod", "amax", "amin", "mean", "norm", "var", "std", "logsumexp"]
)
@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("mask", MASKS[:4])
def test_reduction(name: str, dims: str, mask: str) -> None:
    # Gradients at slices without elements (NaN minus NaN) are compared in the next test only.
    check(f"torch.masked.{name}(c(2, 3, 4), {dims}, mask={mask})", strides=False)


@pytest.mark.parametrize("name", ["sum", "prod", "amax", "mean", "var", "logsumexp"])
@pytest.mark.parametrize("dims", DIMS)
def test_gradient(name: str, dims: str) -> None:
    mask = "torch.tensor([True, False, True, True])"
    check(f"torch.masked.{name}(x(2, 3, 4), {dims}, mask={mask})", strides=False)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "norm", "logsumexp", "prod"])
def test_everything_masked_out(name: str) -> None:
    check(f"torch.masked.{name}(c(2, 4), dim=1, mask={MASKS[-1]})", strides=False)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "cumsum", "cumprod"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dim", [0, -1])
def test_normalisation(name: str, mask: str, dim: int) -> None:
    check(f"torch.masked.{name}(c(2, 3, 4), {dim}, mask={mask})", strides=False)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.masked.normalize(x(3, 4), 2.0, 1, mask=b(3, 4) | torch.eye(3, 4).bool())",
        "torch.masked.softmax(x(3, 4), 1, mask=torch.eye(3, 4).bool().logical_not())",
        "torch.masked.argmax(c(3, 4), mask=b(4)), torch.masked.argmin(c(3, 4), 1, mask=b(4))",
        "torch.masked.argmax(c(3, 4), 1, keepdim=True), torch.masked.argmin(i(3, 4), 0)",
        "torch.masked.median(x(3, 5), 1, mask=torch.eye(3, 5).bool().logical_not())",
        "torch.masked.median(i(3, 5), 1, mask=torch.eye(3, 5).bool())",
        "torch.masked.logaddexp(x(4), x(4), input_mask=b(4), other_mask=None)",
        "[torch.masked.norm(c(3, 4), p, 1, mask=b(4)) for p in (0, 1, 3, float('inf'), -1)]",
        "torch.masked.norm(c(3, 4), -float('inf'), 1, mask=b(4))",
        "torch.masked.std(c(3, 4), 1, False, mask=b(4)), torch.masked.var(c(3, 4), correction=2)",
        "torch.masked.sum(i(3, 4).int(), 1, mask=b(4)), torch.masked.amin(i(3, 4), 1, mask=b(4))",
        "torch.masked.amax(i(2, 3), 1, mask=torch.zeros(3).bool())",
        "torch.masked.mean(i(3, 4), 1, dtype=torch.float32, mask=b(4))",
        "torch.masked.sum(c()), torch.masked.prod(c(2, 3), (0, 1), mask=b(3))",
    ],
)
def test_case(expression: str) -> None:
    check(expression, strides=False, second=False)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.masked.sum(torch.ones(3), 0, mask=torch.ones(2).bool())",
        "torch.masked.sum(torch.ones(3), 0, mask=torch.ones(2, 3).bool())",
        "torch.masked.sum(torch.ones(3), 5)",
        "torch.masked.sum(torch.ones(3, 2), (0, 0))",
        "torch.masked.mean(torch.ones(3).long())",
        "torch.masked.median(torch.ones(2, 3).long(), 1, mask=torch.zeros(3).bool())",
    ],
)
def test_errors(expression: str) -> None:
    assert_same_error(expression)
