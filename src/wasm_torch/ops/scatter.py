"""Gather and scatter."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, METHODS, op


def require_index(name: str, index: Any) -> Any:
    if index.dtype is _C.int64:
        return index
    if index.dtype is _C.int32:
        return k.cast(index, _C.int64)
    raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")


def _check_ranks(self: Any, index: Any, what: str = "input") -> None:
    if max(self.ndim, 1) != max(index.ndim, 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {what} tensor")


def _check_index_shape(self: Any, index: Any, dim: int, what: str) -> None:
    for d in range(index.ndim):
        if d != dim and index.shape[d] > self.shape[d]:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index.shape)} to be no "
                f"larger than {what} {list(self.shape)} apart from dimension {dim}"
            )


def one_dim(tensor: Any) -> Any:
    return (
        _C.as_strided(tensor, (1,), (1,), tensor.storage_offset()) if tensor.ndim == 0 else tensor
    )


@op(
    "gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor",
    family="indexing",
    vjp=lambda grad, self_size, dim, index: FUNCTIONS["zeros"](
        tuple(self_size), dtype=grad.dtype
    ).scatter_add(dim, index, grad),
)
def gather(self: Any, dim: int, index: Any, sparse_grad: bool) -> Any:
    """``out[i][j] = self[index[i][j]][j]`` for ``dim`` 0 of two: the elements at ``index`` (int64)
    along ``dim``, in its shape. Raises RuntimeError out of range.
    """
    dim = k.wrap_dim(dim, self.ndim)
    out = k.empty(tuple(index.shape), self.dtype)
    if index.numel() == 0:
        return out
    index = require_index("gather", index)
    _check_ranks(self, index)
    source, wide, result = one_dim(self), one_dim(index), one_dim(out)
    _check_index_shape(source, wide, dim, "self")
    k.launch("gather", result, source, wide, dim)
    return out


def scatter_into(result: Any, dim: int, index: Any, src: Any, mode: str) -> Any:
    """Scatters ``src`` (tensor or number) into a tensor that nobody else has."""
    dim = k.wrap_dim(dim, result.ndim)
    if index.numel() == 0:
        return result
    index = require_index("scatter", index)
    _check_ranks(result, index, "self")
    target, wide = one_dim(result), one_dim(index)
    _check_index_shape(target, wide, dim, "self")
    values, number = None, 0
    if isinstance(src, _C.TensorBase):
        if src.dtype is not result.dtype:
            raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
        _check_ranks(src, index, "src")
        values = one_dim(src)
        for d in range(wide.ndim):
            if wide.shape[d] > values.shape[d]:
                raise RuntimeError(
                    f"Expected index {list(wide.shape)} to be no larger than self "
                    f"{list(target.shape)} apart from dimension {dim} and to be no larger size "
                    "than "
                    f"src {list(values.shape)}"
                )
    else:
        number = src
    k.launch("scatter", target, wide, values, dim, _C.SCATTER[mode], number)
    return result


def copied(self: Any) -> Any:
    result = k.empty_like(self)
    _C.copy_into(result, self)
    return result


@op(
    "scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor",
    family="indexing",
    inplace=True,
    vjp={
        "self": lambda grad, dim, index: grad.scatter(dim, index, 0),
        "src": lambda grad, dim, index, src_size: _gather_like(grad, dim, index, src_size),
    },
)
def scatter_src(self: Any, dim: int, index: Any, src: Any) -> Any:
    """A copy of ``self`` with ``src`` written to ``index`` (int64) along ``dim``. Raises
    RuntimeError out of range.
    """
    return scatter_into(copied(self), dim, index, src, "set")


def _gather_like(grad: Any, dim: int, index: Any, size: Any) -> Any:
    """The gradient of src, which may be larger than the index."""
    result = grad.gather(dim, index)
    if tuple(index.shape) == tuple(size):
        return result
    padded = FUNCTIONS["zeros"](tuple(size), dtype=grad.dtype)
    window = tuple(slice(0, n) for n in index.shape)
    padded[window] = result
    return padded


@op(
    "scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor",
    family="indexing",
    node="ScatterBackward1",
    vjp=lambda grad, dim, index: grad.scatter(dim, index, 0),
)
def scatter_value(self: Any, dim: int, index: Any, value: Any) -> Any:
    """A copy of ``self`` with ``value`` written to ``index`` (int64) along ``dim``. Raises
    RuntimeError out of range.
    """
    return scatter_into(copied(self), dim, index, value, "set")


_scatter, _scatter_ = FUNCTIONS["scatter"], FUNCTIONS["scatter_"]


def _with_reduce(plain: Any, inplace: bool) -> Any:
    """``scatter(..., reduce="add")`` is an older spelling of scatter_reduce."""

    def call(self: Any, dim: int, index: Any, *args: Any, **kwargs: Any) -> Any:
        reduce = kwargs.pop("reduce", None)
        if reduce is None:
            return plain(self, dim, index, *args, **kwargs)
        options = {"out": kwargs.pop("out")} if "out" in kwargs else {}
        source = args[0] if args else kwargs.get("src", kwargs.get("value"))
        if reduce not in ("add", "multiply"):
            raise RuntimeError("reduce argument must be either add or multiply.")
        if not isinstance(source, _C.TensorBase):
            source = k.full(tuple(index.shape), source, self.dtype)
        name = "scatter_reduce_" if inplace else "scatter_reduce"
        kind = {"add": "sum", "multiply": "prod"}[reduce]
        return FUNCTIONS[name](self, dim, index, source, kind, **options)

    call.__name__ = call.__qualname__ = "scatter_" if inplace else "scatter"
    call.__doc__ = plain.__doc__
    return call


FUNCTIONS["scatter"] = METHODS["scatter"] = _with_reduce(_scatter, False)
FUNCTIONS["scatter_"] = METHODS["scatter_"] = _with_reduce(_scatter_, True)


@op(
    "scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor",
    family="indexing",
    inplace=True,
    vjp={
        "self": lambda grad: grad,
        "src": lambda grad, dim, index, src_size: _gather_like(grad, dim, index, src_size),
    },
)
def scatter_add(self: Any, dim: int, index: Any, src: Any) -> Any:
    """A copy of ``self`` with ``src`` added at ``index`` (int64) along ``dim``; repeated indices
    add up.
    """
    return scatter_into(copied(self), dim, index, src, "add")


_MODES = {"sum": "add", "prod": "multiply", "amax": "amax", "amin": "amin", "mean": "add"}
_IDENTITY = {"sum": 0, "prod": 1, "amax": None, "amin": None, "mean": 0}


@op(
    "scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool "
    "include_self=True) -> Tensor",
    family="indexing",
    inplace=True,
    node="ScatterReduceBackward0",
    vjp={
        "self, src": lambda grad, self, dim, index, src, reduce, include_self, result: (
            _scatter_reduce_backward(grad, self, dim, index, src, reduce, include_self, result)
        )
    },
)
def scatter_reduce(
    self: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool
) -> Any:
    """A copy of ``self`` in which the elements of ``src`` with one index are combined by ``reduce``
    (sum, prod, mean, amax, amin); ``include_self`` takes in the element that is there.
    """
    if reduce not in _MODES:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    result = copied(self)
    if not include_self:
        scatter_into(result, dim, index, _identity(reduce, self.dtype), "set")
    scatter_into(result, dim, index, src, _MODES[reduce])
    if reduce == "mean":
        counts = _scatter_counts(self, dim, index, src, include_self)
        if result.dtype.is_floating_point:
            return k.binary("div", result, counts)
        return k.binary("div_floor", result, counts)
    return result


def _identity(reduce: str, dtype: Any) -> Any:
    if _IDENTITY[reduce] is not None:
        return _IDENTITY[reduce]
    if dtype.is_floating_point:
        return float("-inf") if reduce == "amax" else float("inf")
    if dtype is _C.bool:
        return reduce == "amin"
    limits = FUNCTIONS["iinfo"](dtype)
    return limits.min if reduce == "amax" else limits.max


def _scatter_counts(self: Any, dim: int, index: Any, src: Any, include_self: bool) -> Any:
    start = k.full(tuple(self.shape), 1 if include_self else 0, self.dtype)
    ones = k.full(tuple(src.shape), 1, self.dtype)
    counts = scatter_into(start, dim, index, ones, "add")
    return k.binary("maximum", counts, k.full((), 1, self.dtype))


def _scatter_reduce_backward(
    grad: Any,
    self: Any,
    dim: int,
    index: Any,
    src: Any,
    reduce: str,
    include_self: bool,
    result: Any,
) -> tuple[Any, Any]:
    where = FUNCTIONS["where"]
    if reduce == "sum":
        grad_self, grad_src = grad, _gather_like(grad, dim, index, src.shape)
    elif reduce == "mean":
        counts = _scatter_counts(self.detach(), dim, index, src.detach(), include_self)
        grad_self = grad / counts
        grad_src = _gather_like(grad / counts, dim, index, src.shape)
    elif reduce in ("amax", "amin"):
        chosen = result.gather(dim, index)
        hits_self = (self == result).to(grad.dtype)
        narrow = src[tuple(slice(0, n) for n in index.shape)] if index.ndim else src
        hits_src = (narrow == chosen).to(grad.dtype)
        total = hits_self if include_self else k.full_like(self, 0, grad.dtype)
        total = total.scatter_add(dim, index, hits_src)
        share = grad / total.clamp(min=1)
        grad_self = share * hits_self
        grad_src = share.gather(dim, index) * hits_src
    else:
        masked = self.masked_fill(self == 0, 1)
        grad_self = where(self == 0, 0.0, grad * result / masked)
        zero_in_src = src == 0
        safe = src.masked_fill(zero_in_src, 1)
        zeros_here = FUNCTIONS["zeros_like"](self).scatter_add(
            dim, index, zero_in_src.to(self.dtype)
        )
        single = (zeros_here.gather(dim, index) == 1) & zero_in_src
        without = self.detach().scatter_reduce(dim, index, safe, "prod", include_self=include_self)
        self_zero = (self == 0).logical_and(zeros_here == 0)
        rest = FUNCTIONS["ones_like"](self).scatter_reduce(dim, index, src, "prod")
        grad_self = where(self_zero, grad * rest, grad_self)
        slope = (grad * result).gather(dim, index) / safe
        grad_src = where(
            zero_in_src, where(single, (grad * without).gather(dim, index), 0.0), slope
        )
    if not include_self and grad_self is not None:
        grad_self = grad_self.scatter(dim, index, 0)
    return grad_self, grad_src
