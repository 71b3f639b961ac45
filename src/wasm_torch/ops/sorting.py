"""Sorting, the largest elements, and searching in sorted sequences."""

from __future__ import annotations

import math
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite, op
from wasm_torch.ops.reduction import value_at
from wasm_torch.return_types import return_type


def _scattered(grad: Any, size: Any, indices: Any, dim: int) -> Any:
    return value_at(grad, size, indices, dim, True)


@op(
    "sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)",
    family="sort",
    function=False,
    method=False,
    vjp=lambda grad, self_size, result1, dim: _scattered(grad, self_size, result1, dim),
)
def sort_row(self: Any, dim: int, descending: bool) -> tuple[Any, Any]:
    dim = k.wrap_dim(dim, self.ndim)
    values = k.empty_like(self)
    indices = k.empty(tuple(self.shape), _C.int64, values.stride())
    if self.ndim == 0:
        _C.copy_into(values, self)
        return values, k.fill(indices, 0)
    if values.numel():
        k.launch("sort", values, indices, self, dim, descending)
    return values, indices


@composite(method=True)
def sort(self: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """Sorted values along ``dim`` and the indices they had. Always stable."""
    return sort_row(self, dim, descending)


@composite(method=True)
def msort(self: Any) -> Any:
    """Sorted along dim 0."""
    return sort_row(self, 0, False)[0]


@composite(method=True)
def argsort(self: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The indices that sort along ``dim``. Always stable."""
    return sort_row(self, dim, descending)[1]


@op(
    "topk(Tensor self, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, "
    "Tensor indices)",
    family="sort",
    vjp=lambda grad, self_size, result1, dim: _scattered(grad, self_size, result1, dim),
)
def topk(self: Any, k_: int, dim: int, largest: bool, sorted: bool) -> tuple[Any, Any]:
    dim = k.wrap_dim(dim, self.ndim)
    length = self.shape[dim] if self.ndim else 1
    if not 0 <= k_ <= length:
        raise RuntimeError("selected index k out of range")
    if self.ndim == 0:
        return k.dense_copy(self), k.full((), 0, _C.int64)
    size = list(self.shape)
    size[dim] = k_
    values, indices = k.empty(tuple(size), self.dtype), k.empty(tuple(size), _C.int64)
    if values.numel():
        k.launch("topk", values, indices, self, k_, dim, largest)
    return values, indices


def _pick(self: Any, dim: int, keepdim: bool, position: Any) -> tuple[Any, Any]:
    """The sorted values and indices at one position along ``dim``."""
    values, indices = sort_row.kernel(self, dim, False)
    if self.ndim == 0:
        return values, indices
    picked = []
    for t in (values, indices):
        size, stride = list(t.shape), list(t.stride())
        offset = t.storage_offset() + position * stride[dim]
        if keepdim:
            size[dim] = 1
        else:
            del size[dim], stride[dim]
        picked.append(k.dense_copy(_C.as_strided(t, tuple(size), tuple(stride), offset)))
    return picked[0], picked[1]


def _need_length(self: Any, dim: int, name: str) -> int:
    dim = k.wrap_dim(dim, self.ndim)
    if self.ndim and self.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    return dim


@op(
    "kthvalue(Tensor self, int k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
    family="sort",
    vjp=lambda grad, self_size, result1, dim, keepdim: value_at(
        grad, self_size, result1, dim, keepdim
    ),
)
def kthvalue(self: Any, k_: int, dim: int, keepdim: bool) -> tuple[Any, Any]:
    dim = _need_length(self, dim, "kthvalue")
    length = self.shape[dim] if self.ndim else 1
    if not 1 <= k_ <= length:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    return _pick(self, dim, keepdim, k_ - 1)


def _median_rows(name: str, ignore_nan: bool) -> None:
    @op(
        f"{name}.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        family="sort",
        node=f"{name.title()}Backward0",
        vjp=lambda grad, self_size, result1, dim, keepdim: value_at(
            grad, self_size, result1, dim, keepdim
        ),
    )
    def along(self: Any, dim: int, keepdim: bool) -> tuple[Any, Any]:
        dim = _need_length(self, dim, name)
        return _median_along(self, dim, keepdim, ignore_nan)

    @op(
        f"{name}(Tensor self) -> Tensor",
        family="sort",
        node=f"{name.title()}Backward1",
        vjp=lambda grad, self, result: _shared(grad, self, result),
    )
    def overall(self: Any) -> Any:
        if self.numel() == 0:
            return k.full((), math.nan, self.dtype)
        flat = k.reshaped(k.contiguous(self), (self.numel(),))
        return _median_along(flat, 0, False, ignore_nan)[0]


def _shared(grad: Any, self: Any, result: Any) -> Any:
    mask = (self == result) | (self.isnan() & result.isnan())
    return mask * (grad / mask.sum())


def _median_along(self: Any, dim: int, keepdim: bool, ignore_nan: bool) -> tuple[Any, Any]:
    length = self.shape[dim] if self.ndim else 1
    if not self.dtype.is_floating_point:
        return _pick(self, dim, keepdim, (length - 1) // 2)
    values, indices = sort_row.kernel(self, dim, False)
    if self.ndim == 0:
        return values, indices
    nans = _C.reduce(
        _C.unary(self, _C.UNARY["isnan"], 0.0, 0.0, _C.bool),
        _C.REDUCE["count_nonzero"],
        (dim,),
        True,
        0.0,
        _C.int64,
    )
    if ignore_nan:
        valid = k.binary("rsub", nans, length)
        position = k.binary("div_floor", k.binary("sub", valid, 1), 2)
        position = k.binary("maximum", position, k.full((), 0, _C.int64), 1.0, _C.int64)
    else:
        # NaN sorts last, so where there is one, it is the median: the last position.
        some = k.binary("gt", nans, 0, 1.0, _C.int64, _C.bool)
        position = k.ternary(
            "where",
            some,
            k.full((), length - 1, _C.int64),
            k.full((), (length - 1) // 2, _C.int64),
            0.0,
            _C.int64,
        )
        position = k.binary(
            "minimum", position, _first_nan(values, dim, length, nans), 1.0, _C.int64
        )
    picked = []
    for t in (values, indices):
        out = k.empty(tuple(position.shape), t.dtype)
        k.launch("gather", out, t, position, dim)
        if not keepdim:
            size = [s for d, s in enumerate(out.shape) if d != dim]
            out = k.reshaped(out, size)
        picked.append(out)
    return picked[0], picked[1]


def _first_nan(values: Any, dim: int, length: int, nans: Any) -> Any:
    """Where the NaNs of sorted values begin, or beyond the median where there are none."""
    begin = k.binary("rsub", nans, length)
    some = k.binary("gt", nans, 0, 1.0, _C.int64, _C.bool)
    return k.ternary("where", some, begin, k.full((), length, _C.int64), 0.0, _C.int64)


_median_rows("median", False)
_median_rows("nanmedian", True)


@op(
    "mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
    family="sort",
    vjp=lambda grad, self_size, result1, dim, keepdim: value_at(
        grad, self_size, result1, dim, keepdim
    ),
)
def mode(self: Any, dim: int, keepdim: bool) -> tuple[Any, Any]:
    dim = _need_length(self, dim, "mode")
    if self.ndim == 0:
        return k.dense_copy(self), k.full((), 0, _C.int64)
    moved = [d for d in range(self.ndim) if d != dim]
    order = (*moved, dim)
    size = [self.shape[d] for d in order]
    rows = k.contiguous(
        _C.as_strided(
            self, tuple(size), tuple(self.stride(d) for d in order), self.storage_offset()
        )
    )
    flat = k.reshaped(rows, (k.numel(size[:-1]), size[-1])).tolist()
    picked = [_most_frequent(row) for row in flat]
    shape = size[:-1]
    values = (
        _C.from_data([v for v, _ in picked], self.dtype) if picked else k.empty((0,), self.dtype)
    )
    indices = _C.from_data([i for _, i in picked], _C.int64) if picked else k.empty((0,), _C.int64)
    final = tuple(self.shape[d] if d != dim else 1 for d in range(self.ndim)) if keepdim else shape
    return k.reshaped(values, final), k.reshaped(indices, final)


def _most_frequent(row: list[Any]) -> tuple[Any, int]:
    """The most frequent value, the smallest of several, and its last index."""
    counts: dict[Any, int] = {}
    last: dict[Any, int] = {}
    for i, value in enumerate(row):
        counts[value] = counts.get(value, 0) + 1
        last[value] = i
    best = max(counts.values())
    value = min(v for v, c in counts.items() if c == best)
    return value, last[value]


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
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while "
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
            "dimensions of boundaries tensor and input value tensor must match, but we got boundaries "
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
            "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but "
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
