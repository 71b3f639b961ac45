"""Searching in sorted sequences, distinct values, histograms and quantiles."""

from __future__ import annotations

import math
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite
from wasm_torch.ops.sorting import sort_row
from wasm_torch.return_types import return_type


# ---- searching -----------------------------------------------------------------------------------
@composite()
def searchsorted(
    sorted_sequence: Any,
    self: Any = None,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
    input: Any = None,
) -> Any:
    """Positions at which values would be inserted into sorted rows."""
    values = self if input is None else input
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(
            f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}"
        )
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while "
            "right was True"
        )
    right = right or side == "right"
    if not isinstance(values, _C.TensorBase):
        values = _C.from_data(
            values, sorted_sequence.dtype if sorted_sequence.dtype.is_floating_point else None
        )
    if sorter is not None:
        sorted_sequence = (
            sorted_sequence.gather(-1, sorter) if sorted_sequence.ndim else sorted_sequence
        )
    dtype = (
        k.result_type(sorted_sequence, values)
        if sorted_sequence.dtype is not values.dtype
        else (values.dtype)
    )
    if sorted_sequence.ndim > 1 and sorted_sequence.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            "boundaries "
            f"tensor {list(sorted_sequence.shape)} and input value tensor {list(values.shape)}"
        )
    ordered = k.contiguous(k.cast(sorted_sequence.detach(), dtype))
    wanted = k.contiguous(k.cast(values.detach(), dtype))
    out = k.empty(tuple(values.shape), _C.int64)
    if out.numel():
        shaped = k.reshaped(wanted, (1,)) if wanted.ndim == 0 else wanted
        target = k.reshaped(out, (1,)) if out.ndim == 0 else out
        k.launch("searchsorted", target, ordered, shaped, right)
    return k.cast(out, _C.int32) if out_int32 else out


@composite(method=False)
def bucketize(self: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """The bucket of each element among sorted boundaries."""
    return FUNCTIONS["searchsorted"](boundaries, self, out_int32=out_int32, right=right)


# ---- distinct values -----------------------------------------------------------------------------
@composite(method=True)
def unique(
    self: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements (or slices along ``dim``), sorted."""
    if dim is not None:
        return _unique_slices(self, dim, return_inverse, return_counts, consecutive=False)
    values, order = sort_row(self.detach().reshape(-1), 0, False)
    return _runs(values, order, tuple(self.shape), return_inverse, return_counts)


def _runs(
    values: Any, order: Any, shape: tuple[int, ...], return_inverse: bool, return_counts: bool
) -> Any:
    count = values.shape[0]
    if count == 0:
        starts = k.empty((0,), _C.int64)
        group = k.empty((0,), _C.int64)
    else:
        fresh = FUNCTIONS["cat"]((FUNCTIONS["ones"](1, dtype=_C.bool), values[1:] != values[:-1]))
        starts = fresh.nonzero().reshape(-1)
        group = fresh.long().cumsum(0) - 1
    results = [values[starts] if count else values]
    if return_inverse:
        inverse = FUNCTIONS["empty"](count, dtype=_C.int64)
        if order is None:
            inverse = group
        else:
            inverse[order] = group
        results.append(inverse.reshape(shape))
    if return_counts:
        ends = FUNCTIONS["cat"]((starts[1:], FUNCTIONS["tensor"]([count])))
        results.append(ends - starts if count else starts)
    return results[0] if len(results) == 1 else tuple(results)


@composite(method=True)
def unique_consecutive(
    self: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Elements (or slices along ``dim``) that differ from the one before."""
    if dim is not None:
        return _unique_slices(self, dim, return_inverse, return_counts, consecutive=True)
    flat = self.detach().reshape(-1)
    return _runs(flat, None, tuple(self.shape), return_inverse, return_counts)


def _unique_slices(
    self: Any, dim: int, return_inverse: bool, return_counts: bool, consecutive: bool
) -> Any:
    dim = k.wrap_dim(dim, self.ndim)
    moved = self.detach().movedim(dim, 0)
    rows = [
        tuple(row) for row in moved.reshape((moved.shape[0], k.numel(moved.shape[1:]))).tolist()
    ]
    order = list(range(len(rows))) if consecutive else _sorted_rows(rows)
    kept: list[int] = []
    counts: list[int] = []
    inverse = [0] * len(rows)
    for i in order:
        if kept and rows[kept[-1]] == rows[i]:
            counts[-1] += 1
        else:
            kept.append(i)
            counts.append(1)
        inverse[i] = len(kept) - 1
    index = _C.from_data(kept, _C.int64) if kept else k.empty((0,), _C.int64)
    results = [self.detach().index_select(dim, index)]
    if return_inverse:
        results.append(_C.from_data(inverse, _C.int64) if inverse else k.empty((0,), _C.int64))
    if return_counts:
        results.append(_C.from_data(counts, _C.int64) if counts else k.empty((0,), _C.int64))
    return results[0] if len(results) == 1 else tuple(results)


def _sorted_rows(rows: list[tuple[Any, ...]]) -> list[int]:
    import builtins

    return builtins.sorted(range(len(rows)), key=rows.__getitem__)


@composite()
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Any:
    """Whether each element is among the test elements."""
    if not isinstance(elements, _C.TensorBase):
        elements = FUNCTIONS["tensor"](elements)
    if not isinstance(test_elements, _C.TensorBase):
        test_elements = FUNCTIONS["tensor"](test_elements)
    tests = test_elements.reshape(-1)
    if tests.numel() == 0:
        found = FUNCTIONS["zeros"](tuple(elements.shape), dtype=_C.bool)
    else:
        ordered = tests.sort()[0]
        at = FUNCTIONS["searchsorted"](ordered, elements.contiguous())
        found = ordered[at.clamp(max=tests.numel() - 1)] == elements
    return ~found if invert else found


@composite(method=True)
def bincount(self: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each non-negative integer occurs, or the sums of its weights."""
    if self.ndim != 1 or self.dtype.is_floating_point:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if self.numel() and int(self.min().item()) < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights.shape != self.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    size = max(int(self.max().item()) + 1 if self.numel() else 0, minlength)
    dtype = _C.int64
    if weights is not None:
        dtype = weights.dtype if weights.dtype is _C.float32 else _C.float64
    out = FUNCTIONS["zeros"](size, dtype=dtype)
    ones = (
        FUNCTIONS["ones"](self.shape[0], dtype=dtype)
        if weights is None
        else weights.detach().to(dtype)
    )
    return out.scatter_add(0, self.long(), ones)


@composite(method=True)
def histc(self: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """Counts of the elements in equal bins between min and max."""
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    low, high = float(min), float(max)
    flat = self.detach().reshape(-1)
    if low == high and flat.numel():
        low, high = float(flat.min().item()), float(flat.max().item())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError("max must be larger than min")
    inside = flat[(flat >= low) & (flat <= high)]
    index = ((inside - low) * (bins / (high - low))).long().clamp(max=bins - 1)
    ones = FUNCTIONS["ones"](index.shape[0], dtype=self.dtype)
    return FUNCTIONS["zeros"](bins, dtype=self.dtype).scatter_add(0, index, ones)


def _quantile(
    self: Any, q: Any, dim: Any, keepdim: bool, interpolation: str, skip_nan: bool
) -> Any:
    modes = ("linear", "lower", "higher", "midpoint", "nearest")
    if interpolation not in modes:
        raise RuntimeError(
            "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            "but "
            f"got {interpolation}"
        )
    if not self.dtype.is_floating_point:
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if self.numel() == 0:
        raise RuntimeError("quantile() input tensor must be non-empty")
    if not isinstance(q, _C.TensorBase):
        if not 0 <= q <= 1:
            raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q}")
        q = _C.from_data(float(q), self.dtype)
    elif q.dtype is not self.dtype:
        raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
    if q.ndim > 1:
        raise RuntimeError("quantile() q must be a scalar or 1D tensor")
    if dim is None:
        work, at = self.reshape(-1), 0
    else:
        at = k.wrap_dim(dim, self.ndim)
        work = self if self.ndim else self.reshape(1)
    ordered = sort_row(work.movedim(at, -1) if work.ndim > 1 else work, -1, False)[0]
    nan = ordered.isnan()
    length = ordered.shape[-1]
    last = (
        length - nan.sum(-1, True)
        if skip_nan
        else FUNCTIONS["full_like"](nan[..., :1], length, dtype=_C.int64)
    ) - 1
    ranks = q.reshape(-1) * last.clamp(min=0).to(self.dtype)
    if not skip_nan:
        ranks = FUNCTIONS["where"](nan.any(-1, True), float(length - 1), ranks)
    below = ranks.floor().long()
    above = (below + 1).minimum(last.clamp(min=0))
    if interpolation == "lower":
        result = ordered.gather(-1, below)
    elif interpolation == "higher":
        result = ordered.gather(-1, ranks.ceil().long())
    elif interpolation == "nearest":
        result = ordered.gather(-1, ranks.round().long())
    else:
        low = ordered.gather(-1, below)
        high = ordered.gather(-1, above)
        weight = (
            0.5 * (ranks != below.to(ranks.dtype)).to(self.dtype)
            if interpolation == "midpoint"
            else (ranks - below.to(ranks.dtype))
        )
        result = low.lerp(high, weight)
    result = result.movedim(-1, 0)
    if keepdim and self.ndim:
        result = (
            result.reshape((result.shape[0], *(1,) * self.ndim))
            if dim is None
            else result.unsqueeze(at + 1)
        )
    return result if q.ndim else result.squeeze(0)


def _quantile_rows(name: str, skip_nan: bool) -> None:
    def call(
        self: Any, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> Any:
        return _quantile(self, q, dim, keepdim, interpolation, skip_nan)

    call.__name__ = name
    call.__doc__ = "The q-th quantiles, by interpolation between sorted values."
    composite(method=True)(call)


_quantile_rows("quantile", False)
_quantile_rows("nanquantile", True)

_HISTOGRAM = return_type("histogram", ("hist", "bin_edges"))


@composite(method=True)
def histogram(
    self: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False
) -> Any:
    """Counts (or weights) in bins given by a number or by their edges, and the edges."""
    flat = self.detach().reshape(-1)
    if isinstance(bins, int):
        low, high = (
            range
            if range is not None
            else (
                (float(flat.min().item()), float(flat.max().item())) if flat.numel() else (0.0, 1.0)
            )
        )
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges = FUNCTIONS["linspace"](low, high, bins + 1, dtype=self.dtype)
    else:
        edges = bins
    count = edges.shape[0] - 1
    values = FUNCTIONS["ones_like"](flat) if weight is None else weight.reshape(-1)
    at = FUNCTIONS["searchsorted"](edges, flat, right=True) - 1
    at = FUNCTIONS["where"](flat == edges[-1], count - 1, at)
    inside = (flat >= edges[0]) & (flat <= edges[-1])
    hist = FUNCTIONS["zeros"](count, dtype=self.dtype).scatter_add(0, at[inside], values[inside])
    if density:
        hist = hist / (hist.sum() * edges.diff())
    return _HISTOGRAM(hist, edges)
