"""Reading and writing by indices along one dim."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite, op
from wasm_torch.ops.indexing import index_read, index_write
from wasm_torch.ops.scatter import copied, one_dim, require_index


@op(
    "index_select(Tensor self, int dim, Tensor index) -> Tensor",
    family="indexing",
    vjp=lambda grad, self_size, dim, index: _index_select_backward(grad, self_size, dim, index),
)
def index_select(self: Any, dim: int, index: Any) -> Any:
    """The slices at ``index`` (1-d, integers) along ``dim``, as a copy."""
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    index = require_index("index_select", index)
    dim = k.wrap_dim(dim, self.ndim)
    if self.ndim == 0:
        if index.numel() != 1:
            raise RuntimeError("index_select(): Index to scalar can have only 1 value")
        return copied(self)
    index = one_dim(index)
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


def scatter_along(self: Any, dim: int, index: Any, source: Any, mode: str) -> Any:
    """Scatters slices of ``source`` into a copy of ``self`` along ``dim``."""
    result = copied(self)
    target, source, index = one_dim(result), one_dim(source), one_dim(index)
    dim = k.wrap_dim(dim, target.ndim)
    size = list(target.shape)
    size[dim] = index.shape[0]
    wide = k.expand_to(_spread_index(target, dim, index), size)
    if wide.numel():
        k.launch("scatter", target, wide, source, dim, _C.SCATTER[mode], 0)
    return result


@contextmanager
def _index_errors(text: str) -> Iterator[None]:
    """Within, an index out of range is torch's error, which ``text`` makes of the kernel's."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("index "):
            raise
        raise IndexError(text.format(error)) from None


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
    """A copy with alpha * source added to the slices at ``index`` along ``dim``; repeated indices
    add up.
    """
    name = "index_add_()"
    if index.ndim > 1:
        raise IndexError(
            f"{name}: Index is supposed to be a vector, but got dim: {index.ndim} with type: "
            f"{scalar_name(index.dtype)} and size: {list(index.shape)}"
        )
    if index.dtype not in (_C.int64, _C.int32):
        raise RuntimeError(
            f"{name}: Expected dtype int32/int64 for index but got: {scalar_name(index.dtype)}"
        )
    if self.dtype is not source.dtype:
        raise RuntimeError(
            f"{name}: self ({scalar_name(self.dtype)}) and source ({scalar_name(source.dtype)}) "
            "must have the same scalar type"
        )
    at = k.wrap_dim(dim, max(self.ndim, 1))
    _check_index_add_size(one_dim(self), at, one_dim(index), one_dim(source))
    if alpha != 1:
        source = k.binary("mul", source, alpha)
    if self.ndim == 2 and index.dtype is _C.int64:  # torch scatters these, with scatter's error
        return scatter_along(self, at, index, source, "add")
    with _index_errors("index out of range in self"):
        return scatter_along(self, at, k.cast(index, _C.int64), source, "add")


def _check_index_add_size(self: Any, dim: int, index: Any, source: Any) -> None:
    size = list(self.shape)
    size[dim] = index.shape[0]
    if list(source.shape) == size:
        return
    if source.ndim == self.ndim and all(
        s == t or d == dim for d, (s, t) in enumerate(zip(source.shape, size, strict=True))
    ):
        raise RuntimeError(
            f"index_add_(): Number of indices ({index.shape[0]}) should be equal to "
            f"source.size(dim): ({source.shape[dim]}), for dim: {dim}"
        )
    raise RuntimeError(
        "source tensor shape must match self tensor shape, excluding the specified dimension."
        f" Got self.shape = {list(self.shape)} source.shape = {list(source.shape)}"
    )


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
    """A copy with the slices at ``index`` along ``dim`` replaced by those of ``source``."""
    at = k.wrap_dim(dim, max(self.ndim, 1))
    _check_index_copy(self, at, index, source)
    with _index_errors("index_copy_(): {}"):
        return scatter_along(self, at, index, source, "set")


def _check_index_copy(self: Any, dim: int, index: Any, source: Any) -> None:
    name = "index_copy_()"
    if index.ndim > 1:
        raise IndexError(f"{name}: Index should have dimension 1 or 0 (got {index.ndim})")
    if source.ndim == 0 and index.numel() != 1:
        raise IndexError(
            f"{name}: When source is scalar, index should have one element (got {index.numel()})"
        )
    if source.ndim != self.ndim and source.ndim and self.ndim:
        raise IndexError(
            f"{name}: When source and destination are not scalars, their dimensionality must match."
            f" Source dimensionality ({source.ndim}), destination dimensionality ({self.ndim})"
        )
    if index.dtype is not _C.int64:
        raise RuntimeError(
            f"{name}: Expected a long tensor for index, but got {scalar_name(index.dtype)}"
        )
    if self.dtype is not source.dtype:
        raise RuntimeError(
            f"{name}: self and source expected to have the same dtype, but got (self) "
            f"{scalar_name(self.dtype)} and (source) {scalar_name(source.dtype)}"
        )
    own, other = ([n for d, n in enumerate(t.shape) if d != dim] for t in (self, source))
    if own != other:
        texts = [" ".join(map(str, slices)) for slices in (own, other)]
        raise RuntimeError(
            f"{name}: Source/destination tensor must have same slice shapes. Destination slice "
            f"shape: {texts[0]} at dimension {dim} and source slice shape: {texts[1]} at dimension "
            "0."
        )
    count = one_dim(source).shape[dim]
    if index.numel() != count:
        raise IndexError(
            f"{name}: Number of indices ({index.numel()}) should be equal to source.size(dim) "
            f"({count})"
        )


@op(
    "index_fill.int_Scalar(Tensor self, int dim, Tensor index, Tensor value) -> Tensor",
    family="indexing",
    wrapped_numbers=True,
    inplace=True,
    vjp={
        "self": lambda grad, dim, index: grad.index_fill(dim, index, 0),
        "value": lambda grad, dim, index: _filled(grad, dim, index).sum(),
    },
)
def index_fill(self: Any, dim: int, index: Any, value: Any) -> Any:
    """A copy with the slices at ``index`` along ``dim`` filled with ``value``."""
    if index.dtype is not _C.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if isinstance(value, _C.TensorBase):
        if value.ndim:
            raise RuntimeError(
                "Only supports 0-dimension value tensor but got tensor with "
                f"{value.ndim} dimensions."
            )
        value = value.item()
    at = k.wrap_dim(dim, max(self.ndim, 1))
    if index.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    result = copied(self)
    scalar = _C.from_data(_C.converted(value, self.dtype), self.dtype)
    index_write(one_dim(result), [None] * at + [one_dim(index)], scalar, False)
    return result


def _filled(grad: Any, dim: int, index: Any) -> Any:
    """The gradient where ``index_fill`` wrote, zero elsewhere."""
    written = FUNCTIONS["zeros"](tuple(grad.shape), dtype=_C.bool).index_fill(dim, index, True)
    return FUNCTIONS["where"](written, grad, 0.0)


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
        index, source = index.reshape(()), source.reshape(())
        return METHODS["scatter_reduce"](self, 0, index, source, reduce, include_self=include_self)
    shape = [1] * self.ndim
    shape[at] = index.shape[0] if index.ndim else 1
    wide = index.reshape(tuple(shape)).expand(tuple(source.shape))
    with _index_errors("index out of range in self"):
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
    """The elements at ``index`` (int64) of the flattened tensor, in the shape of ``index``."""
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
    """A copy with ``source`` at ``index`` (int64) of the flattened tensor, or added there with
    ``accumulate``.
    """
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
