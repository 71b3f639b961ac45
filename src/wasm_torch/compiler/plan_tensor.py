"""Plan tensors: what a kernel of the op table sees in place of tensors while it is recorded.

A plan tensor has the geometry of a tensor (size, stride, dtype, offset) over a `Buffer`, whose
address is known only in the running model. It has no elements: asking for them raises
`DataDependent`. Its other methods are those of the table, recorded in their turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wasm_torch import _C
from wasm_torch._formats import channels_last, channels_last_3d, channels_last_stride
from wasm_torch.compiler.errors import DataDependent
from wasm_torch.ops._kernels import contiguous_stride, numel
from wasm_torch.ops._table import FUNCTIONS, METHODS
from wasm_torch.ops.subscript import getitem, setitem


@dataclass(eq=False, slots=True)
class Buffer:
    """A block of memory. ``kind`` is "arena", "input", "output", "weight" or "state".

    ``index`` numbers it among those of its kind; of an arena buffer it becomes the offset.
    """

    kind: str
    bytes: int
    index: int = -1


class PlanTensor:
    """Geometry over a buffer; strides and offset in elements."""

    __slots__ = ("_offset", "_stride", "buffer", "dtype", "shape")

    requires_grad = False
    grad_fn = None
    is_leaf = True
    _base = None

    def __init__(
        self,
        buffer: Buffer,
        shape: tuple[int, ...],
        dtype: Any,
        stride: tuple[int, ...] | None = None,
        offset: int = 0,
    ):
        self.buffer = buffer
        self.shape = _C.Size(shape)
        self.dtype = dtype
        self._stride = contiguous_stride(shape) if stride is None else tuple(stride)
        self._offset = offset

    # ---- geometry ----------------------------------------------------------------------------
    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.numel() * self.itemsize

    def dim(self) -> int:
        return len(self.shape)

    def numel(self) -> int:
        return numel(self.shape)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def stride(self, dim: int | None = None) -> Any:
        return self._stride if dim is None else self._stride[dim]

    def storage_offset(self) -> int:
        return self._offset

    def element_size(self) -> int:
        return self.itemsize

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether the elements lie densely in this order."""
        if memory_format in (channels_last, channels_last_3d):
            return self._follows(channels_last_stride(tuple(self.shape)))
        return self._follows(contiguous_stride(self.shape))

    def _follows(self, stride: tuple[int, ...]) -> bool:
        steps = zip(self.shape, self._stride, stride, strict=True)
        return self.numel() == 0 or all(n == 1 or own == s for n, own, s in steps)

    @property
    def dense(self) -> bool:
        """Row-major without gaps."""
        return self.is_contiguous()

    @property
    def gapless(self) -> bool:
        """Dense in some order of its dimensions, such as channels last."""
        extent = 1
        steps = (s for s in zip(self._stride, self.shape, strict=True) if s[1] != 1)
        for step, size in sorted(steps):
            if step != extent:
                return False
            extent *= size
        return True

    @property
    def whole(self) -> bool:
        """Gapless over exactly its buffer."""
        return self.gapless and self._offset == 0 and self.nbytes == self.buffer.bytes

    def lies_like(self, other: PlanTensor) -> bool:
        """Whether both have the same shape and strides."""
        return self.shape == other.shape and self._stride == other._stride

    def __len__(self) -> int:
        return self.shape[0]

    # ---- what a table's method does ------------------------------------------------------------
    def __getattr__(self, name: str) -> Any:
        method = METHODS.get(name)
        if method is None:
            raise AttributeError(name)
        return lambda *args, **kwargs: method(self, *args, **kwargs)

    def detach(self) -> PlanTensor:
        return self

    def __getitem__(self, item: Any) -> Any:
        return getitem(self, item)

    def __setitem__(self, item: Any, value: Any) -> None:
        setitem(self, item, value)

    # ---- elements ------------------------------------------------------------------------------
    def item(self) -> Any:
        raise DataDependent(
            "the model reads the elements of a tensor that is known only when it runs (item(), "
            "tolist(), a Python condition, or an operation whose output size depends on elements)"
        )

    tolist = __bool__ = __int__ = __float__ = __index__ = __iter__ = item


def _operator(name: str) -> Any:
    def method(self: PlanTensor, *args: Any) -> Any:
        return (METHODS.get(name) or FUNCTIONS[name])(self, *args)

    return method


#: Python's operators and the operations behind them.
_OPERATORS = {
    "add": "add",
    "radd": "add",
    "sub": "sub",
    "rsub": "rsub",
    "mul": "mul",
    "rmul": "mul",
    "truediv": "div",
    "rtruediv": "rdiv",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "rpow": "rpow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lt": "lt",
    "le": "le",
    "gt": "gt",
    "ge": "ge",
    "eq": "eq",
    "ne": "ne",
    "neg": "neg",
    "abs": "abs",
    "invert": "bitwise_not",
}
for _special, _name in _OPERATORS.items():
    setattr(PlanTensor, f"__{_special}__", _operator(_name))
PlanTensor.__hash__ = object.__hash__  # type: ignore[method-assign]


# ---- the geometry of pointwise outputs (pointwise.c) ---------------------------------------------
def broadcast_strides(t: PlanTensor, size: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of ``t`` expanded to ``size``: 0 where it is repeated."""
    extra = len(size) - t.ndim
    own = zip(t.shape, t.stride(), size[extra:], strict=True)
    return (*(0,) * extra, *(0 if n == 1 and length != 1 else s for n, s, length in own))


def expanded(t: PlanTensor, size: tuple[int, ...]) -> PlanTensor:
    """``t`` as if repeated to ``size``."""
    return PlanTensor(t.buffer, size, t.dtype, broadcast_strides(t, size), t.storage_offset())


def _compare(strides: list[tuple[int, ...]], size: tuple[int, ...], d0: int, d1: int) -> int:
    """Which of two dims runs faster, by the first operand that says."""
    for stride in strides:
        if stride[d0] == 0 or stride[d1] == 0:
            continue
        if stride[d0] != stride[d1]:
            return -1 if stride[d0] < stride[d1] else 1
        if size[d0] > size[d1]:
            return 1
    return 0


def pointwise_stride(size: tuple[int, ...], operands: list[PlanTensor]) -> tuple[int, ...]:
    """The strides of an output of this size, which follow the operands' (TensorIterator's rule)."""
    ndim = len(size)
    plain = ndim < 2 or not operands
    plain = plain or any(t.dense and tuple(t.shape) == size for t in operands)
    if plain and ndim >= 2 and operands and not operands[0].dense and operands[0].ndim == ndim:
        plain = False
    if plain:
        return contiguous_stride(size)
    strides = [broadcast_strides(t, size) for t in operands]
    order = list(range(ndim - 1, -1, -1))
    for i in range(1, ndim):
        moving = i
        for j in range(i - 1, -1, -1):
            comparison = _compare(strides, size, order[j], order[moving])
            if comparison > 0:
                order[j], order[moving] = order[moving], order[j]
                moving = j
            elif comparison < 0:
                break
    result, extent = [0] * ndim, 1
    for d in order:
        result[d] = extent
        extent *= max(size[d], 1)
    return tuple(result)
