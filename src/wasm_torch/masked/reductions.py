"""Masked reductions: over the dims given, of the elements where the mask is true."""

from __future__ import annotations

import math
from typing import Any

import wasm_torch as torch
from wasm_torch.masked._operands import (
    as_float,
    converted,
    filled,
    input_mask,
    reduced_dims,
    single_dim,
)

Dims = int | tuple[int, ...] | list[int] | None


def _accumulated(input: Any, dtype: Any) -> Any:
    """Sums and products of integers are int64."""
    if dtype is None and not input.dtype.is_floating_point:
        dtype = torch.int64
    return converted(input, dtype)


def sum(
    input: Any,
    dim: Dims = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The sum of the unmasked elements."""
    dims = reduced_dims(input, dim)
    result = filled(_accumulated(input, dtype), mask, 0)
    return result.sum(dims, bool(keepdim)) if dims else result


def prod(
    input: Any,
    dim: Dims = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The product of the unmasked elements."""
    dims = reduced_dims(input, dim)
    result = filled(_accumulated(input, dtype), mask, 1)
    for d in sorted(dims, reverse=True):
        result = result.prod(d, bool(keepdim))
    return result


def _extreme(
    name: str, input: Any, dim: Dims, keepdim: bool | None, dtype: Any, mask: Any, identity: float
) -> Any:
    dims = reduced_dims(input, dim)
    result = filled(converted(input, dtype), mask, identity)
    return getattr(result, name)(dims, bool(keepdim)) if dims else result


def amax(
    input: Any,
    dim: Dims = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The greatest of the unmasked elements."""
    return _extreme("amax", input, dim, keepdim, dtype, mask, -math.inf)


def amin(
    input: Any,
    dim: Dims = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The least of the unmasked elements."""
    return _extreme("amin", input, dim, keepdim, dtype, mask, math.inf)


def _place(
    name: str,
    input: Any,
    dim: int | None,
    keepdim: bool | None,
    dtype: Any,
    mask: Any,
    identity: float,
) -> Any:
    values = filled(converted(input, dtype), mask, identity)
    return getattr(values, name)(single_dim(dim), bool(keepdim)).to(values.dtype)


def argmax(
    input: Any,
    dim: int | None = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The index of the greatest unmasked element, in the input's dtype, as in torch."""
    return _place("argmax", input, dim, keepdim, dtype, mask, -math.inf)


def argmin(
    input: Any,
    dim: int | None = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The index of the least unmasked element, in the input's dtype, as in torch."""
    return _place("argmin", input, dim, keepdim, dtype, mask, math.inf)


def _count(input: Any, dims: tuple[int, ...], keepdim: bool, mask: Any) -> Any:
    """How many elements are unmasked: int64."""
    mask = input_mask(input, mask)
    if mask is None:
        mask = torch.ones((), dtype=torch.bool).expand(tuple(input.shape))
    counts = mask.to(torch.int64)
    return counts.sum(dims, keepdim) if dims else counts


def mean(
    input: Any,
    dim: Dims = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The mean of the unmasked elements, NaN where there are none."""
    if not (input.dtype if dtype is None else dtype).is_floating_point:
        raise ValueError(
            "mean(): Could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {input.dtype}"
        )
    dims = reduced_dims(input, dim)
    total = sum(input, dims, keepdim=keepdim, dtype=dtype, mask=mask)
    return total / _count(input, dims, bool(keepdim), mask)


def median(
    input: Any, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """The lower median of the unmasked elements, NaN where there are none.

    Raises ValueError where there are none and the dtype is integral.
    """
    values, at = converted(input, dtype), single_dim(dim)
    mask = input_mask(input, mask)
    if mask is None:
        return values.median(at, keepdim).values
    if values.dtype.is_floating_point:
        return filled(values, mask, math.nan).nanmedian(at, keepdim).values
    if not bool(mask.any(at).all()):
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    result = filled(values.double(), mask, math.nan).nanmedian(at, keepdim).values
    return result.to(values.dtype)


def logsumexp(
    input: Any, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """The logarithm of the sum of exponentials of the unmasked elements."""
    dims = reduced_dims(input, dim)
    values = filled(as_float(input, dtype), mask, -math.inf)
    return values.logsumexp(dims, keepdim) if dims else values


def logaddexp(
    input: Any, other: Any, *, dtype: Any = None, input_mask: Any = None, other_mask: Any = None
) -> Any:
    """log(exp(input) + exp(other)), without the terms that are masked out."""
    a = filled(as_float(input, dtype), input_mask, -math.inf)
    b = filled(as_float(other, dtype), other_mask, -math.inf)
    return a.logaddexp(b)


def norm(
    input: Any,
    ord: float | None = 2.0,
    dim: Dims = None,
    *,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The vector norm of the unmasked elements."""
    order = 2.0 if ord is None else ord
    dims = reduced_dims(input, dim)
    values = filled(converted(input, dtype), mask, math.inf if order == -math.inf else 0)
    return torch.linalg.vector_norm(values, order, dims, bool(keepdim))


def var(
    input: Any,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The variance of the unmasked elements, over their number less ``correction`` (default 1)."""
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    elif unbiased is not None:
        raise RuntimeError("Only one of unbiased and correction may be given")
    values = as_float(input, dtype)
    dims = reduced_dims(input, dim)
    count = _count(input, dims, True, mask)
    centre = sum(values, dims, keepdim=True, mask=mask) / count
    squares = (values - centre).square()
    total = sum(squares, dims, keepdim=keepdim, mask=mask)
    freedom = (count - correction).clamp(min=0)
    return total / freedom.reshape(tuple(total.shape))


def std(
    input: Any,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: int | None = None,
    keepdim: bool | None = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The root of the variance of the unmasked elements."""
    return var(
        input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask
    ).sqrt()
