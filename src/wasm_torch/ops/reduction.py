"""Reductions over any dims, and scans along one."""

from __future__ import annotations

import math
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._kernels import (
    as_float,
    binary,
    cast,
    contiguous,
    empty,
    launch,
    numel,
    reduced_size,
    wrap_dim,
    wrap_dims,
)
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite, op, scalar_name
from wasm_torch.return_types import return_type


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


def _sum_dtype(self: Any, dtype: Any) -> Any:
    if dtype is not None:
        return dtype
    return self.dtype if self.dtype.is_floating_point else _C.int64


@op(
    "sum(Tensor self, *, ScalarType? dtype=None) -> Tensor",
    family="reduction",
    vjp=lambda grad, self_size: grad.expand(tuple(self_size)),
)
def sum_all(self: Any, dtype: Any) -> Any:
    return reduce("sum", self, None, False, 0.0, _sum_dtype(self, dtype))


@op(
    "sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) "
    "-> Tensor",
    family="reduction",
    node="SumBackward1",
    vjp=lambda grad, self_size, dim, keepdim: spread(grad, self_size, dim, keepdim),
)
def sum_dim(self: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    return reduce("sum", self, dim, keepdim, 0.0, _sum_dtype(self, dtype))


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
    return reduce("mean", self, None, False, 0.0, _mean_dtype(self, dtype))


def _count(size: Any, dim: Any) -> int:
    return numel(size[d] for d in wrap_dims(dim, len(size))) if size else 1


@op(
    "mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    family="reduction",
    node="MeanBackward1",
    vjp=lambda grad, self_size, dim, keepdim: (
        spread(grad, self_size, dim, keepdim) / max(_count(self_size, dim), 1)
    ),
)
def mean_dim(self: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    return reduce("mean", self, dim, keepdim, 0.0, _mean_dtype(self, dtype))


@op(
    "nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    family="reduction",
    vjp=lambda grad, self, dim, keepdim: (
        spread(grad, self.shape, dim, keepdim) * self.isnan().logical_not()
    ),
)
def nansum(self: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    if not self.dtype.is_floating_point:
        return reduce("sum", self, dim, keepdim, 0.0, _sum_dtype(self, dtype))
    return reduce("nansum", self, dim, keepdim, 0.0, _sum_dtype(self, dtype))


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
    return reduce("prod", self, None, False, 0.0, _sum_dtype(self, dtype))


@op(
    "prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    family="reduction",
    node="ProdBackward1",
    vjp=lambda grad, self, dim, keepdim, result: _prod_dim_backward(
        grad, self, dim, keepdim, result
    ),
)
def prod_dim(self: Any, dim: int, keepdim: bool, dtype: Any) -> Any:
    return reduce("prod", self, dim, keepdim, 0.0, _sum_dtype(self, dtype))


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


# ---- extremes ------------------------------------------------------------------------------------
def _share_among_equal(grad: Any, self: Any, result: Any, dim: Any, keepdim: bool) -> Any:
    size = self.shape
    mask = self == restore_dims(result, size, dim, keepdim)
    count = mask.sum(wrap_dims(dim, self.ndim), True) if self.ndim else mask.sum()
    return mask * (restore_dims(grad, size, dim, keepdim) / count)


def _check_not_empty(name: str, self: Any, dims: Any) -> None:
    if self.numel() == 0 and any(self.shape[d] == 0 for d in wrap_dims(dims, self.ndim)):
        raise IndexError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
            if dims is None or dims == ()
            else f"{name}(): Expected reduction dim {wrap_dims(dims, self.ndim)[0]} to have non-zero "
            "size."
        )


def _extreme_rows(name: str) -> None:
    @op(
        f"{name}(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor",
        family="reduction",
        vjp=lambda grad, self, result, dim, keepdim: _share_among_equal(
            grad, self, result, dim, keepdim
        ),
    )
    def kernel(self: Any, dim: Any, keepdim: bool) -> Any:
        _check_not_empty(name, self, dim)
        return reduce(name, self, dim, keepdim)


_extreme_rows("amax")
_extreme_rows("amin")


def value_at(grad: Any, size: Any, indices: Any, dim: int, keepdim: bool) -> Any:
    """Zeros of ``size`` with ``grad`` at ``indices`` along ``dim``."""
    zeros = FUNCTIONS["zeros"](tuple(size), dtype=grad.dtype)
    if not size:
        return zeros.scatter(0, indices, grad)
    if not keepdim:
        grad, indices = grad.unsqueeze(dim), indices.unsqueeze(dim)
    return zeros.scatter(dim, indices, grad)


def arg_reduce(self: Any, dim: int, keepdim: bool, maximum: bool, name: str) -> tuple[Any, Any]:
    """Values and indices of the extreme elements along ``dim``."""
    dim = wrap_dim(dim, self.ndim)
    if self.ndim and self.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    size = reduced_size(self.shape, (dim,), True)
    values, indices = empty(size, self.dtype), empty(size, _C.int64)
    if values.numel():
        launch("arg_reduce", values, indices, self, dim, maximum)
    if keepdim or not self.ndim:
        return values, indices
    final = reduced_size(self.shape, (dim,), False)
    return tuple(_C.as_strided(t, final, _without(t.stride(), dim), 0) for t in (values, indices))  # type: ignore[return-value]


def _without(values: Any, position: int) -> tuple[int, ...]:
    return tuple(v for i, v in enumerate(values) if i != position)


def _extreme_with_index(name: str, whole: str) -> None:
    @op(
        f"{name}(Tensor self) -> Tensor",
        family="reduction",
        node=f"{name.title()}Backward1",
        vjp=lambda grad, self, result: _share_among_equal(grad, self, result, None, False),
    )
    def reduce_all(self: Any) -> Any:
        if self.numel() == 0:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
                "the reduction dim with the 'dim' argument."
            )
        return reduce(whole, self, None)

    @op(
        f"{name}.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        family="reduction",
        node=f"{name.title()}Backward0",
        vjp=lambda grad, self_size, dim, keepdim, result1: value_at(
            grad, self_size, result1, dim, keepdim
        ),
    )
    def reduce_dim(self: Any, dim: int, keepdim: bool) -> Any:
        return arg_reduce(self, dim, keepdim, name == "max", name)


_extreme_with_index("max", "amax")
_extreme_with_index("min", "amin")


def _also_elementwise(name: str, elementwise: str) -> None:
    """``max(a, b)`` is ``maximum(a, b)``."""
    reducing = FUNCTIONS[name]

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        other = args[0] if args else kwargs.get("other")
        if isinstance(other, _C.TensorBase):
            kwargs.pop("other", None)
            return FUNCTIONS[elementwise](self, other, **kwargs)
        if "input" in kwargs:
            kwargs["self"] = kwargs.pop("input")
        return reducing(self, *args, **kwargs)

    call.__name__ = call.__qualname__ = name
    FUNCTIONS[name] = METHODS[name] = call


_also_elementwise("max", "maximum")
_also_elementwise("min", "minimum")


def _arg_row(name: str, maximum: bool) -> None:
    @op(f"{name}(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", family="reduction")
    def kernel(self: Any, dim: int | None, keepdim: bool) -> Any:
        if self.numel() == 0 and dim is None:
            raise IndexError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
                "the reduction dim with the 'dim' argument."
            )
        if dim is not None:
            return arg_reduce(self, dim, keepdim, maximum, name)[1]
        flat = contiguous(self)
        flat = _C.as_strided(flat, (self.numel(),), (1,), flat.storage_offset())
        result = arg_reduce(flat, 0, False, maximum, name)[1]
        if keepdim and self.ndim:
            return _C.as_strided(result, (1,) * self.ndim, (1,) * self.ndim, 0)
        return result


_arg_row("argmax", True)
_arg_row("argmin", False)


@composite(method=True)
def aminmax(self: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest element, over all or along ``dim``."""
    if dim is None and self.numel() == 0:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    dims = () if dim is None else dim
    result = FUNCTIONS["amin"](self, dims, keepdim), FUNCTIONS["amax"](self, dims, keepdim)
    return _AMINMAX(*result)


_AMINMAX = return_type("aminmax", ("min", "max"))


# ---- truth ---------------------------------------------------------------------------------------
def _truth_rows(name: str) -> None:
    @op(f"{name}(Tensor self) -> Tensor", family="reduction")
    def reduce_all(self: Any) -> Any:
        return truth(self, None, False)

    @op(
        f"{name}.dims(Tensor self, int[1]? dim=None, bool keepdim=False) -> Tensor",
        family="reduction",
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
    return reduce("count_nonzero", self, dim, False, 0.0, _C.int64)


# ---- variance ------------------------------------------------------------------------------------
def _variance_backward(grad: Any, self: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    count = _count(self.shape, dim)
    grad = restore_dims(grad, self.shape, dim, keepdim)
    mean = self.mean(wrap_dims(dim, self.ndim), True) if self.ndim else self
    freedom = count - _correction(correction)
    factor = 2.0 / freedom if freedom > 0 else math.nan if freedom == 0 else 2.0 / freedom
    return factor * grad * (self - mean)


def _correction(value: Any) -> float:
    return 1.0 if value is None else float(value)


@op(
    "var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) "
    "-> Tensor",
    family="reduction",
    function=False,
    method=False,
    vjp=lambda grad, self, dim, correction, keepdim: _variance_backward(
        grad, self, dim, correction, keepdim
    ),
)
def var_correction(self: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    _require_float("var", self)
    return reduce("var", self, dim, keepdim, _correction(correction))


@op(
    "std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) "
    "-> Tensor",
    family="reduction",
    function=False,
    method=False,
    vjp=lambda grad, self, dim, correction, keepdim, result: _variance_backward(
        FUNCTIONS["where"](result == 0, 0.0, grad / (2 * result)), self, dim, correction, keepdim
    ),
)
def std_correction(self: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    _require_float("std", self)
    return reduce("std", self, dim, keepdim, _correction(correction))


def _require_float(name: str, self: Any) -> None:
    if not self.dtype.is_floating_point:
        raise RuntimeError(f"{name}: only support floating point and complex dtypes")


def _spread_rows(name: str, row: Any) -> None:
    """``var(x)``, ``var(x, dim)``, ``var(x, unbiased)``, ``var(x, dim, unbiased, keepdim)``."""

    def call(
        self: Any,
        dim: Any = None,
        unbiased: Any = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if unbiased is not None:
            correction = int(unbiased)
        return row(self, dim, correction=correction, keepdim=keepdim)

    call.__name__ = name
    call.__doc__ = f"The {'variance' if name == 'var' else 'standard deviation'} over dims."
    composite(method=True)(call)


_spread_rows("var", var_correction)
_spread_rows("std", std_correction)


def _with_mean(name: str) -> None:
    result = return_type(f"{name}_mean", (name, "mean"))

    def call(
        self: Any,
        dim: Any = None,
        unbiased: Any = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        spread_value = FUNCTIONS[name](self, dim, unbiased, keepdim, correction=correction)
        if dim is None:
            mean = self.mean(tuple(range(self.ndim)), keepdim) if self.ndim else self.mean()
        else:
            mean = self.mean(dim, keepdim)
        return result(spread_value, mean)

    call.__name__ = f"{name}_mean"
    call.__doc__ = f"The {name} and the mean over dims."
    composite()(call)


_with_mean("var")
_with_mean("std")


# ---- norms ---------------------------------------------------------------------------------------
@op(
    "linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, "
    "ScalarType? dtype=None) -> Tensor",
    family="reduction",
    method=False,
    vjp=lambda grad, self, ord, dim, keepdim, result: _norm_backward(
        grad, self, ord, dim, keepdim, result
    ),
)
def linalg_vector_norm(self: Any, ord: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    if not self.dtype.is_floating_point:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{scalar_name(self.dtype)}"
        )
    self = self if dtype is None else cast(self, dtype)
    if self.numel() == 0 and (float(ord) < 0 or math.isinf(ord)):
        _check_norm_identity(self, ord, dim)
    return reduce("norm", self, dim, keepdim, float(ord))


def _check_norm_identity(self: Any, ord: Any, dim: Any) -> None:
    if dim is None or any(self.shape[d] == 0 for d in wrap_dims(dim, self.ndim)):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {float(ord):g} norm on an empty tensor because "
            "the operation does not have an identity"
        )


def _norm_backward(grad: Any, self: Any, ord: Any, dim: Any, keepdim: bool, result: Any) -> Any:
    where = FUNCTIONS["where"]
    size = self.shape
    grad, result = (restore_dims(t, size, dim, keepdim) for t in (grad, result))
    order = float(ord)
    if order == 0.0:
        return FUNCTIONS["zeros_like"](self)
    if order == 1.0:
        return self.sgn() * grad
    if order == 2.0:
        return grad * where(result == 0, 0.0, self / result)
    if math.isinf(order):
        magnitude = self.abs()
        mask = magnitude == result
        dims = wrap_dims(dim, self.ndim)
        count = mask.sum(dims, True) if self.ndim else mask.sum()
        return self.sgn() * mask * (grad / count)
    if order < 1.0:
        slope = self.sgn() * where(self == 0, 0.0, self.abs().pow(order - 1))
        return slope * grad * result.pow(1 - order)
    if order < 2.0:
        slope = self.sgn() * self.abs().pow(order - 1)
        return slope * where(result == 0, 0.0, grad / result.pow(order - 1))
    return self * self.abs().pow(order - 2) * where(result == 0, 0.0, grad / result.pow(order - 1))


@op(
    "logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor",
    family="reduction",
    vjp=lambda grad, self, result, dim, keepdim: (
        restore_dims(grad, self.shape, dim, keepdim)
        * (self - restore_dims(_finite(result), self.shape, dim, keepdim)).exp()
    ),
)
def logsumexp(self: Any, dim: Any, keepdim: bool) -> Any:
    return reduce("logsumexp", as_float(self), dim, keepdim)


def _finite(result: Any) -> Any:
    return FUNCTIONS["where"](result == -math.inf, 0.0, result)


# ---- scans ---------------------------------------------------------------------------------------
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
    return scan("cumsum", self, dim, _sum_dtype(self, dtype))


@op(
    "cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor",
    family="scan",
    inplace=True,
    vjp=lambda grad, self, dim, result: _cumprod_backward(grad, self, dim, result),
)
def cumprod(self: Any, dim: int, dtype: Any) -> Any:
    return scan("cumprod", self, dim, _sum_dtype(self, dtype))


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


def _cumulative_extreme(name: str) -> None:
    @op(
        f"{name}(Tensor self, int dim) -> (Tensor values, Tensor indices)",
        family="scan",
        vjp=lambda grad, self_size, result1, dim: FUNCTIONS["zeros"](
            tuple(self_size), dtype=grad.dtype
        ).scatter_add(dim, result1, grad),
    )
    def kernel(self: Any, dim: int) -> Any:
        return scan(name, self, dim, self.dtype, indexed=True)


_cumulative_extreme("cummax")
_cumulative_extreme("cummin")
