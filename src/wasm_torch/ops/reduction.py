"""Sums, means, products and truth over any dims."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._kernels import (
    binary,
    cast,
    numel,
    wrap_dim,
    wrap_dims,
)
from wasm_torch.ops._table import FUNCTIONS, composite, op


def reduce(
    name: str, self: Any, dims: Any, keepdim: bool = False, p0: float = 0.0, dtype: Any = None
) -> Any:
    """Runs a reduction; ``dims`` as users give them."""
    dims = wrap_dims(dims, self.ndim)
    if self.ndim == 0:
        dims = ()
    if self.ndim and not dims:
        dims = tuple(range(self.ndim))
    return _C.reduce(self, _C.REDUCE[name], dims or None, keepdim, p0, dtype)


def restore_dims(value: Any, size: tuple[int, ...], dims: Any, keepdim: bool) -> Any:
    """A reduced tensor with its reduced dims back as 1, so that it broadcasts over ``size``."""
    if keepdim or not size:
        return value
    kept = wrap_dims(dims, len(size))
    return value.reshape(tuple(1 if d in kept else s for d, s in enumerate(size)))


def spread(value: Any, size: tuple[int, ...], dims: Any, keepdim: bool) -> Any:
    """A reduced tensor expanded to ``size``."""
    return restore_dims(value, size, dims, keepdim).expand(tuple(size))


def sum_dtype(self: Any, dtype: Any) -> Any:
    if dtype is not None:
        return dtype
    return self.dtype if self.dtype.is_floating_point else _C.int64


@op(
    "sum(Tensor self, *, ScalarType? dtype=None) -> Tensor",
    family="reduction",
    vjp=lambda grad, self_size: grad.expand(tuple(self_size)),
)
def sum_all(self: Any, dtype: Any) -> Any:
    """The sum of all elements; integers and bool give int64."""
    return reduce("sum", self, None, False, 0.0, sum_dtype(self, dtype))


@op(
    "sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) "
    "-> Tensor",
    family="reduction",
    node="SumBackward1",
    vjp=lambda grad, self_size, dim, keepdim: spread(grad, self_size, dim, keepdim),
)
def sum_dim(self: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    """The sums over the dimensions ``dim``; integers and bool give int64."""
    return reduce("sum", self, dim, keepdim, 0.0, sum_dtype(self, dtype))


def _mean_dtype(self: Any, dtype: Any) -> Any:
    chosen = self.dtype if dtype is None else dtype
    if not chosen.is_floating_point:
        what = "Input dtype must be either a floating point or complex dtype. Got: "
        raise RuntimeError(f"mean(): could not infer output dtype. {what}{scalar_name(chosen)}")
    return chosen


@op(
    "mean(Tensor self, *, ScalarType? dtype=None) -> Tensor",
    family="reduction",
    vjp=lambda grad, self_size: grad.expand(tuple(self_size)) / max(numel(self_size), 1),
)
def mean_all(self: Any, dtype: Any) -> Any:
    """The mean of all elements. Raises RuntimeError for integers without ``dtype``."""
    return reduce("mean", self, None, False, 0.0, _mean_dtype(self, dtype))


def reduced_count(size: Any, dim: Any) -> int:
    return numel(size[d] for d in wrap_dims(dim, len(size))) if size else 1


@op(
    "mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    family="reduction",
    node="MeanBackward1",
    vjp=lambda grad, self_size, dim, keepdim: (
        spread(grad, self_size, dim, keepdim) / max(reduced_count(self_size, dim), 1)
    ),
)
def mean_dim(self: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    """The means over the dimensions ``dim``. Raises RuntimeError for integers without ``dtype``."""
    return reduce("mean", self, dim, keepdim, 0.0, _mean_dtype(self, dtype))


@op(
    "nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> "
    "Tensor",
    family="reduction",
    vjp=lambda grad, self, dim, keepdim: (
        spread(grad, self.shape, dim, keepdim) * self.isnan().logical_not()
    ),
)
def nansum(self: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    """The sum over ``dim`` (all dimensions) with NaN counted as 0."""
    if not self.dtype.is_floating_point:
        return reduce("sum", self, dim, keepdim, 0.0, sum_dtype(self, dtype))
    return reduce("nansum", self, dim, keepdim, 0.0, sum_dtype(self, dtype))


@composite(method=True)
def nanmean(self: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean of the elements that are not NaN."""
    counts = (
        self.isnan().logical_not().sum(dim, keepdim)
        if dim is not None
        else (self.isnan().logical_not().sum())
    )
    return FUNCTIONS["nansum"](self, dim, keepdim, dtype=dtype) / counts


# ---- products ------------------------------------------------------------------------------------
@op(
    "prod(Tensor self, *, ScalarType? dtype=None) -> Tensor",
    family="reduction",
    vjp=lambda grad, self, result: _prod_backward(grad, self, result),
)
def prod_all(self: Any, dtype: Any) -> Any:
    """The product of all elements; integers and bool give int64."""
    return reduce("prod", self, None, False, 0.0, sum_dtype(self, dtype))


@op(
    "prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    family="reduction",
    node="ProdBackward1",
    vjp=lambda grad, self, dim, keepdim, result: _prod_dim_backward(
        grad, self, dim, keepdim, result
    ),
)
def prod_dim(self: Any, dim: int, keepdim: bool, dtype: Any) -> Any:
    """The products along ``dim``; integers and bool give int64."""
    return reduce("prod", self, dim, keepdim, 0.0, sum_dtype(self, dtype))


def _prod_backward(grad: Any, self: Any, result: Any) -> Any:
    if self.ndim == 0:
        return grad
    if not bool((self == 0).any()):
        return grad * result / self
    return (grad * _products_without_each(self.reshape(-1), 0)).reshape(self.shape)


def _prod_dim_backward(grad: Any, self: Any, dim: int, keepdim: bool, result: Any) -> Any:
    if self.ndim == 0:
        return grad
    grad, result = (restore_dims(t, self.shape, dim, keepdim) for t in (grad, result))
    if not bool((self == 0).any()):
        return grad * result / self
    return grad * _products_without_each(self, wrap_dim(dim, self.ndim))


def _products_without_each(self: Any, dim: int) -> Any:
    """For each element, the product of the others along ``dim``: prefix times suffix products."""
    ones = FUNCTIONS["ones_like"](self.narrow(dim, 0, min(1, self.shape[dim])))
    before = FUNCTIONS["cat"]((ones, self.narrow(dim, 0, self.shape[dim] - 1)), dim).cumprod(dim)
    after = FUNCTIONS["cat"]((ones, self.flip(dim).narrow(dim, 0, self.shape[dim] - 1)), dim)
    return before * after.cumprod(dim).flip(dim)


# ---- truth ---------------------------------------------------------------------------------------
def _truth_rows(name: str) -> None:
    doc = f"Whether {name} elements are not zero, over ``dim`` (all dimensions); uint8 gives uint8."

    @op(f"{name}(Tensor self) -> Tensor", family="reduction", doc=doc)
    def reduce_all(self: Any) -> Any:
        return truth(self, None, False)

    @op(
        f"{name}.dims(Tensor self, int[1]? dim=None, bool keepdim=False) -> Tensor",
        family="reduction",
        doc=doc,
    )
    def reduce_dims(self: Any, dim: Any, keepdim: bool) -> Any:
        if dim == ():
            return binary("ne", self, 0, 1.0, self.dtype, _C.bool)
        return truth(self, dim, keepdim)

    def truth(self: Any, dim: Any, keepdim: bool) -> Any:
        result = reduce(name, self, dim, keepdim, 0.0, _C.bool)
        return cast(result, _C.uint8) if self.dtype is _C.uint8 else result


_truth_rows("any")
_truth_rows("all")


@op("count_nonzero(Tensor self, int[1]? dim=None) -> Tensor", family="reduction")
def count_nonzero(self: Any, dim: Any) -> Any:
    """How many elements over ``dim`` (all dimensions) are not zero, as int64."""
    return reduce("count_nonzero", self, dim, False, 0.0, _C.int64)
