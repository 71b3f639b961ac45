"""Indexing by tensors, one for each dim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS, op
from wasm_torch.ops.nonzero import nonzero_columns
from wasm_torch.ops.scatter import copied


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
                        f"The shape of the mask {list(index.shape)} at index {d} does not match "
                        "the "
                        f"shape of the indexed tensor {list(self.shape)} at index {at + d}"
                    )
            mask = index if index.dtype is _C.bool else k.cast(index, _C.bool)
            result += nonzero_columns(mask)
        elif index.dtype in (_C.int64, _C.int32, _C.int16, _C.int8):
            result.append(k.cast(index, _C.int64))
        else:
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if len(result) > self.ndim:
        raise IndexError(
            f"too many indices for tensor of dimension {self.ndim} (got {len(result)})"
        )
    return result + [None] * (self.ndim - len(result))


def _index_geometry(self: Any, indices: list[Any]) -> tuple[tuple[int, ...], list[Any], Any]:
    """Shape of the result, ``self`` and the indices laid out over it, and offsets.

    ``self`` repeats (has stride 0) where it is indexed, an index where it does not apply.
    """
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
    layout = [base]
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
        layout.append(wide)
        if offsets_base.numel():
            k.launch("index_offset", offsets_base, wide, d, self.shape[d], self.stride(d))
    return size, layout, k.expand_to(offsets_base, size) if k.numel(size) else offsets_base


def _fits(self: Any) -> bool:
    return self.numel() > 0


def index_read(self: Any, indices: list[Any]) -> Any:
    """``self[indices]`` for tensor indices (None: the whole dim), as a new tensor."""
    expanded = _expand_masks(self, indices)
    if all(index is None for index in expanded):
        return k.dense_copy(self)
    if self.numel() == 0:
        return _read_from_empty(self, expanded)
    size, layout, offsets = _index_geometry(self, expanded)
    out = k.empty(size, self.dtype, k.pointwise_stride(size, layout))
    if out.numel():
        k.launch("gather_offsets", out, layout[0], offsets)
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
    size, layout, offsets = _index_geometry(self, expanded)
    own = tuple(values.shape)
    while len(own) > len(size) and own[0] == 1:
        own = own[1:]
    values = _C.as_strided(
        values, own, values.stride()[values.ndim - len(own) :], values.storage_offset()
    )
    if not broadcasts(own, size):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(own)} cannot be broadcast to indexing "
            f"result of shape {list(size)}"
        )
    if k.numel(size):
        k.launch("scatter_offsets", layout[0], offsets, k.expand_to(values, size), accumulate)


def broadcasts(size: Sequence[int], target: Sequence[int]) -> bool:
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
    """The elements at the given indices (int64 or bool tensors, broadcast; None takes a whole
    dimension). Raises IndexError out of range.
    """
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
    """A copy with ``values`` at the given indices, or added there with ``accumulate``. Raises
    IndexError out of range.
    """
    if self.dtype is not values.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{scalar_name(self.dtype)} for the destination and {scalar_name(values.dtype)} for "
            "the "
            "source."
        )
    result = copied(self)
    index_write(result, list(indices), values, accumulate)
    return result
