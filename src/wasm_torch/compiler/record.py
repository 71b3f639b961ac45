"""Records what the kernels of rows launch, by running them on plan tensors.

The functions here stand in place of the extension's raw ones and do what launch.c, pointwise.c,
reduce.c and tensor.c do (output strides, casts, contiguous paths), except that a kernel call is
written down. So lowering has no rules of its own: a row's `kernel` is its lowering.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.errors import DataDependent, RandomNumbers
from wasm_torch.compiler.plan_tensor import Buffer, PlanTensor, expanded, pointwise_stride
from wasm_torch.ops._raw import replaced

TensorBase = _C.TensorBase
from_data = _C.from_data
result_type = _C.result_type
broadcast_shapes = _C.broadcast_shapes
_KERNELS = tuple(_C.KERNELS)
_REDUCED_FROM_ANY = {_C.REDUCE[name] for name in ("any", "all", "count_nonzero")}


@dataclass(slots=True)
class Launch:
    """One kernel call: plan tensors, numbers and None in the order of the kernel's fields."""

    kernel: str
    fields: list[Any]
    node: int = 0

    def tensors(self) -> Iterator[tuple[str, PlanTensor]]:
        """The plan tensors among the fields, with the fields' names."""
        for (name, _), value in zip(_C.KERNEL_FIELDS[self.kernel], self.fields, strict=True):
            if isinstance(value, PlanTensor):
                yield name, value


class Recorder:
    """Holds the launches of one method. ``weight`` gives the buffer of a constant tensor."""

    def __init__(self, weight: Callable[[Any], PlanTensor]):
        self.launches: list[Launch] = []
        self.node = 0
        self._weight = weight

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Within, kernels of rows work on plan tensors and only record what they launch."""
        functions: dict[str, Any] = {name: getattr(self, name) for name in _RECORDED}
        functions["TensorBase"] = (TensorBase, PlanTensor)
        previous = _C.set_grad_enabled(False)
        try:
            with replaced(functions):
                yield
        finally:
            _C.set_grad_enabled(previous)

    def _plan(self, t: Any) -> PlanTensor:
        return t if isinstance(t, PlanTensor) else self._weight(t)

    def _emit(self, kernel: str, *fields: Any) -> None:
        self.launches.append(Launch(kernel, list(fields), self.node))

    # ---- launches ------------------------------------------------------------------------------
    def launch(self, kernel: Any, *fields: Any) -> None:
        name = kernel if isinstance(kernel, str) else _KERNELS[kernel]
        kinds = _C.KERNEL_FIELDS[name]
        if len(kinds) != len(fields):
            raise TypeError(f"{name}: wrong number of arguments ({len(fields)})")
        if name in ("random", "seed"):
            raise RandomNumbers
        values = []
        for (_, kind), value in zip(kinds, fields, strict=True):
            known = kind != "tensor" or value is None
            values.append(value if known else self._plan(value))
        self._emit(name, *values)

    # ---- geometry ------------------------------------------------------------------------------
    def empty(self, size: Any, dtype: Any = None, stride: Any = None) -> PlanTensor:
        size = (size,) if isinstance(size, int) else tuple(size)
        dtype = _C.get_default_dtype() if dtype is None else dtype
        if any(n < 0 for n in size):
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {min(size)}: {list(size)}"
            )
        extent = 1
        result = PlanTensor(Buffer("arena", 0), size, dtype, stride)
        for n, step in zip(size, result.stride(), strict=True):
            extent += (n - 1) * step
        result.buffer.bytes = 0 if 0 in size else extent * dtype.itemsize
        return result

    def as_strided(self, t: Any, size: Any, stride: Any, offset: int) -> PlanTensor:
        t = self._plan(t)
        return PlanTensor(t.buffer, tuple(size), t.dtype, tuple(stride), offset)

    view_of = as_strided

    def alias(self, t: Any) -> PlanTensor:
        return self.as_strided(t, t.shape, t.stride(), t.storage_offset())

    def reinterpret(self, t: Any, dtype: Any, size: Any, stride: Any, offset: int) -> PlanTensor:
        return PlanTensor(self._plan(t).buffer, tuple(size), dtype, tuple(stride), offset)

    def contiguous(self, t: Any) -> PlanTensor:
        t = self._plan(t)
        if t.dense:
            return t
        out = self.empty(tuple(t.shape), t.dtype)
        self._copy(out, t)
        return out

    def cast(self, t: Any, dtype: Any) -> PlanTensor:
        t = self._plan(t)
        if t.dtype is dtype:
            return t
        out = self._pointwise(dtype, tuple(t.shape), [t])
        self._copy(out, t)
        return out

    def copy_into(self, out: Any, source: Any) -> None:
        out, source = self._plan(out), self._plan(source)
        if tuple(broadcast_shapes(tuple(out.shape), tuple(source.shape))) != tuple(out.shape):
            raise RuntimeError(
                f"output with shape {tuple(out.shape)} doesn't match the broadcast shape "
                f"{tuple(source.shape)}"
            )
        same = (out.storage_offset(), out.shape, out.stride()) == (
            source.storage_offset(),
            source.shape,
            source.stride(),
        )
        if out.buffer is source.buffer and not same:
            apart = self.empty(tuple(source.shape), source.dtype)
            self._copy(apart, source)
            source = apart
        self._copy(out, source)

    def _copy(self, out: PlanTensor, source: PlanTensor) -> None:
        if out.numel():
            self._emit("copy", out, expanded(source, tuple(out.shape)))

    def fill(self, t: Any, number: Any) -> PlanTensor:
        t = self._plan(t)
        if t.numel():
            self._emit("fill", t, number)
        return t

    def flip(self, t: Any, dims: Any) -> PlanTensor:
        t = self._plan(t)
        out = self._pointwise(t.dtype, tuple(t.shape), [t])
        if not out.numel() or not t.ndim:
            if out.numel():
                self._copy(out, t)
            return out
        stride, offset = list(t.stride()), t.storage_offset()
        for dim in (dims,) if isinstance(dims, int) else dims:
            offset += (t.shape[dim] - 1) * t.stride(dim)
            stride[dim] = -t.stride(dim)
        self._emit("copy", out, PlanTensor(t.buffer, t.shape, t.dtype, tuple(stride), offset))
        return out

    def set_geometry(self, t: PlanTensor, size: Any, stride: Any, offset: int) -> None:
        t.shape, t._stride, t._offset = _C.Size(size), tuple(stride), offset

    # ---- pointwise and reductions --------------------------------------------------------------
    def _pointwise(
        self, dtype: Any, size: tuple[int, ...], operands: list[PlanTensor]
    ) -> PlanTensor:
        return self.empty(size, dtype, pointwise_stride(size, operands))

    def unary(
        self, t: Any, op: int, p0: float = 0.0, p1: float = 0.0, out_dtype: Any = None
    ) -> PlanTensor:
        t = self._plan(t)
        dtype = t.dtype if out_dtype is None else out_dtype
        out = self._pointwise(dtype, tuple(t.shape), [t])
        if not out.numel():
            return out
        if _alike(out, [t]):
            count = out.numel()
            self._emit("unary_contiguous", op, t.dtype.code, dtype.code, out, t, count, p0, p1)
        else:
            self._emit("unary", out, t, op, p0, p1)
        return out

    def binary(
        self,
        a: Any,
        b: Any,
        op: int,
        alpha: float = 1.0,
        compute: Any = None,
        out_dtype: Any = None,
    ) -> PlanTensor:
        compute = self.result_type(a, b) if compute is None else compute
        out_dtype = compute if out_dtype is None else out_dtype
        left = self.cast(a, compute) if _is_tensor(a) else None
        right = self.cast(b, compute) if _is_tensor(b) else None
        mode, scalar = (2, a) if left is None else (1, b) if right is None else (0, 0)
        tensors = [t for t in (left, right) if t is not None]
        size = tuple(broadcast_shapes(*(tuple(t.shape) for t in tensors)))
        out = self._pointwise(out_dtype, size, tensors)
        if not out.numel():
            return out
        if all(t.shape == out.shape for t in tensors) and _alike(out, tensors):
            self._emit(
                "binary_contiguous",
                *(op, compute.code, mode, out, left, right, out.numel(), scalar, alpha),
            )
        else:
            wide = [None if t is None else expanded(t, size) for t in (left, right)]
            self._emit("binary", out, *wide, op, mode, scalar, alpha)
        return out

    def reduce(
        self,
        t: Any,
        op: int,
        dims: Any = None,
        keepdim: bool = False,
        p0: float = 0.0,
        out_dtype: Any = None,
    ) -> PlanTensor:
        t = self._plan(t)
        dtype = t.dtype if out_dtype is None else out_dtype
        dims = (dims,) if isinstance(dims, int) else dims
        reduced = {d % max(t.ndim, 1) for d in dims} if dims else set(range(t.ndim))
        source = t if op in _REDUCED_FROM_ANY else self.cast(t, dtype)
        size = tuple(1 if d in reduced else n for d, n in enumerate(t.shape))
        out = self.empty(size, dtype)
        if out.numel():
            self._emit("reduce", out, source, op, p0)
        if keepdim:
            return out
        kept = [d for d in range(t.ndim) if d not in reduced]
        stride = tuple(out.stride(d) for d in kept)
        return PlanTensor(out.buffer, tuple(size[d] for d in kept), dtype, stride)

    # ---- what needs no launch ------------------------------------------------------------------
    def result_type(self, *operands: Any) -> Any:
        """By tensors of one element that stand for the plan tensors: only dtype and rank count."""
        return result_type(*(_stand_in(x) if isinstance(x, PlanTensor) else x for x in operands))

    def from_data(self, data: Any, dtype: Any = None) -> PlanTensor:
        if isinstance(data, PlanTensor):
            raise DataDependent("the model builds a tensor from the elements of another")
        return self._weight(from_data(data, dtype))

    def check_inplace(self, t: Any) -> None:
        """Every plan tensor may be written."""

    def bump(self, t: Any) -> None:
        """Plan tensors have no version."""

    def record_inplace(self, row: Any, values: Any, t: Any) -> None:
        """Plan tensors have no history."""

    def record(self, row: Any, values: Any, result: Any) -> None:
        """Plan tensors have no history."""


_RECORDED = (
    *("launch", "empty", "as_strided", "view_of", "alias", "reinterpret", "contiguous", "cast"),
    *("copy_into", "fill", "flip", "set_geometry", "unary", "binary", "reduce", "result_type"),
    *("from_data", "check_inplace", "bump", "record_inplace", "record"),
)


def _alike(out: PlanTensor, tensors: list[PlanTensor]) -> bool:
    """Whether all lie without gaps in one order, as the `*_contiguous` kernels want them."""
    if out.dense and all(t.dense for t in tensors):
        return True
    return out.gapless and all(t.lies_like(out) for t in tensors)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (PlanTensor, TensorBase))


_STAND_INS: dict[tuple[Any, bool], Any] = {}


def _stand_in(t: PlanTensor) -> Any:
    key = (t.dtype, t.ndim > 0)
    if key not in _STAND_INS:
        _STAND_INS[key] = from_data([0] if key[1] else 0, t.dtype)
    return _STAND_INS[key]
