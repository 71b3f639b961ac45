"""Random tensors for tests."""

from __future__ import annotations

import math
from typing import Any

import wasm_torch as torch


def _bounds(
    low: Any, high: Any, dtype: Any, least: float, most: float, default: tuple[float, float]
) -> tuple[float, float]:
    """The range asked for inside what the dtype holds. Raises ValueError where it is empty."""
    low = default[0] if low is None else low
    high = default[1] if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got low={low} and high={high}")
    if low > high or (low == high and not dtype.is_floating_point):
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    low, high = max(low, least), min(high, most)
    if not dtype.is_floating_point:
        return math.ceil(low), math.ceil(high)
    return low, high


def _values(size: tuple[int, ...], dtype: Any, low: Any, high: Any) -> Any:
    if dtype is torch.bool:
        low, high = _bounds(low, high, dtype, 0, 2, (0, 2))
        return torch.randint(low, high, size, dtype=dtype)
    if dtype.is_floating_point:
        limits = torch.finfo(dtype)
        low, high = _bounds(low, high, dtype, limits.min, limits.max, (-9, 9))
        return torch.empty(size, dtype=dtype).uniform_(low, high)
    integers = torch.iinfo(dtype)
    default = (0, 10) if dtype is torch.uint8 else (-9, 10)
    low, high = _bounds(low, high, dtype, integers.min, integers.max + 1, default)
    return torch.randint(low, high, size, dtype=dtype)


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Any:
    """A tensor of uniform values in [low, high).

    The default range is [-9, 9) for floats, 0 to 9 for uint8, -9 to 9 for other integers, and both
    values for bool. ``noncontiguous`` leaves gaps between the elements of the last dim;
    ``exclude_zero`` puts the dtype's smallest normal number (1 for integers) in place of zeros.

    Raises ValueError for an empty or undefined range, for integers with ``requires_grad``, and for
    ``noncontiguous`` together with ``memory_format``.
    """
    size = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    if requires_grad and not dtype.is_floating_point:
        raise ValueError(
            "`requires_grad=True` is not supported for boolean and integral dtypes, but got "
            f"dtype={dtype}"
        )
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"noncontiguous={noncontiguous} and memory_format={memory_format}"
        )
    spread = noncontiguous and math.prod(size) > 1
    with torch.no_grad():
        if spread:
            result = _values((*size[:-1], 2 * size[-1]), dtype, low, high)[..., 1::2]
        else:
            result = _values(size, dtype, low, high)
        if memory_format is not None:
            result = result.clone(memory_format=memory_format)
        if exclude_zero:
            smallest = torch.finfo(dtype).tiny if dtype.is_floating_point else 1
            result[result == 0] = smallest
    return result.requires_grad_(requires_grad)
