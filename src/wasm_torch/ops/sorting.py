"""Sorting, the largest elements, and medians."""

from __future__ import annotations

import math
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import composite, op
from wasm_torch.ops.extremes import value_at


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
    """The elements in order along ``dim``, and their indices (int64); stable, NaN counts as the
    largest.
    """
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
    """The ``k`` largest (or smallest) elements along ``dim`` in order, and their indices (int64).
    Raises RuntimeError for k out of range.
    """
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
    "kthvalue(Tensor self, int k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor "
    "indices)",
    family="sort",
    vjp=lambda grad, self_size, result1, dim, keepdim: value_at(
        grad, self_size, result1, dim, keepdim
    ),
)
def kthvalue(self: Any, k_: int, dim: int, keepdim: bool) -> tuple[Any, Any]:
    """The ``k``-th smallest elements (from 1) along ``dim``, and their indices (int64). Raises
    RuntimeError for k out of range.
    """
    dim = _need_length(self, dim, "kthvalue")
    length = self.shape[dim] if self.ndim else 1
    if not 1 <= k_ <= length:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    return _pick(self, dim, keepdim, k_ - 1)


def _median_rows(name: str, ignore_nan: bool) -> None:
    nan = "NaN does not count" if ignore_nan else "NaN where there is one"

    @op(
        f"{name}.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        doc=f"The medians along ``dim``, and their indices (int64): the lower of two; {nan}.",
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
        doc=f"The median of all elements, the lower of two; {nan}.",
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
        position = k.binary("minimum", position, _first_nan(length, nans), 1.0, _C.int64)
    picked = []
    for t in (values, indices):
        out = k.empty(tuple(position.shape), t.dtype)
        k.launch("gather", out, t, position, dim)
        if not keepdim:
            size = [s for d, s in enumerate(out.shape) if d != dim]
            out = k.reshaped(out, size)
        picked.append(out)
    return picked[0], picked[1]


def _first_nan(length: int, nans: Any) -> Any:
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
    """The most frequent elements along ``dim``, the smallest of several, and the last index of each
    (int64).
    """
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
