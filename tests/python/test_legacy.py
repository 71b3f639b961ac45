"""torch's early constructors: `Tensor(2, 3)`, `FloatTensor`, ... One line a case."""

from __future__ import annotations

import pytest
import torch
from parity import assert_same_error, check, evaluate

import wasm_torch

VALUES = [
    "torch.Tensor([1.0, 2.0])",
    "torch.Tensor([[1, 2], [3, 4]])",
    "torch.Tensor((2, 3))",
    "torch.Tensor(range(3))",
    "torch.Tensor([])",
    "torch.Tensor()",
    "torch.Tensor(c(2, 3))",
    "torch.FloatTensor([1, 2])",
    "torch.DoubleTensor([1])",
    "torch.HalfTensor([1])",
    "torch.BFloat16Tensor([1])",
    "torch.ByteTensor([1])",
    "torch.CharTensor([-1])",
    "torch.ShortTensor([1])",
    "torch.IntTensor([1])",
    "torch.LongTensor([1.5, 2])",
    "torch.LongTensor(i(2))",
    "torch.BoolTensor([1, 0])",
    "c(2).new([1, 2])",
    "i(2).new([1, 2])",
    "c(2).type(torch.LongTensor)",
]


@pytest.mark.parametrize("expression", VALUES)
def test_values(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.Tensor(2, 3)",
        "torch.Tensor(3)",
        "torch.Tensor(torch.Size([2, 3]))",
        "torch.LongTensor(2, 0)",
        "c(2).new(2, 3)",
    ],
)
def test_shapes(expression: str) -> None:
    expected, actual = (evaluate(expression, package)[0] for package in (torch, wasm_torch))
    assert tuple(actual.shape) == tuple(expected.shape)
    assert str(actual.dtype) == str(expected.dtype)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.Tensor(2.5)",
        "torch.Tensor('a')",
        "torch.Tensor(None)",
        "torch.Tensor(2, 'a')",
        "torch.Tensor(-1)",
        "torch.FloatTensor(2.5)",
    ],
)
def test_errors(expression: str) -> None:
    assert_same_error(expression)


def test_types() -> None:
    for package in (torch, wasm_torch):
        values = package.ones(2)
        assert isinstance(values, package.FloatTensor)
        assert not isinstance(values, package.LongTensor)
        assert type(package.FloatTensor([1])) is package.Tensor
        with pytest.raises(TypeError):
            package.LongTensor(values)
        shared = package.Tensor(values)
        shared[0] = 5
        assert values.tolist() == [5, 1]
