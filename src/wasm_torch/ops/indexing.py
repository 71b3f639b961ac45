"""Reading and writing by indices and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite, op, run_inplace, scalar_name


def _require_index(name: str, index: Any) -> Any:
    if index.dtype is _C.int64:
        return index
    if index.dtype is _C.int32:
        return k.cast(index, _C.int64)
    raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")


# ---- gather and scatter --------------------------------------------------------------------------
def _check_ranks(name: str, self: Any, index: Any, what: str = "input") -> None:
    if max(self.ndim, 1) != max(index.ndim, 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {what} tensor")


def _check_index_shape(self: Any, index: Any, dim: int, what: str) -> None:
    for d in range(index.ndim):
        if d != dim and index.shape[d] > self.shape[d]:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index.shape)} to be no "
                f"larger than {what} {list(self.shape)} apart from dimension {dim}"
            )


def _one_dim(tensor: Any) -> Any:
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
    dim = k.wrap_dim(dim, self.ndim)
    out = k.empty(tuple(index.shape), self.dtype)
    if index.numel() == 0:
        return out
    index = _require_index("gather", index)
    _check_ranks("gather", self, index)
    source, wide, result = _one_dim(self), _one_dim(index), _one_dim(out)
    _check_index_shape(source, wide, dim, "self")
    k.launch("gather", result, source, wide, dim)
    return out


def scatter_into(result: Any, dim: int, index: Any, src: Any, mode: str) -> Any:
    """Scatters ``src`` (tensor or number) into a tensor that nobody else has."""
    dim = k.wrap_dim(dim, result.ndim)
    if index.numel() == 0:
        return result
    index = _require_index("scatter", index)
    _check_ranks("scatter", result, index, "self")
    target, wide = _one_dim(result), _one_dim(index)
    _check_index_shape(target, wide, dim, "self")
    values, number = None, 0
    if isinstance(src, _C.TensorBase):
        if src.dtype is not result.dtype:
            raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
        _check_ranks("scatter", src, index, "src")
        values = _one_dim(src)
        for d in range(wide.ndim):
            if wide.shape[d] > values.shape[d]:
                raise RuntimeError(
                    f"Expected index {list(wide.shape)} to be no larger than self "
                    f"{list(target.shape)} apart from dimension {dim} and to be no larger size than "
                    f"src {list(values.shape)}"
                )
    else:
        number = src
    k.launch("scatter", target, wide, values, dim, _C.SCATTER[mode], number)
    return result


def _copied(self: Any) -> Any:
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
    return scatter_into(_copied(self), dim, index, src, "set")


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
    return scatter_into(_copied(self), dim, index, value, "set")


_scatter, _scatter_ = FUNCTIONS["scatter"], FUNCTIONS["scatter_"]


def _with_reduce(plain: Any, inplace: bool) -> Any:
    """``scatter(..., reduce="add")`` is an older spelling of scatter_reduce."""

    def call(self: Any, dim: int, index: Any, *args: Any, **kwargs: Any) -> Any:
        reduce = kwargs.pop("reduce", None)
        if reduce is None:
            return plain(self, dim, index, *args, **kwargs)
        source = args[0] if args else kwargs.get("src", kwargs.get("value"))
        if reduce not in ("add", "multiply"):
            raise RuntimeError("reduce argument must be either add or multiply.")
        if not isinstance(source, _C.TensorBase):
            source = k.full(tuple(index.shape), source, self.dtype)
        name = "scatter_reduce_" if inplace else "scatter_reduce"
        kind = {"add": "sum", "multiply": "prod"}[reduce]
        return METHODS[name](self, dim, index, source, kind)

    call.__name__ = call.__qualname__ = "scatter_" if inplace else "scatter"
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
    return scatter_into(_copied(self), dim, index, src, "add")


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
    if reduce not in _MODES:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    result = _copied(self)
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


# ---- along one dim -------------------------------------------------------------------------------
@op(
    "index_select(Tensor self, int dim, Tensor index) -> Tensor",
    family="indexing",
    vjp=lambda grad, self_size, dim, index: _index_select_backward(grad, self_size, dim, index),
)
def index_select(self: Any, dim: int, index: Any) -> Any:
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    index = _require_index("index_select", index)
    dim = k.wrap_dim(dim, self.ndim)
    if self.ndim == 0:
        if index.numel() != 1:
            raise RuntimeError("index_select(): Index to scalar can have only 1 value")
        return _copied(self)
    index = _one_dim(index)
    size = list(self.shape)
    size[dim] = index.shape[0]
    out = k.empty(tuple(size), self.dtype)
    if out.numel():
        k.launch("index_select", out, self, index, dim)
    return out


def _index_select_backward(grad: Any, size: Any, dim: int, index: Any) -> Any:
    if not size:
        return grad.reshape(())
    return FUNCTIONS["zeros"](tuple(size), dtype=grad.dtype).index_add(dim, index, grad)


def _spread_index(self: Any, dim: int, index: Any) -> Any:
    """An index along ``dim`` expanded to the rank of ``self``."""
    shape = [1] * self.ndim
    shape[dim] = index.shape[0]
    strides = [0] * self.ndim
    strides[dim] = index.stride(0)
    return _C.as_strided(index, tuple(shape), tuple(strides), index.storage_offset())


def _along(self: Any, dim: int, index: Any, source: Any, mode: str) -> Any:
    """Scatters slices of ``source`` into a copy of ``self`` along ``dim``."""
    result = _copied(self)
    target = _one_dim(result)
    dim = k.wrap_dim(dim, target.ndim)
    index = _one_dim(_require_index("index_add", index))
    if isinstance(source, _C.TensorBase):
        source = _one_dim(source)
        size = list(target.shape)
        size[dim] = index.shape[0]
        if tuple(source.shape) != tuple(size):
            if source.ndim == target.ndim and all(
                s == t or d == dim for d, (s, t) in enumerate(zip(source.shape, size, strict=True))
            ):
                raise RuntimeError(
                    f"index_add_(): Number of indices ({index.shape[0]}) should be equal to "
                    f"source.size(dim): ({source.shape[dim]}), for dim: {dim}"
                )
            raise RuntimeError(
                "source tensor shape must match self tensor shape, excluding the specified dimension."
                f" Got self.shape = {list(target.shape)} source.shape = {list(source.shape)}"
            )
    size = list(target.shape)
    size[dim] = index.shape[0]
    wide = k.expand_to(_spread_index(target, dim, index), size)
    if wide.numel():
        values = source if isinstance(source, _C.TensorBase) else None
        number = 0 if values is not None else source
        k.launch("scatter", target, wide, values, dim, _C.SCATTER[mode], number)
    return result


@op(
    "index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
    family="indexing",
    inplace=True,
    vjp={
        "self": lambda grad: grad,
        "source": lambda grad, dim, index, alpha, source_size: (
            _index_back(grad, dim, index, source_size) * alpha
        ),
    },
)
def index_add(self: Any, dim: int, index: Any, source: Any, alpha: Any) -> Any:
    if self.dtype is not source.dtype:
        raise RuntimeError("index_add_(): self and source expected to have the same dtype")
    if alpha != 1:
        source = k.binary("mul", source, alpha)
    return _along(self, dim, index, source, "add")


def _index_back(grad: Any, dim: int, index: Any, size: Any) -> Any:
    return grad.index_select(dim, index).reshape(tuple(size))


@op(
    "index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor",
    family="indexing",
    inplace=True,
    vjp={
        "self": lambda grad, dim, index: grad.index_fill(dim, index, 0),
        "source": lambda grad, dim, index, source_size: _index_back(grad, dim, index, source_size),
    },
)
def index_copy(self: Any, dim: int, index: Any, source: Any) -> Any:
    return _along(self, dim, index, source, "set")


@op(
    "index_fill.int_Scalar(Tensor self, int dim, Tensor index, Tensor value) -> Tensor",
    family="indexing",
    wrapped_numbers=True,
    inplace=True,
    vjp={
        "self": lambda grad, dim, index: grad.index_fill(dim, index, 0),
        "value": lambda grad, dim, index: grad.index_select(dim, index.unique()).sum(),
    },
)
def index_fill(self: Any, dim: int, index: Any, value: Any) -> Any:
    if isinstance(value, _C.TensorBase):
        if value.ndim:
            raise RuntimeError(
                "Only supports 0-dimension value tensor but got tensor with "
                f"{value.ndim} dimensions."
            )
        value = value.item()
    return _along(self, dim, index, value, "set")


_REDUCTIONS = {"prod": "multiply", "mean": "add", "amax": "amax", "amin": "amin"}


@composite(method=True, inplace=True)
def index_reduce(
    self: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> Any:
    """Reduces slices of ``source`` into ``self`` along ``dim``: prod, mean, amax or amin."""
    at = k.wrap_dim(dim, self.ndim)
    if reduce not in _REDUCTIONS:
        raise RuntimeError(
            f"reduce argument must be either prod, mean, amax or amin, got {reduce}."
        )
    if self.ndim == 0:
        result = METHODS["scatter_reduce"](
            self, 0, index.reshape(()), source.reshape(()), reduce, include_self=include_self
        )
        return result
    shape = [1] * self.ndim
    shape[at] = index.shape[0] if index.ndim else 1
    wide = index.reshape(tuple(shape)).expand(tuple(source.shape))
    return METHODS["scatter_reduce"](self, at, wide, source, reduce, include_self=include_self)


@composite(method=True)
def take_along_dim(self: Any, indices: Any, dim: int | None = None) -> Any:
    """Elements at ``indices`` along ``dim``, broadcast over the other dims."""
    if dim is None:
        return self.reshape(-1).gather(0, indices.reshape(-1))
    if self.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {self.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    at = k.wrap_dim(dim, self.ndim)
    size = list(self.shape)
    size[at] = 1
    index_size = list(indices.shape)
    index_size[at] = 1
    common = list(_C.broadcast_shapes(tuple(size), tuple(index_size)))
    own, other = list(common), list(common)
    own[at], other[at] = self.shape[at], indices.shape[at]
    indices = FUNCTIONS["where"](indices < 0, indices + self.shape[at], indices)
    return self.expand(tuple(own)).gather(at, indices.expand(tuple(other)))


@op(
    "take(Tensor self, Tensor index) -> Tensor",
    family="indexing",
    vjp=lambda grad, self_size, index: (
        FUNCTIONS["zeros"]((k.numel(self_size),), dtype=grad.dtype)
        .put(index, grad, True)
        .reshape(tuple(self_size))
    ),
)
def take(self: Any, index: Any) -> Any:
    if index.dtype is not _C.int64:
        raise RuntimeError(
            f"take(): Expected a long tensor for index, but got {scalar_name(index.dtype)}"
        )
    if self.numel() == 0 and index.numel():
        raise IndexError("take(): tried to take from an empty tensor")
    flat = k.reshaped(k.contiguous(self), (self.numel(),))
    return index_read(flat, [index])


@op(
    "put(Tensor self, Tensor index, Tensor source, bool accumulate=False) -> Tensor",
    family="indexing",
    inplace=True,
    vjp={
        "self": lambda grad, self_size, index, accumulate: (
            grad
            if accumulate
            else grad.put(index, FUNCTIONS["zeros"](tuple(index.shape), dtype=grad.dtype))
        ),
        "source": lambda grad, index, source_size: grad.take(index).reshape(tuple(source_size)),
    },
)
def put(self: Any, index: Any, source: Any, accumulate: bool) -> Any:
    if index.dtype is not _C.int64:
        raise RuntimeError(
            f"put_(): Expected a long tensor for index, but got {scalar_name(index.dtype)}"
        )
    if self.dtype is not source.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{scalar_name(self.dtype)} and source.dtype = {scalar_name(source.dtype)}"
        )
    if index.numel() != source.numel():
        raise RuntimeError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.numel()}, index.numel() = {index.numel()}"
        )
    result = k.dense_copy(self)
    flat = k.reshaped(result, (self.numel(),))
    values = k.reshaped(k.contiguous(source), tuple(index.shape))
    index_write(flat, [index], values, accumulate)
    return result


# ---- masks ---------------------------------------------------------------------------------------
def _mask(name: str, mask: Any) -> Any:
    if mask.dtype is _C.bool:
        return mask
    raise RuntimeError(f"{name} expected BoolTensor for mask, but got {scalar_name(mask.dtype)}")


@op(
    "masked_fill.Scalar(Tensor self, Tensor mask, Tensor value) -> Tensor",
    family="pointwise",
    wrapped_numbers=True,
    inplace=True,
    node="MaskedFillBackward0",
    vjp={
        "self": lambda grad, mask: grad.masked_fill(mask, 0),
        "value": lambda grad, mask: FUNCTIONS["where"](mask, grad, 0.0).sum(),
    },
)
def masked_fill(self: Any, mask: Any, value: Any) -> Any:
    if mask.dtype is not _C.bool:
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype.name}"
        )
    if isinstance(value, _C.TensorBase) and value.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    if isinstance(value, _C.TensorBase):
        value = value.item()
    if isinstance(value, float) and not self.dtype.is_floating_point:
        raise RuntimeError(f"value cannot be converted to type {self.dtype.name} without overflow")
    return k.ternary("where", mask, _C.from_data(value, self.dtype), self, 0.0, self.dtype)


@op(
    "masked_select(Tensor self, Tensor mask) -> Tensor",
    family="indexing",
    vjp=lambda grad, self_size, mask: _masked_select_backward(grad, self_size, mask),
)
def masked_select(self: Any, mask: Any) -> Any:
    if mask.dtype is not _C.bool:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    size = k.common_shape(self, mask) or (1,)
    return index_read(k.expand_to(self, size), [k.expand_to(mask, size)])


def _masked_select_backward(grad: Any, self_size: Any, mask: Any) -> Any:
    size = tuple(_C.broadcast_shapes(tuple(self_size), tuple(mask.shape))) or (1,)
    zeros = FUNCTIONS["zeros"](size, dtype=grad.dtype)
    return zeros.masked_scatter(mask, grad)


@op(
    "masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor",
    family="indexing",
    inplace=True,
    vjp={
        "self": lambda grad, mask: grad.masked_fill(mask, 0),
        "source": lambda grad, mask, source_size: _masked_scatter_source(grad, mask, source_size),
    },
)
def masked_scatter(self: Any, mask: Any, source: Any) -> Any:
    if self.dtype is not source.dtype:
        raise RuntimeError(
            "masked_scatter_: expected self and source to have same dtypes but got "
            f"{scalar_name(self.dtype)} and {scalar_name(source.dtype)}"
        )
    _mask("masked_scatter_", mask)
    size = k.common_shape(self, mask)
    result = k.empty(size, self.dtype)
    _C.copy_into(result, self)
    positions = _nonzero_columns(k.expand_to(mask, size))
    count = positions[0].shape[0] if positions else int(mask.item())
    if count > source.numel():
        raise RuntimeError("Number of elements of source < number of ones in mask")
    flat = k.reshaped(k.contiguous(source), (source.numel(),))
    values = _C.as_strided(flat, (count,), (1,), flat.storage_offset())
    if not positions:
        if count:
            _C.copy_into(result, _C.as_strided(flat, (), (), flat.storage_offset()))
        return result
    index_write(result, positions, values, False)
    return result


def _masked_scatter_source(grad: Any, mask: Any, size: Any) -> Any:
    selected = grad.masked_select(mask)
    missing = k.numel(size) - selected.shape[0]
    if missing:
        zeros = FUNCTIONS["zeros"](missing, dtype=grad.dtype)
        selected = FUNCTIONS["cat"]((selected, zeros))
    return selected.reshape(tuple(size))


@op("nonzero(Tensor self) -> Tensor", family="indexing", function=False, method=False)
def nonzero_row(self: Any) -> Any:
    count = int(_C.reduce(self, _C.REDUCE["count_nonzero"], None, False, 0.0, _C.int64).item())
    out = k.empty((count, self.ndim), _C.int64)
    if out.numel():
        k.launch("nonzero", out, self)
    return out


@composite(method=True)
def nonzero(self: Any, *, as_tuple: bool = False) -> Any:
    """Indices of the nonzero elements: (count, ndim), or a tuple of ndim vectors."""
    result = nonzero_row(self)
    if not as_tuple:
        return result
    return (nonzero_row(self.reshape(1)) if self.ndim == 0 else result).unbind(1)


@composite(method=True)
def argwhere(self: Any) -> Any:
    """Indices of the nonzero elements, (count, ndim)."""
    return nonzero_row(self)


@composite()
def nonzero_static(self: Any, *, size: int, fill_value: int = -1) -> Any:
    """nonzero with a fixed number of rows, cut or filled."""
    found = nonzero_row(self)[:size]
    rest = size - found.shape[0]
    if rest <= 0:
        return found
    return FUNCTIONS["cat"]((found, FUNCTIONS["full"]((rest, self.ndim), fill_value)))


METHODS["nonzero_static"] = FUNCTIONS["nonzero_static"]


def _nonzero_columns(mask: Any) -> list[Any]:
    indices = nonzero_row.kernel(mask)
    count = indices.shape[0]
    return [_C.as_strided(indices, (count,), (mask.ndim,), d) for d in range(mask.ndim)]


# ---- advanced indexing ---------------------------------------------------------------------------
def _expand_masks(self: Any, indices: Sequence[Any]) -> list[Any]:
    """Masks become the vectors of their nonzero positions."""
    result: list[Any] = []
    for index in indices:
        if index is None:
            result.append(None)
        elif index.dtype in (_C.bool, _C.uint8):
            at = len(result)
            for d in range(index.ndim):
                if at + d >= self.ndim or index.shape[d] != self.shape[at + d]:
                    raise IndexError(
                        f"The shape of the mask {list(index.shape)} at index {d} does not match the "
                        f"shape of the indexed tensor {list(self.shape)} at index {at + d}"
                    )
            mask = index if index.dtype is _C.bool else k.cast(index, _C.bool)
            result += _nonzero_columns(mask)
        elif index.dtype in (_C.int64, _C.int32, _C.int16, _C.int8):
            result.append(k.cast(index, _C.int64))
        else:
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if len(result) > self.ndim:
        raise IndexError(
            f"too many indices for tensor of dimension {self.ndim} (got {len(result)})"
        )
    return result + [None] * (self.ndim - len(result))


def _index_geometry(self: Any, indices: list[Any]) -> tuple[tuple[int, ...], Any, Any]:
    """Shape of the result, ``self`` laid out over it (stride 0 where indexed), and offsets."""
    used = [d for d, index in enumerate(indices) if index is not None]
    shapes = [tuple(indices[d].shape) for d in used]
    try:
        common = tuple(_C.broadcast_shapes(*shapes))
    except RuntimeError:
        raise IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes "
            + ", ".join(str(list(s)) for s in shapes)
        ) from None
    adjacent = used == list(range(used[0], used[-1] + 1)) if used else True
    place = used[0] if used and adjacent else 0
    kept = [d for d in range(self.ndim) if d not in used]
    before = [d for d in kept if adjacent and d < place] if used else kept
    after = [d for d in kept if d not in before]
    size = (*(self.shape[d] for d in before), *common, *(self.shape[d] for d in after))
    stride = (
        *(self.stride(d) for d in before),
        *(0,) * len(common),
        *(self.stride(d) for d in after),
    )
    base = _C.as_strided(self, size, stride, self.storage_offset()) if _fits(self) else self
    offsets_base = k.full((*common, *(1,) * len(after)), 0, _C.int64)
    for d in used:
        index = indices[d]
        wide = k.expand_to(index, common)
        wide = _C.as_strided(
            wide,
            (*common, *(1,) * len(after)),
            (*wide.stride(), *(0,) * len(after)),
            wide.storage_offset(),
        )
        if offsets_base.numel():
            k.launch("index_offset", offsets_base, wide, d, self.shape[d], self.stride(d))
    return size, base, k.expand_to(offsets_base, size) if k.numel(size) else offsets_base


def _fits(self: Any) -> bool:
    return self.numel() > 0


def index_read(self: Any, indices: list[Any]) -> Any:
    """``self[indices]`` for tensor indices (None: the whole dim), as a new tensor."""
    expanded = _expand_masks(self, indices)
    if all(index is None for index in expanded):
        return k.dense_copy(self)
    if self.numel() == 0:
        return _read_from_empty(self, expanded)
    size, base, offsets = _index_geometry(self, expanded)
    out = k.empty(size, self.dtype)
    if out.numel():
        k.launch("gather_offsets", out, base, offsets)
    return out


def _read_from_empty(self: Any, indices: list[Any]) -> Any:
    size, _, _ = _index_geometry(self, indices)
    if k.numel(size):
        raise IndexError("index is out of bounds for dimension with size 0")
    return k.empty(size, self.dtype)


def index_write(self: Any, indices: list[Any], values: Any, accumulate: bool) -> None:
    """Writes or adds ``values``, broadcast, at ``self[indices]``."""
    expanded = _expand_masks(self, indices)
    if all(index is None for index in expanded):
        _C.copy_into(self, k.binary("add", self, values) if accumulate else values)
        return
    if self.numel() == 0:
        return
    size, base, offsets = _index_geometry(self, expanded)
    own = tuple(values.shape)
    while len(own) > len(size) and own[0] == 1:
        own = own[1:]
    values = _C.as_strided(
        values, own, values.stride()[values.ndim - len(own) :], values.storage_offset()
    )
    if not _broadcasts(own, size):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(own)} cannot be broadcast to indexing "
            f"result of shape {list(size)}"
        )
    if k.numel(size):
        k.launch("scatter_offsets", base, offsets, k.expand_to(values, size), accumulate)


def _broadcasts(size: Sequence[int], target: Sequence[int]) -> bool:
    extra = len(target) - len(size)
    return extra >= 0 and all(s in (1, t) for s, t in zip(size, target[extra:], strict=True))


@op(
    "index.Tensor(Tensor self, Tensor?[] indices) -> Tensor",
    family="indexing",
    function=False,
    method=False,
    vjp={
        "self": lambda grad, self_size, indices: FUNCTIONS["index_put"](
            FUNCTIONS["zeros"](tuple(self_size), dtype=grad.dtype), indices, grad, True
        )
    },
)
def index(self: Any, indices: Any) -> Any:
    return index_read(self, list(indices))


@op(
    "index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor",
    family="indexing",
    inplace=True,
    vjp={
        "self": lambda grad, indices, accumulate, values_dtype: (
            grad
            if accumulate
            else FUNCTIONS["index_put"](grad, indices, FUNCTIONS["zeros"]((), dtype=grad.dtype))
        ),
        "values": lambda grad, indices: index(grad, indices),
    },
)
def index_put(self: Any, indices: Any, values: Any, accumulate: bool) -> Any:
    if self.dtype is not values.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{scalar_name(self.dtype)} for the destination and {scalar_name(values.dtype)} for the "
            "source."
        )
    result = _copied(self)
    index_write(result, list(indices), values, accumulate)
    return result


# ---- the subscript operator ----------------------------------------------------------------------
def _to_index(item: Any) -> Any:
    """What stands in an index becomes an int, slice, None, Ellipsis, bool or tensor."""
    if isinstance(item, _C.TensorBase):
        if item.ndim == 0 and item.dtype is not _C.bool and item.dtype is not _C.uint8:
            if item.dtype.is_floating_point:
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
            return item
        return item
    if isinstance(item, (list, tuple, range)) or hasattr(item, "__array__"):
        if isinstance(item, (list, tuple, range)) and len(item) == 0:
            return k.empty((0,), _C.int64)
        return FUNCTIONS["as_tensor"](item if not isinstance(item, range) else list(item))
    if isinstance(item, (int, slice, bool)) or item is None or item is Ellipsis:
        return item
    if hasattr(item, "__index__"):
        return item.__index__()
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
        f"indices (got {type(item).__name__})"
    )


def _slice_bound(value: Any) -> Any:
    return None if value is None else value.__index__()


def resolve(self: Any, item: Any) -> tuple[Any, list[Any]]:
    """A view for the basic part of an index, and tensors for the advanced part.

    The tensors are given per dim of the view, None where a dim is kept whole.
    """
    if not isinstance(item, tuple):
        treat_as_tuple = isinstance(item, list) and any(isinstance(v, slice) for v in item)
        item = tuple(item) if treat_as_tuple else (item,)
    items = [_to_index(i) for i in item]
    consumed = sum(_dims_used(i) for i in items)
    if consumed > self.ndim:
        raise IndexError(f"too many indices for tensor of dimension {self.ndim}")
    view, dim, tensors = self, 0, []
    for entry in items:
        if entry is Ellipsis:
            skipped = self.ndim - consumed
            dim += skipped
            tensors += [None] * skipped
        elif entry is None:
            view = view.unsqueeze(dim)
            tensors.append(None)
            dim += 1
        elif isinstance(entry, bool):
            view = view.unsqueeze(dim)
            tensors.append(_C.from_data([0], _C.int64) if entry else k.empty((0,), _C.int64))
            dim += 1
        elif isinstance(entry, int):
            view = _checked_select(view, dim, entry)
        elif isinstance(entry, slice):
            bounds = [_slice_bound(v) for v in (entry.start, entry.stop, entry.step)]
            if bounds != [None, None, None]:
                view = _sliced(view, dim, bounds)
            tensors.append(None)
            dim += 1
        elif entry.dtype in (_C.bool, _C.uint8) and entry.ndim == 0:
            view = view.unsqueeze(dim)
            chosen = bool(entry.item())
            tensors.append(_C.from_data([0], _C.int64) if chosen else k.empty((0,), _C.int64))
            dim += 1
        else:
            used = _dims_used(entry)
            tensors.append(entry)
            dim += used
    return view, tensors


def _dims_used(entry: Any) -> int:
    if entry is None or entry is Ellipsis or isinstance(entry, bool):
        return 0
    if isinstance(entry, _C.TensorBase) and entry.dtype in (_C.bool, _C.uint8):
        return entry.ndim
    return 1


def _checked_select(view: Any, dim: int, at: int) -> Any:
    size = view.shape[dim]
    if not -size <= at < size:
        raise IndexError(f"index {at} is out of bounds for dimension {dim} with size {size}")
    return view.select(dim, at)


def _sliced(view: Any, dim: int, bounds: list[Any]) -> Any:
    from wasm_torch.ops.views import slice_row

    return slice_row(view, dim, bounds[0], bounds[1], 1 if bounds[2] is None else bounds[2])


def getitem(self: Any, item: Any) -> Any:
    """``self[item]`` for what the extension does not do itself."""
    view, tensors = resolve(self, item)
    if all(t is None for t in tensors):
        return view if view is not self else METHODS["alias"](view)
    return index(view, tuple(tensors))


def setitem(self: Any, item: Any, value: Any) -> None:
    """``self[item] = value``."""
    view, tensors = resolve(self, item)
    if not isinstance(value, _C.TensorBase):
        value = FUNCTIONS["as_tensor"](value, dtype=self.dtype)
    if all(t is None for t in tensors):
        _assign(view if view is not self else self, value)
        return
    value = value.to(self.dtype)
    run_inplace(index_put, [view, tuple(tensors), value, False])


def _assign(view: Any, value: Any) -> None:
    size = tuple(value.shape)
    while len(size) > view.ndim and size[0] == 1:
        size = size[1:]
    if not _broadcasts(size, tuple(view.shape)):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to "
            f"indexing result of shape {list(view.shape)}"
            if len(size) <= view.ndim
            else f"expand({list(value.shape)}, size={list(view.shape)}): the number of sizes "
            f"provided ({view.ndim}) must be greater or equal to the number of dimensions in the "
            f"tensor ({value.ndim})"
        )
    METHODS["copy_"](view, value.reshape(size) if size != tuple(value.shape) else value)


_C.set_handlers(getitem=getitem, setitem=setitem)


# ---- embedding -----------------------------------------------------------------------------------
@op(
    "embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, "
    "bool sparse=False) -> Tensor",
    family="indexing",
    method=False,
    vjp={
        "weight": lambda grad, indices, weight_size, padding_idx, scale_grad_by_freq: FUNCTIONS[
            "embedding_backward"
        ](grad, indices, weight_size[0], padding_idx, scale_grad_by_freq)
    },
)
def embedding(
    weight: Any, indices: Any, padding_idx: int, scale_grad_by_freq: bool, sparse: bool
) -> Any:
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if indices.dtype not in (_C.int64, _C.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got torch.{_legacy(indices.dtype)} instead (while checking arguments "
            "for embedding)"
        )
    flat = k.reshaped(k.contiguous(k.cast(indices, _C.int64)), (indices.numel(),))
    rows = index_select.kernel(weight, 0, flat)
    return k.reshaped(rows, (*indices.shape, weight.shape[1]))


def _legacy(dtype: Any) -> str:
    return f"{scalar_name(dtype)}Tensor"


@op(
    "embedding_backward(Tensor grad_output, Tensor indices, int num_weights, int padding_idx, bool "
    "scale_grad_by_freq) -> Tensor",
    family="indexing",
    method=False,
    vjp={
        "grad_output": lambda grad, indices, padding_idx, scale_grad_by_freq: _embedding_double(
            grad, indices, padding_idx, scale_grad_by_freq
        )
    },
)
def embedding_backward(
    grad_output: Any, indices: Any, num_weights: int, padding_idx: int, scale_grad_by_freq: bool
) -> Any:
    columns = grad_output.shape[-1]
    flat = k.reshaped(k.contiguous(k.cast(indices, _C.int64)), (indices.numel(),))
    grads = k.reshaped(k.contiguous(grad_output), (indices.numel(), columns))
    if scale_grad_by_freq:
        counts = _along(
            k.full((num_weights,), 0, grads.dtype),
            0,
            flat,
            k.full((flat.shape[0],), 1, grads.dtype),
            "add",
        )
        weights = index_select.kernel(counts, 0, flat)
        grads = k.binary("div", grads, k.reshaped(weights, (flat.shape[0], 1)))
    result = _along(k.full((num_weights, columns), 0, grads.dtype), 0, flat, grads, "add")
    if padding_idx >= 0:
        k.fill(_C.as_strided(result, (columns,), (1,), padding_idx * columns), 0)
    return result


def _embedding_double(grad: Any, indices: Any, padding_idx: int, scale: bool) -> Any:
    result = FUNCTIONS["embedding"](grad, indices)
    if padding_idx >= 0:
        result = result.masked_fill((indices == padding_idx).unsqueeze(-1), 0)
    if scale:
        ones = FUNCTIONS["ones"](indices.numel(), dtype=grad.dtype)
        zeros = FUNCTIONS["zeros"](grad.shape[0], dtype=grad.dtype)
        counts = zeros.index_add(0, indices.reshape(-1), ones)
        result = result / counts[indices].unsqueeze(-1)
    return result
