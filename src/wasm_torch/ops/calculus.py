"""Differences, integrals and gradients along dims."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite


@composite(method=True)
def diff(self: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The n-th difference of neighbours along ``dim``."""
    if self.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0:
        return self.clone()
    parts = [t for t in (prepend, self, append) if t is not None]
    result = FUNCTIONS["cat"](parts, dim) if len(parts) > 1 else self
    at = k.wrap_dim(dim, result.ndim)
    for _ in range(min(n, result.shape[at])):
        length = result.shape[at] - 1
        if length < 0:
            break
        after, before = result.narrow(at, 1, length), result.narrow(at, 0, length)
        result = after ^ before if result.dtype is _C.bool else after - before
    return result


def _spacing(y: Any, x: Any, dx: Any, dim: int) -> Any:
    if x is None:
        return dx
    if x.ndim == 1:
        shape = [1] * y.ndim
        shape[dim] = x.shape[0]
        x = x.reshape(tuple(shape))
    elif x.ndim < y.ndim:
        x = x.reshape((1,) * (y.ndim - x.ndim) + tuple(x.shape))
    length = x.shape[dim]
    return x.narrow(dim, 1, length - 1) - x.narrow(dim, 0, length - 1)


def _pairs(y: Any, x: Any, dx: Any, dim: int) -> tuple[Any, int]:
    at = k.wrap_dim(dim, y.ndim)
    length = y.shape[at]
    sums = y.narrow(at, 1, length - 1) + y.narrow(at, 0, length - 1)
    return sums * _spacing(y, x, dx, at) / 2, at


@composite()
def trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """The integral along ``dim`` by the trapezoidal rule."""
    at = k.wrap_dim(dim, y.ndim)
    if y.shape[at] == 0:
        size = [s for d, s in enumerate(y.shape) if d != at]
        return FUNCTIONS["zeros"](tuple(size), dtype=y.dtype)
    if x is None:
        pieces, at = _pairs(y, None, 1.0, dim)
        return pieces.sum(at) * dx
    pieces, at = _pairs(y, x, dx, dim)
    return pieces.sum(at)


@composite()
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """The running integral along ``dim`` by the trapezoidal rule."""
    pieces, at = _pairs(y, x, dx, dim)
    return pieces.cumsum(at)


FUNCTIONS["trapz"] = FUNCTIONS["trapezoid"]


@composite()
def gradient(
    input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Any, ...]:
    """Central differences along each dim, one-sided at the edges (of order ``edge_order``)."""
    dims = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = [k.wrap_dim(d, input.ndim) for d in dims]
    if spacing is None:
        spacing = 1
    spacings = spacing if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if not input.dtype.is_floating_point:
        input = input.to(_C.get_default_dtype())
    return tuple(
        _gradient_along(input, d, s, edge_order) for d, s in zip(dims, spacings, strict=True)
    )


def _gradient_along(x: Any, dim: int, spacing: Any, edge_order: int) -> Any:
    length = x.shape[dim]
    if length < edge_order + 1:
        raise RuntimeError(
            "torch.gradient expected each dimension size to be at least edge_order+1"
        )

    def at(start: int, count: int) -> Any:
        return x.narrow(dim, start, count)

    if not isinstance(spacing, _C.TensorBase):
        h = float(spacing)
        inner = (at(2, length - 2) - at(0, length - 2)) / (2 * h)
        if edge_order == 1:
            left, right = (at(1, 1) - at(0, 1)) / h, (at(length - 1, 1) - at(length - 2, 1)) / h
        else:
            left = (-1.5 * at(0, 1) + 2 * at(1, 1) - 0.5 * at(2, 1)) / h
            right = (1.5 * at(length - 1, 1) - 2 * at(length - 2, 1) + 0.5 * at(length - 3, 1)) / h
        return FUNCTIONS["cat"]((left, inner, right), dim)
    shape = [1] * x.ndim
    shape[dim] = length - 1
    steps = (spacing[1:] - spacing[:-1]).reshape(tuple(shape))
    h1, h2 = steps.narrow(dim, 0, length - 2), steps.narrow(dim, 1, length - 2)
    inner = (
        at(0, length - 2) * (-h2 / (h1 * (h1 + h2)))
        + at(1, length - 2) * ((h2 - h1) / (h1 * h2))
        + at(2, length - 2) * (h1 / (h2 * (h1 + h2)))
    )
    first, last = steps.narrow(dim, 0, 1), steps.narrow(dim, length - 2, 1)
    if edge_order == 1:
        left = (at(1, 1) - at(0, 1)) / first
        right = (at(length - 1, 1) - at(length - 2, 1)) / last
    else:
        second, before = steps.narrow(dim, 1, 1), steps.narrow(dim, length - 3, 1)
        left = (
            at(0, 1) * (-(2 * first + second) / (first * (first + second)))
            + at(1, 1) * ((first + second) / (first * second))
            + at(2, 1) * (-first / (second * (first + second)))
        )
        right = (
            at(length - 3, 1) * (last / (before * (before + last)))
            + at(length - 2, 1) * (-(before + last) / (before * last))
            + at(length - 1, 1) * ((2 * last + before) / (last * (before + last)))
        )
    return FUNCTIONS["cat"]((left, inner, right), dim)
