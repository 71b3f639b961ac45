"""Comparing wasm_torch with torch: the same code runs on both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import wasm_torch


def convert(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """Tensors of torch, in nested containers, as wasm_torch's; the same one stays one."""
    memo = {} if memo is None else memo
    if isinstance(value, torch.Tensor):
        if id(value) not in memo:
            memo[id(value)] = _convert_tensor(value)
        return memo[id(value)]
    if isinstance(value, dict):
        return {key: convert(item, memo) for key, item in value.items()}
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return type(value)(convert(item, memo) for item in value)
    return value


def _convert_tensor(value: torch.Tensor) -> Any:
    if value.dtype is torch.bfloat16:
        return wasm_torch.from_numpy(value.detach().float().numpy().copy()).bfloat16()
    result = wasm_torch.from_numpy(value.detach().numpy().copy())
    return result.requires_grad_() if value.requires_grad else result


def tensors(value: Any) -> list[Any]:
    """All tensors in nested containers, in order."""
    if isinstance(value, torch.Tensor | wasm_torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in tensors(item)]
    return []


def assert_same(expected: Any, actual: Any, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Same shapes, dtypes and, within the tolerance, values."""
    expected, actual = tensors(expected), tensors(actual)
    assert len(expected) == len(actual)
    for want, have in zip(expected, actual, strict=True):
        assert str(want.dtype) == str(have.dtype)
        assert tuple(want.shape) == tuple(have.shape)
        np.testing.assert_allclose(
            have.detach().numpy(), want.detach().numpy(), rtol=rtol, atol=atol, equal_nan=True
        )


def backward(outputs: Any) -> None:
    """Backpropagates a fixed weighted sum of all outputs that have a history."""
    package = wasm_torch if isinstance(tensors(outputs)[0], wasm_torch.Tensor) else torch
    total: Any = None
    for i, output in enumerate(tensors(outputs)):
        if output.requires_grad:
            count = output.numel()
            weights = np.cos(np.arange(count, dtype=np.float32) + i).reshape(tuple(output.shape))
            term = (output * package.from_numpy(weights).to(output.dtype)).sum()
            total = term if total is None else total + term
    if total is not None:
        total.backward()


def check_function(function: Callable[..., Any], *args: Any, rtol: float = 1e-4) -> None:
    """`function(package, *args)` gives the same on both, and so do its gradients."""
    candidate_args = convert(args)
    expected = function(torch, *args)
    actual = function(wasm_torch, *candidate_args)
    assert_same(expected, actual, rtol)
    leaves = [t for t in tensors(args) if t.requires_grad]
    if leaves and any(t.requires_grad for t in tensors(expected)):
        backward(expected)
        backward(actual)
        others = [t for t in tensors(candidate_args) if t.requires_grad]
        for want, have in zip(leaves, others, strict=True):
            assert (want.grad is None) == (have.grad is None)
            if want.grad is not None:
                assert_same(want.grad, have.grad, rtol)


def error_of(function: Callable[[], Any]) -> tuple[str, str]:
    """The type and the text of the exception that a call raises."""
    try:
        function()
    except Exception as error:
        return type(error).__name__, str(error)
    raise AssertionError("nothing was raised")


def check_error(function: Callable[[Any], Any]) -> None:
    """`function(package)` raises the same error on both."""
    expected = error_of(lambda: function(torch))
    assert error_of(lambda: function(wasm_torch)) == expected
