"""The subscript operator for what the extension does not do itself."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, METHODS
from wasm_torch.ops._writing import run_inplace
from wasm_torch.ops.indexing import broadcasts, index, index_put


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
    if isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'")
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
    selected = 0  # dims that ints took away; errors count them, too
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
            view = _checked_select(view, dim, entry, selected)
            selected += 1
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


def _checked_select(view: Any, dim: int, at: int, selected: int) -> Any:
    size = view.shape[dim]
    if not -size <= at < size:
        place = f"dimension {dim + selected} with size {size}"
        raise IndexError(f"index {at} is out of bounds for {place}")
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
    masks = all(t is None or t.dtype is _C.bool for t in tensors)
    if masks and value.numel() == 1:
        value = value.to(self.dtype)  # torch fills here
    run_inplace(index_put, [view, tuple(tensors), value, False])


def _assign(view: Any, value: Any) -> None:
    size = tuple(value.shape)
    while len(size) > view.ndim and size[0] == 1:
        size = size[1:]
    if not broadcasts(size, tuple(view.shape)):
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
