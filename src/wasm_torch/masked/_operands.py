"""What masked operations share: the mask in the input's shape, dims, fills."""

from __future__ import annotations

import math
from typing import Any

import wasm_torch as torch


def input_mask(input: Any, mask: Any) -> Any:
    """The mask as bools in the input's shape, or None where nothing is masked.

    Raises IndexError where it has more dims than the input.
    """
    if mask is None:
        return None
    if mask.ndim > input.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the "
            "input)"
        )
    return mask.to(torch.bool).expand(tuple(input.shape))


def reduced_dims(input: Any, dim: Any) -> tuple[int, ...]:
    """Distinct dims counted from the front; None and () mean all.

    Raises IndexError where one is out of range, RuntimeError where one appears twice.
    """
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(input.ndim))
    limit = max(input.ndim, 1)
    dims: list[int] = []
    for d in (dim,) if isinstance(dim, int) else dim:
        if not -limit <= d < limit:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but "
                f"got {d})"
            )
        if d % limit in dims:
            raise RuntimeError(f"dim={d % limit} appears multiple times in the list of dims")
        dims.append(d % limit)
    return tuple(dims)


def single_dim(dim: Any) -> Any:
    """A dim given as a number or as a sequence of one."""
    return dim if dim is None or isinstance(dim, int) else dim[0]


def converted(input: Any, dtype: Any) -> Any:
    """The input in the dtype asked for."""
    return input if dtype is None else input.to(dtype)


def as_float(input: Any, dtype: Any) -> Any:
    """The input in the dtype asked for, integers in the default float dtype."""
    if dtype is None and not input.dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    return converted(input, dtype)


def filled(input: Any, mask: Any, value: float) -> Any:
    """The input with ``value`` where the mask is false; infinities become an integer's limits."""
    mask = input_mask(input, mask)
    if mask is None:
        return input
    if math.isinf(value) and not input.dtype.is_floating_point:
        limits = (False, True) if input.dtype is torch.bool else _limits(input.dtype)
        value = limits[value > 0]
    return input.where(mask, torch.tensor(value, dtype=input.dtype))


def _limits(dtype: Any) -> tuple[int, int]:
    info = torch.iinfo(dtype)
    return info.min, info.max
