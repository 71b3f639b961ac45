"""Views: new geometry over the same storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch._formats import contiguous_format
from wasm_torch.ops._convert import check, spread_sizes
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._kernels import contiguous_stride, full, numel, wrap_dim, wrap_dims
from wasm_torch.ops._table import FUNCTIONS, METHODS, alias, composite, op

_view = _C.view_of


def infer_size(size: Sequence[int], count: int) -> tuple[int, ...]:
    """Replaces a -1 by what is left of ``count`` elements. Raises RuntimeError where none fits."""
    unknown = [d for d, length in enumerate(size) if length == -1]
    shape = f"shape '{list(size)}' is invalid for input of size {count}"
    if len(unknown) > 1:
        raise RuntimeError("only one dimension can be inferred")
    for length in size:
        if length < -1:
            raise RuntimeError(f"invalid shape dimension {length}")
    known = numel(length for length in size if length != -1)
    if not unknown:
        if known != count:
            raise RuntimeError(shape)
        return tuple(size)
    if known == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(size)} because the unspecified "
            "dimension size -1 can be any value and is ambiguous"
        )
    if count % known:
        raise RuntimeError(shape)
    return tuple(count // known if length == -1 else length for length in size)


def view_stride(
    size: Sequence[int], stride: Sequence[int], new: Sequence[int]
) -> tuple[int, ...] | None:
    """Strides of a view of another shape; None where only a copy has it."""
    if numel(size) == 0:
        return contiguous_stride(new)
    if not size:
        return (1,) * len(new)
    result = [0] * len(new)
    at = len(new) - 1
    run_stride, old, made = stride[-1], 1, 1
    for d in range(len(size) - 1, -1, -1):
        old *= size[d]
        if d and not (size[d - 1] != 1 and stride[d - 1] != old * run_stride):
            continue
        while at >= 0 and (made < old or new[at] == 1):
            result[at] = made * run_stride
            made *= new[at]
            at -= 1
        if made != old:
            return None
        if d:
            run_stride, old, made = stride[d - 1], 1, 1
    return tuple(result) if at < 0 else None


@op(
    "view(Tensor(a) self, int[] size) -> Tensor(a)",
    family="view",
    function=False,
    vjp=lambda grad, self_size: grad.reshape(tuple(self_size)),
)
def view(self: Any, size: Any) -> Any:
    """The same elements in another shape, without a copy; one size may be -1. Raises RuntimeError
    where the strides do not allow it (`reshape` copies then).
    """
    new = infer_size(size, self.numel())
    stride = view_stride(self.shape, self.stride(), new)
    if stride is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return _view(self, new, stride, self.storage_offset())


def _view_as_dtype(self: Any, dtype: Any) -> Any:
    """The same bytes as another dtype."""
    size, stride = list(self.shape), list(self.stride())
    old, new = self.dtype.itemsize, dtype.itemsize
    offset = self.storage_offset()
    if old != new:
        if not size:
            raise RuntimeError(
                "self.dim() cannot be 0 to view "
                f"{scalar_name(self.dtype)} as {scalar_name(dtype)} (different element sizes)"
            )
        if stride[-1] != 1:
            raise RuntimeError(
                "self.stride(-1) must be 1 to view "
                f"{scalar_name(self.dtype)} as {scalar_name(dtype)} (different element sizes), "
                f"but got {stride[-1]}"
            )
        if new > old and (size[-1] * old) % new:
            raise RuntimeError(
                f"self.size(-1) must be divisible by {new // old} to view "
                f"{scalar_name(self.dtype)} as {scalar_name(dtype)} (different element sizes), "
                f"but got {size[-1]}"
            )
        size[-1] = size[-1] * old // new
        stride = [s * old // new for s in stride[:-1]] + [1]
        offset = offset * old // new
    return _C.reinterpret(self, dtype, tuple(size), tuple(stride), offset)


_view_size = METHODS["view"]


def _view_method(self: Any, *size: Any, **kwargs: Any) -> Any:
    dtype = size[0] if len(size) == 1 else kwargs.get("dtype")
    if isinstance(dtype, _C.dtype):
        return _view_as_dtype(self, dtype)
    return _view_size(self, *size, **kwargs)


_view_method.__doc__ = (
    f"{_view_size.__doc__}\nview(dtype): the same bytes as elements of another dtype."
)
METHODS["view"] = _view_method


@composite(method=True)
def reshape(self: Any, *shape: Any) -> Any:
    """The same elements in another shape: a view where strides allow, else a copy."""
    size = spread_sizes("reshape", "shape", shape)
    new = infer_size(size, self.numel())
    if view_stride(self.shape, self.stride(), new) is not None:
        return self.view(new)
    return self.clone(memory_format=contiguous_format).view(new)


@composite(function=False, method=True)
def view_as(self: Any, other: Any) -> Any:
    """A view in the shape of ``other``."""
    return self.view(tuple(other.shape))


@composite(function=False, method=True)
def reshape_as(self: Any, other: Any) -> Any:
    """The elements in the shape of ``other``."""
    return self.reshape(tuple(other.shape))


@op("alias(Tensor(a) self) -> Tensor(a)", family="view", vjp=lambda grad: grad)
def alias_row(self: Any) -> Any:
    """A view of the whole tensor."""
    return _view(self, tuple(self.shape), self.stride(), self.storage_offset())


@op(
    "transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)",
    family="view",
    vjp=lambda grad, dim0, dim1: grad.transpose(dim0, dim1),
)
def transpose(self: Any, dim0: int, dim1: int) -> Any:
    """A view with two dimensions exchanged."""
    a, b = wrap_dim(dim0, self.ndim), wrap_dim(dim1, self.ndim)
    order = list(range(self.ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return _permuted(self, order)


def _permuted(self: Any, order: Sequence[int]) -> Any:
    size, stride = self.shape, self.stride()
    return _view(
        self, tuple(size[d] for d in order), tuple(stride[d] for d in order), self.storage_offset()
    )


alias("swapaxes", "transpose")
alias("swapdims", "transpose")


@op(
    "permute(Tensor(a) self, int[] dims) -> Tensor(a)",
    family="view",
    vjp=lambda grad, dims: grad.permute(_inverse(dims)),
)
def permute(self: Any, dims: Any) -> Any:
    """A view with the dimensions in the given order."""
    if len(dims) != self.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            "length "
            f"of the desired ordering of dimensions i.e. input.dim() = {self.ndim} is not equal to "
            f"len(dims) = {len(dims)}"
        )
    order = [wrap_dim(d, self.ndim) for d in dims]
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _permuted(self, order)


def _inverse(dims: Sequence[int]) -> tuple[int, ...]:
    order = [d % len(dims) for d in dims]
    return tuple(order.index(d) for d in range(len(order)))


@op("t(Tensor(a) self) -> Tensor(a)", family="view", vjp=lambda grad: grad.t())
def t(self: Any) -> Any:
    """The transpose of a matrix, as a view; tensors of 0 and 1 dimensions as they are."""
    if self.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {self.ndim}D")
    return _permuted(self, tuple(reversed(range(self.ndim))))


@op(
    "expand(Tensor(a) self, int[] size, *, bool implicit=False) -> Tensor(a)",
    family="view",
    function=False,
    vjp=lambda grad: grad,
)
def expand(self: Any, size: Any, implicit: bool) -> Any:
    """A view in which dimensions of size 1 are repeated up to the given sizes without a copy; -1
    keeps a size.
    """
    extra = len(size) - self.ndim
    if extra < 0:
        raise RuntimeError(
            f"expand({_tensor_type(self)}{{{list(self.shape)}}}, size={list(size)}): the number of "
            f"sizes provided ({len(size)}) must be greater or equal to the number of dimensions in "
            f"the tensor ({self.ndim})"
        )
    new_size, stride = [], []
    for d, wanted in enumerate(size):
        own = self.shape[d - extra] if d >= extra else 1
        if wanted == -1:
            if d < extra:
                raise RuntimeError(
                    "The expanded size of the tensor (-1) isn't allowed in a leading, "
                    "non-existing "
                    f"dimension {d}"
                )
            wanted = own
        if (wanted != own and own != 1) or wanted < 0:
            raise RuntimeError(
                f"The expanded size of the tensor ({wanted}) must match the existing size ({own}) "
                f"at non-singleton dimension {d}.  Target sizes: {list(size)}.  Tensor sizes: "
                f"{list(self.shape)}"
            )
        new_size.append(wanted)
        stride.append(self.stride(d - extra) if d >= extra and own == wanted else 0)
    return _view(self, tuple(new_size), tuple(stride), self.storage_offset())


def _tensor_type(self: Any) -> str:
    names = {
        "float32": "torch.FloatTensor",
        "float64": "torch.DoubleTensor",
        "int64": "torch.LongTensor",
        "int32": "torch.IntTensor",
        "bool": "torch.BoolTensor",
    }
    return names.get(self.dtype.name, "torch.FloatTensor")


@composite(function=False, method=True)
def expand_as(self: Any, other: Any) -> Any:
    """A view expanded to the shape of ``other``."""
    return self.expand(tuple(other.shape))


@composite(method=True)
def broadcast_to(self: Any, size: Any) -> Any:
    """A view broadcast to ``size``."""
    return self.expand(check("int[]", "broadcast_to", "size", 2, size))


@composite()
def broadcast_tensors(*tensors: Any) -> Any:
    """Views of all tensors in their common shape."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    size = tuple(_C.broadcast_shapes(*[tuple(t.shape) for t in tensors]))
    return tuple(t.expand(size) for t in tensors)


@op(
    "unsqueeze(Tensor(a) self, int dim) -> Tensor(a)",
    family="view",
    inplace=False,
    vjp=lambda grad, dim, self_size: grad.reshape(tuple(self_size)),
)
def unsqueeze(self: Any, dim: int) -> Any:
    """A view with a new dimension of size 1 at ``dim``."""
    at = wrap_dim(dim, self.ndim + 1)
    size, stride = list(self.shape), list(self.stride())
    step = size[at] * stride[at] if at < self.ndim else 1
    return _view(
        self, (*size[:at], 1, *size[at:]), (*stride[:at], step, *stride[at:]), self.storage_offset()
    )


def _squeezed(self: Any, dims: Sequence[int]) -> Any:
    kept = [d for d in range(self.ndim) if d not in dims or self.shape[d] != 1]
    return _permuted(self, kept)


@op(
    "squeeze(Tensor(a) self) -> Tensor(a)",
    family="view",
    vjp=lambda grad, self_size: grad.reshape(tuple(self_size)),
)
def squeeze(self: Any) -> Any:
    """A view without the dimensions of size 1."""
    return _squeezed(self, range(self.ndim))


@op(
    "squeeze.dim(Tensor(a) self, int dim) -> Tensor(a)",
    family="view",
    node="SqueezeBackward1",
    vjp=lambda grad, self_size: grad.reshape(tuple(self_size)),
)
def squeeze_dim(self: Any, dim: int) -> Any:
    """A view without dimension ``dim``, if that has size 1."""
    return _squeezed(self, (wrap_dim(dim, self.ndim),))


@op(
    "squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a)",
    family="view",
    node="SqueezeBackward2",
    vjp=lambda grad, self_size: grad.reshape(tuple(self_size)),
)
def squeeze_dims(self: Any, dim: Any) -> Any:
    """A view without those of the given dimensions that have size 1."""
    return _squeezed(self, wrap_dims(dim, self.ndim) if dim else ())


@op(
    "select.int(Tensor(a) self, int dim, int index) -> Tensor(a)",
    family="view",
    vjp=lambda grad, self_size, dim, index: FUNCTIONS["select_backward"](
        grad, tuple(self_size), dim, index
    ),
)
def select(self: Any, dim: int, index: int) -> Any:
    """A view of one index along ``dim``, which disappears. Raises IndexError out of range."""
    if self.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = wrap_dim(dim, self.ndim)
    length = self.shape[dim]
    if not -length <= index < length:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(self.shape)} at "
            f"dimension {dim}"
        )
    index = index % length
    size, stride = list(self.shape), list(self.stride())
    offset = self.storage_offset() + index * stride[dim]
    del size[dim], stride[dim]
    return _view(self, tuple(size), tuple(stride), offset)


def _zeros(grad: Any, size: Any) -> Any:
    return full(size, 0, grad.dtype)


@op(
    "select_backward(Tensor grad_output, int[] input_sizes, int dim, int index) -> Tensor",
    family="view",
    method=False,
    vjp=lambda grad, dim, index: grad.select(dim, index),
)
def select_backward(grad_output: Any, input_sizes: Any, dim: int, index: int) -> Any:
    """The gradient of `select`: zeros of ``input_sizes`` with ``grad_output`` at the index."""
    result = _zeros(grad_output, input_sizes)
    _C.copy_into(select.kernel(result, dim, index), grad_output)
    return result


@op(
    "slice.Tensor(Tensor(a) self, int dim=0, int? start=None, int? end=None, int step=1) "
    "-> Tensor(a)",
    family="view",
    function=False,
    method=False,
    vjp=lambda grad, self_size, dim, start, end, step: FUNCTIONS["slice_backward"](
        grad, tuple(self_size), dim, start, end, step
    ),
)
def slice_row(self: Any, dim: int, start: Any, end: Any, step: int) -> Any:
    """A view of every ``step``-th index from ``start`` to before ``end`` along ``dim``."""
    dim = wrap_dim(dim, self.ndim)
    if step <= 0:
        raise ValueError("step must be greater than zero")
    indices = range(self.shape[dim])[slice(start, end, step)]
    size, stride = list(self.shape), list(self.stride())
    offset = self.storage_offset() + (indices.start * stride[dim] if len(indices) else 0)
    size[dim] = len(indices)
    stride[dim] *= step
    return _view(self, tuple(size), tuple(stride), offset)


@op(
    "slice_backward(Tensor grad_output, int[] input_sizes, int dim, int? start, int? end, int "
    "step) "
    "-> Tensor",
    family="view",
    method=False,
    vjp=lambda grad, dim, start, end, step: slice_row(grad, dim, start, end, step),
)
def slice_backward(
    grad_output: Any, input_sizes: Any, dim: int, start: Any, end: Any, step: int
) -> Any:
    """The gradient of a slice: zeros of ``input_sizes`` with ``grad_output`` in the slice."""
    result = _zeros(grad_output, input_sizes)
    _C.copy_into(slice_row.kernel(result, dim, start, end, step), grad_output)
    return result


@composite(method=True)
def narrow(self: Any, dim: int, start: Any, length: int) -> Any:
    """A view of ``length`` elements along ``dim``, from ``start`` on."""
    if self.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, _C.TensorBase):
        start = int(start.item())
    at = wrap_dim(dim, self.ndim)
    size = self.shape[at]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {start})"
        )
    start = start + size if start < 0 else start
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return slice_row(self, at, start, start + length, 1)


@op(
    "as_strided(Tensor(a) self, int[] size, int[] stride, int? storage_offset=None) -> Tensor(a)",
    family="view",
    vjp=lambda grad, self_size, self_stride, self_offset, size, stride, storage_offset: (
        _as_strided_backward(
            grad, self_size, self_stride, self_offset, size, stride, storage_offset
        )
    ),
)
def as_strided(self: Any, size: Any, stride: Any, storage_offset: Any) -> Any:
    """A view of the storage with the given sizes, strides and offset, in elements. Raises
    RuntimeError where it leaves the storage.
    """
    offset = self.storage_offset() if storage_offset is None else storage_offset
    return _view(self, size, stride, offset)


def _as_strided_backward(
    grad: Any, own_size: Any, own_stride: Any, own_offset: int, size: Any, stride: Any, offset: Any
) -> Any:
    """Adds the gradient into a buffer over the storage, and reads it back through the input's own
    geometry; positions that the input holds more than once share evenly."""
    offset = own_offset if offset is None else offset
    length = max(_extent(own_size, own_stride, own_offset), _extent(size, stride, offset))
    zeros = FUNCTIONS["zeros"]
    positions = FUNCTIONS["arange"](length)
    target = _C.as_strided(positions, tuple(size), tuple(stride), offset).reshape(-1)
    own = _C.as_strided(positions, tuple(own_size), own_stride, own_offset).reshape(-1)
    buffer = zeros(length, dtype=grad.dtype).index_add(0, target, grad.reshape(-1))
    if any(st == 0 and s > 1 for s, st in zip(own_size, own_stride, strict=True)):
        ones = FUNCTIONS["ones"](own.shape[0], dtype=grad.dtype)
        buffer = buffer / zeros(length, dtype=grad.dtype).index_add(0, own, ones).clamp(min=1)
    return buffer.index_select(0, own).reshape(tuple(own_size))


def _extent(size: Sequence[int], stride: Sequence[int], offset: int) -> int:
    if 0 in size:
        return offset
    return offset + 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))


@op(
    "as_strided_scatter(Tensor self, Tensor src, int[] size, int[] stride, int? "
    "storage_offset=None) -> Tensor",
    family="view",
    vjp={
        "self": lambda grad, self_stride, self_offset, size, stride, storage_offset: FUNCTIONS[
            "as_strided_scatter"
        ](
            _in_layout(grad, self_stride, self_offset),
            FUNCTIONS["zeros"](tuple(size), dtype=grad.dtype),
            size,
            stride,
            storage_offset,
        ),
        "src": lambda grad, self_stride, self_offset, size, stride, storage_offset: _in_layout(
            grad, self_stride, self_offset
        ).as_strided(size, stride, storage_offset),
    },
)
def as_strided_scatter(self: Any, src: Any, size: Any, stride: Any, storage_offset: Any) -> Any:
    """A copy of ``self`` with ``src`` in the place of ``as_strided(self, size, stride)``."""
    offset = self.storage_offset() if storage_offset is None else storage_offset
    result = _layout_copy(self)
    target = _C.as_strided(result, size, stride, offset - self.storage_offset())
    if tuple(src.shape) != tuple(size):
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(size)}"
        )
    _C.copy_into(target, src)
    return result


def _layout_copy(self: Any) -> Any:
    """A copy with the very strides of a tensor that does not overlap itself."""
    result = _C.empty(tuple(self.shape), self.dtype, tuple(self.stride()))
    _C.copy_into(result, self)
    return result


def _in_layout(grad: Any, stride: Any, offset: int) -> Any:
    """The gradient with the strides of the tensor that it belongs to."""
    if grad.stride() == stride and grad.storage_offset() == offset:
        return grad
    return FUNCTIONS["_with_strides"](grad, stride, offset)


@op(
    "_with_strides(Tensor self, int[] stride, int offset) -> Tensor",
    family="view",
    method=False,
    vjp=lambda grad: grad,
)
def with_strides(self: Any, stride: Any, offset: int) -> Any:
    """A copy with these strides, ``offset`` elements into its storage."""
    extent = _extent(self.shape, stride, offset)
    base = _C.empty((max(extent, 1),), self.dtype)
    result = _C.as_strided(base, tuple(self.shape), tuple(stride), offset)
    _C.copy_into(result, self)
    return result


@op(
    "diagonal(Tensor(a) self, int offset=0, int dim1=0, int dim2=1) -> Tensor(a)",
    family="view",
    vjp=lambda grad, self_size, offset, dim1, dim2: FUNCTIONS["diagonal_backward"](
        grad, tuple(self_size), offset, dim1, dim2
    ),
)
def diagonal(self: Any, offset: int, dim1: int, dim2: int) -> Any:
    """A view of a diagonal of the dimensions ``dim1`` and ``dim2``, as the last dimension; a
    positive ``offset`` lies above the main one.
    """
    first, second = wrap_dim(dim1, self.ndim), wrap_dim(dim2, self.ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    size, stride = self.shape, self.stride()
    rows, columns = size[first], size[second]
    length = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    start = self.storage_offset()
    if length:
        start += offset * stride[second] if offset >= 0 else -offset * stride[first]
    kept = [d for d in range(self.ndim) if d not in (first, second)]
    return _view(
        self,
        (*(size[d] for d in kept), length),
        (*(stride[d] for d in kept), stride[first] + stride[second]),
        start,
    )


@op(
    "diagonal_backward(Tensor grad_output, int[] input_sizes, int offset, int dim1, int dim2) "
    "-> Tensor",
    family="view",
    method=False,
    vjp=lambda grad, offset, dim1, dim2: grad.diagonal(offset, dim1, dim2),
)
def diagonal_backward(grad_output: Any, input_sizes: Any, offset: int, dim1: int, dim2: int) -> Any:
    """The gradient of `diagonal`: zeros of ``input_sizes`` with ``grad_output`` on the diagonal."""
    result = _zeros(grad_output, input_sizes)
    _C.copy_into(diagonal.kernel(result, offset, dim1, dim2), grad_output)
    return result


@op(
    "unfold(Tensor(a) self, int dimension, int size, int step) -> Tensor(a)",
    family="view",
    function=False,
    vjp=lambda grad, self_size, dimension, size, step: _unfold_backward(
        grad, self_size, dimension, size, step
    ),
)
def unfold(self: Any, dimension: int, size: int, step: int) -> Any:
    """A view of all windows of ``size``, every ``step`` elements along a dimension; the windows'
    elements are the last dimension.
    """
    dim = wrap_dim(dimension, self.ndim)
    length = self.shape[dim] if self.ndim else 1
    if size > length:
        raise RuntimeError(
            f"maximum size for tensor at dimension {dim} is {length} but size is {size}"
        )
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    sizes, strides = list(self.shape), list(self.stride())
    inner = strides[dim] if self.ndim else 1
    if self.ndim:
        sizes[dim] = (length - size) // step + 1
        strides[dim] = inner * step
    return _view(self, (*sizes, size), (*strides, inner), self.storage_offset())


def _unfold_backward(grad: Any, self_size: Any, dimension: int, size: int, step: int) -> Any:
    if not self_size:
        return grad.reshape(())
    dim = wrap_dim(dimension, len(self_size))
    positions = FUNCTIONS["arange"](self_size[dim]).unfold(0, size, step).reshape(-1)
    windows = grad.movedim(-1, dim + 1).flatten(dim, dim + 1)
    zeros = FUNCTIONS["zeros"](tuple(self_size), dtype=grad.dtype)
    return zeros.index_add(dim, positions, windows)
