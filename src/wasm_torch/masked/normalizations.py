"""Masked operations that keep the shape: running sums, softmax and its kin along one dim."""

from __future__ import annotations

import math
from typing import Any

import wasm_torch as torch
from wasm_torch.masked._operands import as_float, converted, filled, single_dim
from wasm_torch.masked.reductions import norm


def cumsum(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """The running sum of the unmasked elements."""
    return filled(converted(input, dtype), mask, 0).cumsum(single_dim(dim))


def cumprod(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """The running product of the unmasked elements."""
    return filled(converted(input, dtype), mask, 1).cumprod(single_dim(dim))


def softmax(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """Softmax of the unmasked elements; 0 elsewhere."""
    return filled(as_float(input, dtype), mask, -math.inf).softmax(single_dim(dim))


def log_softmax(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """The logarithm of the softmax of the unmasked elements; -inf elsewhere."""
    return filled(as_float(input, dtype), mask, -math.inf).log_softmax(single_dim(dim))


def softmin(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """Softmax of the negative unmasked elements; 0 elsewhere."""
    return (-filled(as_float(input, dtype), mask, math.inf)).softmax(single_dim(dim))


def normalize(
    input: Any, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Any = None
) -> Any:
    """The unmasked elements over their vector norm (or ``eps``, if that is greater)."""
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    values = filled(converted(input, dtype), mask, 0)
    return values / length.maximum(torch.tensor(eps, dtype=length.dtype))
