"""Joining, repeating, flipping and padding: operations that copy elements to other places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch._formats import channels_last_stride, suggests_channels_last
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._convert import check, spread_sizes
from wasm_torch.ops._table import FUNCTIONS, METHODS, alias, composite, op


def _window(out: Any, dim: int, start: int, length: int) -> Any:
    size = list(out.shape)
    size[dim] = length
    offset = out.storage_offset() + start * out.stride(dim)
    return _C.as_strided(out, tuple(size), out.stride(), offset)


@op(
    "cat(Tensor[] tensors, int dim=0) -> Tensor",
    family="copy",
    method=False,
    vjp={"tensors": lambda grad, tensors_size, dim: _cat_backward(grad, tensors_size, dim)},
)
def cat(tensors: Sequence[Any], dim: int) -> Any:
    """The tensors one after another along ``dim``, in their common dtype. All other sizes agree
    (RuntimeError); empty 1-d tensors are skipped.
    """
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for i, t in enumerate(tensors):
        if t.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    used = [t for t in tensors if not (t.ndim == 1 and t.shape[0] == 0)]
    dtype = tensors[0].dtype
    for t in tensors[1:]:
        dtype = _C.promote_types(dtype, t.dtype)
    if not used:
        return k.empty((0,), dtype)
    first = used[0]
    dim = k.wrap_dim(dim, first.ndim)
    size = list(first.shape)
    size[dim] = 0
    for i, t in enumerate(used):
        if t.ndim != first.ndim:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {first.ndim} and {t.ndim}"
            )
        for d in range(first.ndim):
            if d != dim and t.shape[d] != first.shape[d]:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size "
                    f"{first.shape[d]} but got size {t.shape[d]} for tensor number {i} in the list."
                )
        size[dim] += t.shape[dim]
    last = all(suggests_channels_last(t) for t in used)
    stride = channels_last_stride(tuple(size)) if last else None
    out = k.empty(tuple(size), dtype, stride)
    start = 0
    for t in used:
        if t.numel():
            _C.copy_into(_window(out, dim, start, t.shape[dim]), t)
        start += t.shape[dim]
    return out


def _cat_backward(grad: Any, sizes: Sequence[Any], dim: int) -> list[Any]:
    grads, start = [], 0
    for size in sizes:
        if len(size) == 1 and size[0] == 0 and grad.ndim > 1:
            grads.append(grad.new_zeros((0,)))
            continue
        length = size[dim]
        grads.append(grad.narrow(dim, start, length))
        start += length
    return grads


alias("concat", "cat")
alias("concatenate", "cat")


def _with_axis(name: str) -> None:
    plain = FUNCTIONS[name]

    def call(*args: Any, **kwargs: Any) -> Any:
        if "axis" in kwargs:
            kwargs["dim"] = kwargs.pop("axis")
        return plain(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = plain.__doc__
    FUNCTIONS[name] = call


_with_axis("concatenate")
_with_axis("cat")


@composite()
def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Joins tensors of one shape along a new dim."""
    tensors = check("Tensor[]", "stack", "tensors", 1, tensors)
    if len(tensors) == 0:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = tensors[0]
    for i, t in enumerate(tensors):
        if t.shape != first.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first.shape)} at "
                "entry 0 "
                f"and {list(t.shape)} at entry {i}"
            )
    at = k.wrap_dim(dim, first.ndim + 1)
    return FUNCTIONS["cat"](tuple(t.unsqueeze(at) for t in tensors), at)


@composite()
def hstack(tensors: Any) -> Any:
    """Joins along dim 1 (0 for one dimension)."""
    tensors = check("Tensor[]", "hstack", "tensors", 1, tensors)
    parts = FUNCTIONS["atleast_1d"](tensors)
    return FUNCTIONS["cat"](parts, 0 if parts[0].ndim == 1 else 1)


@composite()
def vstack(tensors: Any) -> Any:
    """Joins along dim 0 after making all at least 2-d."""
    tensors = check("Tensor[]", "vstack", "tensors", 1, tensors)
    return FUNCTIONS["cat"](FUNCTIONS["atleast_2d"](tensors), 0)


@composite()
def dstack(tensors: Any) -> Any:
    """Joins along dim 2 after making all at least 3-d."""
    tensors = check("Tensor[]", "dstack", "tensors", 1, tensors)
    return FUNCTIONS["cat"](FUNCTIONS["atleast_3d"](tensors), 2)


@composite()
def column_stack(tensors: Any) -> Any:
    """Joins vectors as columns."""
    tensors = check("Tensor[]", "column_stack", "tensors", 1, tensors)
    parts = [t.reshape(t.numel(), 1) if t.ndim <= 1 else t for t in tensors]
    return FUNCTIONS["hstack"](parts)


alias("row_stack", "vstack")


@op(
    "flip(Tensor self, int[] dims) -> Tensor", family="copy", vjp=lambda grad, dims: grad.flip(dims)
)
def flip(self: Any, dims: Any) -> Any:
    """A copy with the order along each of ``dims`` reversed."""
    if not dims:
        result = k.empty_like(self)
        _C.copy_into(result, self)
        return result
    return _C.flip(self, k.wrap_dims(dims, self.ndim))


@composite(method=True)
def fliplr(self: Any) -> Any:
    """Reverses dim 1."""
    if self.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return self.flip(1)


@composite(method=True)
def flipud(self: Any) -> Any:
    """Reverses dim 0."""
    if self.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return self.flip(0)


@op(
    "roll(Tensor self, int[1] shifts, int[1] dims=[]) -> Tensor",
    family="copy",
    vjp=lambda grad, shifts, dims: grad.roll(tuple(-s for s in shifts), dims),
)
def roll(self: Any, shifts: Any, dims: Any) -> Any:
    """A copy in which elements move ``shifts`` places along ``dims`` and re-enter at the other end;
    without ``dims``, of the flattened tensor.
    """
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not dims and len(shifts) == 1:
        flat = k.reshaped(k.contiguous(self), (self.numel(),))
        return k.reshaped(_rolled(flat, shifts, (0,)), tuple(self.shape))
    if len(shifts) != len(dims):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}"
        )
    return _rolled(self, shifts, dims)


def _rolled(self: Any, shifts: Sequence[int], dims: Sequence[int]) -> Any:
    result = self
    for shift, dim in zip(shifts, dims, strict=True):
        dim = k.wrap_dim(dim, self.ndim)
        length = self.shape[dim] if self.ndim else 0
        out = k.empty(tuple(self.shape), self.dtype)
        if out.numel() == 0 or self.ndim == 0:
            _C.copy_into(out, result)
            return out
        cut = -shift % length
        if length - cut:
            _C.copy_into(
                _window(out, dim, 0, length - cut), _window(result, dim, cut, length - cut)
            )
        if cut:
            _C.copy_into(_window(out, dim, length - cut, cut), _window(result, dim, 0, cut))
        result = out
    return result


@composite(method=True)
def rot90(self: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """Rotates by 90 degrees ``k`` times in the plane of two dims."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    a, b = dims
    turns = k % 4
    if turns == 1:
        return self.flip(b).transpose(a, b)
    if turns == 2:
        return self.flip((a, b))
    if turns == 3:
        return self.flip(a).transpose(a, b)
    return self.clone()


@op(
    "repeat(Tensor self, int[] repeats) -> Tensor",
    family="copy",
    function=False,
    vjp=lambda grad, self_size, repeats: _repeat_backward(grad, tuple(self_size), repeats),
)
def repeat(self: Any, repeats: Any) -> Any:
    """The tensor repeated along each dimension, as a copy; more repeats than dimensions add
    dimensions in front.
    """
    extra = len(repeats) - self.ndim
    if extra < 0:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    size = (1,) * extra + tuple(self.shape)
    for r in repeats:
        if r < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {r * 1}: {[r]}")
    interleaved = [n for pair in zip(repeats, size, strict=True) for n in pair]
    strides = (0,) * extra + tuple(self.stride())
    source = _C.as_strided(
        self,
        tuple(interleaved),
        tuple(s for stride in strides for s in (0, stride)),
        self.storage_offset(),
    )
    final = tuple(r * n for r, n in zip(repeats, size, strict=True))
    if len(interleaved) <= 16:
        out = k.empty(tuple(interleaved), self.dtype)
        if out.numel():
            _C.copy_into(out, source)
        return k.reshaped(out, final)
    raise RuntimeError("repeat supports tensors of at most 8 dimensions")


def _repeat_backward(grad: Any, size: tuple[int, ...], repeats: Sequence[int]) -> Any:
    extra = len(repeats) - len(size)
    full = (1,) * extra + size
    shape = [n for pair in zip(repeats, full, strict=True) for n in pair]
    if 0 in repeats:
        return grad.new_zeros(size)
    summed = grad.reshape(tuple(shape)).sum(tuple(range(0, len(shape), 2)))
    return summed.reshape(size)


@composite(method=True)
def tile(self: Any, *args: Any, dims: Any = None) -> Any:
    """Repeats the tensor along each dim: ``tile(2, 3)`` or ``tile((2, 3))``."""
    counts = spread_sizes("tile", "dims", args if dims is None else (dims,))
    missing = self.ndim - len(counts)
    return self.repeat((1,) * max(missing, 0) + tuple(counts))


@composite(method=True)
def repeat_interleave(
    self: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Repeats each element along ``dim`` a number of times."""
    if repeats is None:
        return FUNCTIONS["arange"](self.shape[0]).repeat_interleave(self)
    if dim is None:
        self, dim = self.flatten(), 0
    at = k.wrap_dim(dim, self.ndim)
    if isinstance(repeats, _C.TensorBase) and repeats.numel() == 1:
        repeats = int(repeats.item())
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError("Repeats must be non-negative")
        wide = self.unsqueeze(at + 1)
        size = list(wide.shape)
        size[at + 1] = repeats
        return wide.expand(tuple(size)).clone(memory_format=None).flatten(at, at + 1)
    counts = repeats.tolist()
    if len(counts) != self.shape[at]:
        raise RuntimeError("repeats must have the same size as input along dim")
    if any(c < 0 for c in counts):
        raise RuntimeError("repeats can not be negative")
    positions = [i for i, c in enumerate(counts) for _ in range(c)]
    index = FUNCTIONS["tensor"](positions, dtype=_C.int64)
    return self.index_select(at, index)


@op(
    "constant_pad_nd(Tensor self, int[] pad, Scalar value=0) -> Tensor",
    family="copy",
    method=False,
    vjp=lambda grad, pad: FUNCTIONS["constant_pad_nd"](grad, tuple(-p for p in pad), 0),
)
def constant_pad_nd(self: Any, pad: Any, value: Any) -> Any:
    """Padded with ``value``: ``pad`` lists before and after of the last dimension, then of the one
    before it, and so on; negative numbers cut.
    """
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * self.ndim:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. Pad "
            f"length is {len(pad)} while the input has {self.ndim} dimensions."
        )
    size, source_size = list(self.shape), list(self.shape)
    source_offset, starts = self.storage_offset(), [0] * self.ndim
    for i in range(len(pad) // 2):
        d = self.ndim - 1 - i
        before, after = pad[2 * i], pad[2 * i + 1]
        size[d] += before + after
        cut = max(-before, 0)
        source_size[d] -= cut + max(-after, 0)
        if source_size[d] < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
        source_offset += cut * self.stride(d)
        starts[d] = max(before, 0)
    out = k.fill(k.empty(tuple(size), self.dtype, _pad_stride(self, tuple(size))), value)
    if min(source_size, default=1) > 0 and out.numel():
        source = _C.as_strided(self, tuple(source_size), self.stride(), source_offset)
        offset = sum(start * out.stride(d) for d, start in enumerate(starts))
        _C.copy_into(_C.as_strided(out, tuple(source_size), out.stride(), offset), source)
    return out


def _pad_stride(self: Any, size: tuple[int, ...]) -> tuple[int, ...] | None:
    if self.ndim in (4, 5) and not self.is_contiguous():
        from wasm_torch._formats import channels_last, channels_last_3d, channels_last_stride

        kind = channels_last if self.ndim == 4 else channels_last_3d
        if self.is_contiguous(memory_format=kind):
            return channels_last_stride(size)
    return None


@composite()
def meshgrid(*tensors: Any, indexing: str | None = None) -> Any:
    """Grids of coordinates from vectors."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    check("Tensor[]", "meshgrid", "tensors", 1, tensors)
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    swap = indexing == "xy" and len(tensors) >= 2
    sizes = tuple(t.numel() for t in tensors)
    grids = []
    for i, t in enumerate(tensors):
        shape = [1] * len(tensors)
        shape[i] = t.numel()
        grids.append(t.reshape(tuple(shape)).expand(sizes))
    if swap:
        grids = [g.transpose(0, 1) for g in grids]
    return tuple(grids)


@composite()
def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal of a larger one."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    blocks = []
    for i, t in enumerate(tensors):
        if t.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {t.ndim} dimensions"
            )
        blocks.append(FUNCTIONS["atleast_2d"](t))
    width = sum(b.shape[1] for b in blocks)
    rows, left = [], 0
    for b in blocks:
        right = width - left - b.shape[1]
        rows.append(FUNCTIONS["constant_pad_nd"](b, (left, right)))
        left += b.shape[1]
    return FUNCTIONS["cat"](rows, 0)


@composite(method=True)
def diag(self: Any, diagonal: int = 0) -> Any:
    """The diagonal of a matrix, or a matrix with a vector on its diagonal."""
    if self.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {self.ndim}D")
    return (
        FUNCTIONS["diag_embed"](self, diagonal)
        if self.ndim == 1
        else (self.diagonal(diagonal).clone())
    )


@composite(method=True)
def diag_embed(self: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices with the last dim on their diagonals."""
    length = self.shape[-1] + abs(offset)
    ndim = self.ndim + 1
    first, second = k.wrap_dim(dim1, ndim), k.wrap_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    size = [*self.shape[:-1]]
    for d in sorted((first, second)):
        size.insert(d, length)
    return FUNCTIONS["diagonal_backward"](self, tuple(size), offset, first, second)


@composite(method=True)
def diagflat(self: Any, offset: int = 0) -> Any:
    """A matrix with all elements on its diagonal."""
    return FUNCTIONS["diag_embed"](self.reshape(-1), offset)


def _scatter_view(name: str) -> None:
    """``select_scatter`` and its kin: a copy in which a view has been replaced."""

    def call(self: Any, src: Any, *args: Any, **kwargs: Any) -> Any:
        result = self.clone(memory_format=None)
        view = _view_of(name, result, args, kwargs)
        if tuple(src.shape) != tuple(view.shape):
            raise RuntimeError(
                "expected src to have a size equal to the slice of self. src size = "
                f"{list(src.shape)}, slice size = {list(view.shape)}"
            )
        view.copy_(src)
        return result

    call.__name__ = f"{name}_scatter"
    call.__doc__ = f"A copy of self in which its {name} is ``src``."
    composite(method=True)(call)


def _view_of(name: str, tensor: Any, args: Any, kwargs: Any) -> Any:
    if name == "slice":
        from wasm_torch.ops.views import slice_row

        return slice_row(tensor, *args, **kwargs)
    return METHODS[name](tensor, *args, **kwargs)


for _name in ("select", "slice", "diagonal"):
    _scatter_view(_name)
