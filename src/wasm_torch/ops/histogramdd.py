"""Histograms of points in several dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS, composite
from wasm_torch.return_types import return_type

_C_NAMES = {"float32": "float", "float64": "double", "int64": "long long", "int32": "int"}
_made = return_type("histogramdd", ("hist", "bin_edges"))


def _check(points: Any, bins: Any, weight: Any) -> None:
    function = "torch.histogramdd"
    if points.ndim < 2:
        raise RuntimeError(f"{function}: input tensor should have at least 2 dimensions")
    if points.dtype is not _C.float32 and points.dtype is not _C.float64:
        raise NotImplementedError(
            f"\"histogramdd\" not implemented for '{scalar_name(points.dtype)}'"
        )
    if not isinstance(bins, int) and len(bins) != points.shape[-1]:
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    if weight is None:
        return
    if weight.dtype is not points.dtype:
        names = [_C_NAMES.get(t.dtype.name, t.dtype.name) for t in (points, weight)]
        raise RuntimeError(
            f"{function}: if weight tensor is provided, input tensor and weight tensor should have "
            f"the same dtype, but got input({names[0]}), and weight({names[1]})"
        )
    if weight.shape != points.shape[:-1]:
        raise RuntimeError(
            f"{function}: if weight tensor is provided it should have the same shape as the input "
            f"tensor excluding its innermost dimension, but got input with shape "
            f"{list(points.shape)} and weight with shape {list(weight.shape)}"
        )


def _even_edges(points: Any, bins: Sequence[int], range: Sequence[float] | None) -> tuple[Any, ...]:
    """Edges of bins of equal width over the range given, or that of the points (count, dims)."""
    dims = points.shape[-1]
    if range is not None and len(range) != 2 * dims:
        raise RuntimeError(
            f"torch.histogramdd: for a {dims}-dimensional histogram range should have {2 * dims} "
            f"elements, but got {len(range)}"
        )
    if range is not None:
        lows, highs = list(range[::2]), list(range[1::2])
    elif points.numel():
        lows, highs = points.amin(0).tolist(), points.amax(0).tolist()
    else:
        lows, highs = [0.0] * dims, [1.0] * dims
    edges = []
    for d, (low, high, count) in enumerate(zip(lows, highs, bins, strict=True)):
        if count <= 0:
            raise RuntimeError(
                f"torch.histogram(): bins must be > 0, but got {count} for dimension {d}"
            )
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(
                f"torch.histogramdd: dimension {d}'s range [{low:g}, {high:g}] is not finite"
            )
        if low > high:
            raise RuntimeError(
                f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} "
                f"for dimension {d}"
            )
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges.append(FUNCTIONS["linspace"](low, high, count + 1, dtype=points.dtype))
    return tuple(edges)


@composite(method=True)
def histogramdd(
    self: Any, bins: Any, range: Any = None, weight: Any = None, density: bool = False
) -> Any:
    """Counts (or weights) of points (..., D) in boxes, and the edges of the boxes in each dim.

    ``bins`` is the number of bins of every dim, or for each dim their number or their edges.
    """
    _check(self, bins, weight)
    points = self.detach().reshape((-1, self.shape[-1]))
    if isinstance(bins, int):
        bins = (bins,) * self.shape[-1]
    if len(bins) and isinstance(bins[0], _C.TensorBase):
        edges = tuple(bins)
    else:
        edges = _even_edges(points, bins, range)
    size = tuple(e.shape[0] - 1 for e in edges)
    place = FUNCTIONS["zeros"](points.shape[0], dtype=_C.int64)
    inside = FUNCTIONS["ones"](points.shape[0], dtype=_C.bool)
    for x, boundaries, count in zip(points.unbind(-1), edges, size, strict=True):
        at = FUNCTIONS["searchsorted"](boundaries, x.contiguous(), right=True) - 1
        at = at.clamp(max=count - 1)
        place = place * count + at
        inside = inside & (x >= boundaries[0]) & (x <= boundaries[-1])
    values = FUNCTIONS["ones"](points.shape[0], dtype=self.dtype)
    values = values if weight is None else weight.detach().reshape(-1)
    flat = FUNCTIONS["zeros"](k.numel(size), dtype=self.dtype)
    hist = flat.scatter_add(0, place[inside], values[inside]).reshape(size)
    if density:
        hist = hist / hist.sum()
        for d, boundaries in enumerate(edges):
            widths = boundaries.diff()
            hist = hist / widths.reshape((-1,) + (1,) * (len(size) - d - 1))
    return _made(hist, edges)
