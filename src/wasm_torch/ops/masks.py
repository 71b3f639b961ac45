"""Reading and writing by masks."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._dtypes import C_NAMES, scalar_name
from wasm_torch.ops._table import FUNCTIONS, op
from wasm_torch.ops.indexing import index_read, index_write
from wasm_torch.ops.nonzero import nonzero_columns


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
    """A copy with ``value`` where the bool ``mask`` (broadcast) holds."""
    if mask.dtype is not _C.bool:
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype "
            f"{C_NAMES[mask.dtype.name]}"
        )
    if isinstance(value, _C.TensorBase) and value.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    if isinstance(value, _C.TensorBase):
        value = value.item()
    scalar = _C.from_data(_C.converted(value, self.dtype), self.dtype)
    return k.ternary("where", mask, scalar, self, 0.0, self.dtype)


@op(
    "masked_select(Tensor self, Tensor mask) -> Tensor",
    family="indexing",
    vjp=lambda grad, self_size, mask: _masked_select_backward(grad, self_size, mask),
)
def masked_select(self: Any, mask: Any) -> Any:
    """The elements where the bool ``mask`` (broadcast) holds, in one dimension."""
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
    """A copy with the next element of ``source`` wherever the bool ``mask`` (broadcast) holds."""
    if self.dtype is not source.dtype:
        raise RuntimeError(
            "masked_scatter_: expected self and source to have same dtypes but got "
            f"{scalar_name(self.dtype)} and {scalar_name(source.dtype)}"
        )
    _mask("masked_scatter_", mask)
    size = k.common_shape(self, mask)
    result = k.empty(size, self.dtype)
    _C.copy_into(result, self)
    positions = nonzero_columns(k.expand_to(mask, size))
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
