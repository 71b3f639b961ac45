"""Running sums, products and extremes along a dim."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops._kernels import (
    as_float,
    cast,
    empty,
    launch,
    wrap_dim,
)
from wasm_torch.ops._table import FUNCTIONS, op
from wasm_torch.ops.reduction import sum_dtype


def scan(name: str, self: Any, dim: int, dtype: Any, indexed: bool = False) -> Any:
    """Runs a scan along ``dim``; with ``indexed`` also the indices."""
    dim = wrap_dim(dim, self.ndim)
    self = cast(self, dtype)
    out = empty(tuple(self.shape), dtype)
    indices = empty(tuple(self.shape), _C.int64) if indexed else None
    if self.numel():
        launch("scan", out, indices, self, dim, _C.SCAN[name])
    return (out, indices) if indexed else out


def _reversed_cumsum(value: Any, dim: int) -> Any:
    if value.ndim == 0 or value.shape[dim] < 2:
        return value
    return value.flip(dim).cumsum(dim).flip(dim)


@op(
    "cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor",
    family="scan",
    inplace=True,
    vjp=lambda grad, dim: _reversed_cumsum(grad, dim),
)
def cumsum(self: Any, dim: int, dtype: Any) -> Any:
    """Running sums along ``dim``; integers and bool give int64."""
    return scan("cumsum", self, dim, sum_dtype(self, dtype))


@op(
    "cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor",
    family="scan",
    inplace=True,
    vjp=lambda grad, self, dim, result: _cumprod_backward(grad, self, dim, result),
)
def cumprod(self: Any, dim: int, dtype: Any) -> Any:
    """Running products along ``dim``; integers and bool give int64."""
    return scan("cumprod", self, dim, sum_dtype(self, dtype))


def _cumprod_backward(grad: Any, self: Any, dim: int, result: Any) -> Any:
    """d out[k] / d x[i] = (product of the others up to k) for k >= i.

    Without zeros that is out[k] / x[i]; with zeros each column is formed anew, in O(n^2).
    """
    if self.ndim == 0 or self.numel() <= 1:
        return grad
    dim = wrap_dim(dim, self.ndim)
    if not bool((self == 0).any()):
        return _reversed_cumsum(grad * result, dim) / self
    length = self.shape[dim]
    columns = []
    for i in range(length):
        before = self.narrow(dim, 0, i).prod(dim, True)
        ones = FUNCTIONS["ones_like"](self.narrow(dim, 0, 1))
        tail = FUNCTIONS["cat"]((ones, self.narrow(dim, i + 1, length - i - 1)), dim).cumprod(dim)
        columns.append((grad.narrow(dim, i, length - i) * tail * before).sum(dim, True))
    return FUNCTIONS["cat"](columns, dim)


@op(
    "logcumsumexp(Tensor self, int dim) -> Tensor",
    family="scan",
    vjp=lambda grad, self, result, dim: _logcumsumexp_backward(grad, self, result, dim),
)
def logcumsumexp(self: Any, dim: int) -> Any:
    """log(cumsum(exp(x))) along ``dim``, without overflow on the way."""
    return scan("logcumsumexp", self, dim, as_float(self).dtype)


def _logcumsumexp_backward(grad: Any, self: Any, result: Any, dim: int) -> Any:
    if self.ndim == 0 or self.numel() == 0:
        return grad
    lowest = FUNCTIONS["finfo"](grad.dtype).min
    where = FUNCTIONS["where"]

    def part(log_grad: Any) -> Any:
        total = (log_grad - result).flip(dim).logcumsumexp(dim).flip(dim)
        return (total + self).exp()

    positive = where(grad > 0, grad.log(), lowest)
    negative = where(grad < 0, (-grad).log(), lowest)
    return part(positive) - part(negative)


def _cumulative_extreme(name: str, which: str) -> None:
    @op(
        f"{name}(Tensor self, int dim) -> (Tensor values, Tensor indices)",
        doc=f"The {which} element so far along ``dim``, and its index (int64).",
        family="scan",
        vjp=lambda grad, self_size, result1, dim: FUNCTIONS["zeros"](
            tuple(self_size), dtype=grad.dtype
        ).scatter_add(dim, result1, grad),
    )
    def kernel(self: Any, dim: int) -> Any:
        return scan(name, self, dim, self.dtype, indexed=True)


_cumulative_extreme("cummax", "largest")
_cumulative_extreme("cummin", "smallest")
