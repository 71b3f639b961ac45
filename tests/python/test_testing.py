"""torch.testing against torch's own: results, error types and whole texts."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch as reference

import wasm_torch

COMPARISONS = [
    "T([1.0, 2]), T([1.0, 3])",
    "T([[1.0, 2], [3, 4]]), T([[1.0, 3], [3, nan]])",
    "T(1.0), T(2.0)",
    "1.0, 2.0",
    "1, 2",
    "1, 2.0",
    "0.0, 1.0",
    "1.0, 0.0",
    "1.0, nan",
    "inf, 1.0",
    "1.00000001, 1.0",
    "True, False",
    "None, None",
    "None, 1",
    "'a', 'b'",
    "T([1.0]), T([1.0]).double()",
    "T([1.0]), T([1.0]).double(), check_dtype=False",
    "T([1, 5]), T([1.0, 2]), check_dtype=False",
    "T([1, 2]).int(), T([1, 3])",
    "T([1.0]), T([1.0, 2])",
    "[T(1.0), T(2.0)], [T(1.0), T(3.0)]",
    "[T(1.0)], [T(1.0), T(3.0)]",
    "(T(1.0),), [T(1.0)]",
    "[1, [2, 3]], [1, [2, 4]]",
    "{'a': T(1.0)}, {'b': T(1.0)}",
    "{'a': 1, 'c': 2}, {'b': T(1.0)}",
    "{'a': T(1.0)}, {'a': T(2.0)}",
    "T([1, 2]), T([1, 3])",
    "T([True, False]), T([True, True])",
    "T([1, 2], dtype=torch.uint8), T([3, 2], dtype=torch.uint8)",
    "T([nan]), T([nan])",
    "T([nan]), T([nan]), equal_nan=True",
    "T([1.0]), T([2.0]), rtol=1e-3",
    "T([1.0]), T([2.0]), rtol=1e-3, atol=0",
    "T([1.0, 2]), T([1.0, 2.5]), rtol=0, atol=0",
    "T([1, 2]), T([1, 3]), rtol=0.1, atol=0.1",
    "T([1.0]), T([2.0]), msg='said'",
    "T([1.0]), T([2.0]), msg=lambda text: 'said: ' + text",
    "T([1.0]).half(), T([2.0]).half()",
    "T([1.0, 2]).bfloat16(), T([1.0, 2.5]).bfloat16()",
    "T([1.0]), T([0.0])",
    "T([inf]), T([1.0])",
    "torch.ones(0), torch.ones(0)",
    "torch.ones(2, 2).t(), torch.ones(2, 2), check_stride=True",
    "torch.ones(3, 4) * T([1.0, 2, 3, 4]), torch.ones(3, 4)",
    "np.ones(2), np.ones(2)",
    "np.ones(2), np.ones(2) * 2",
    "torch.nn.Parameter(torch.ones(2)), torch.ones(2)",
]


def outcome(expression: str, package: Any) -> tuple[str, str]:
    """What an expression gives, or the type and text of its error."""
    scope = {
        "torch": package,
        "T": package.tensor,
        "np": np,
        "nan": math.nan,
        "inf": math.inf,
        "assert_close": package.testing.assert_close,
        "make_tensor": package.testing.make_tensor,
    }
    package.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return "value", str(eval(expression, scope))
        except Exception as error:
            return type(error).__name__, str(error)


@pytest.mark.parametrize("arguments", COMPARISONS)
def test_assert_close(arguments: str) -> None:
    expression = f"assert_close({arguments})"
    assert outcome(expression, wasm_torch) == outcome(expression, reference)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "low=3, high=1",
        "low=nan",
        "low=-2, high=3",
        "exclude_zero=True",
        "noncontiguous=True",
        "low=1e40",
        "low=0, high=0",
        "low=0.5, high=3.5",
    ],
)
@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int64", "int32", "uint8", "bool"]
)
def test_make_tensor(options: str, dtype: str) -> None:
    expression = f"make_tensor((2, 5), dtype=torch.{dtype}, device='cpu', {options})"
    assert outcome(expression, wasm_torch) == outcome(expression, reference)


@pytest.mark.parametrize(
    "expression",
    [
        "make_tensor(3, dtype=torch.int32, device='cpu', requires_grad=True)",
        "make_tensor(3, dtype=torch.float32, device='cpu', requires_grad=True)",
        "make_tensor(2, 3, dtype=torch.float32, device='cpu', noncontiguous=True).stride()",
        "make_tensor(2, 3, 4, 4, dtype=torch.float32, device='cpu', "
        "memory_format=torch.channels_last).stride()",
        "make_tensor(2, 3, dtype=torch.float32, device='cpu', noncontiguous=True, "
        "memory_format=torch.channels_last)",
    ],
)
def test_make_tensor_options(expression: str) -> None:
    assert outcome(expression, wasm_torch) == outcome(expression, reference)
