"""Copies and conversions, and overwriting in place."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch._formats import (
    channels_last,
    channels_last_3d,
    channels_last_stride,
    contiguous_format,
    preserve_format,
)
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._kernels import _number
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite, naming_misfits, op
from wasm_torch.ops._writing import run_inplace
from wasm_torch.ops.creation import check_device, like_allocated, size_argument, tensor_of


@op(
    "clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor",
    family="copy",
    vjp=lambda grad: grad,
)
def clone(self: Any, memory_format: Any) -> Any:
    """A copy, with the strides' order of the original unless ``memory_format`` says otherwise."""
    if memory_format is contiguous_format:
        return k.dense_copy(self)
    result = like_allocated(self, None, memory_format)
    _C.copy_into(result, self)
    return result


@op(
    "_to_copy(Tensor self, *, ScalarType? dtype=None, MemoryFormat? memory_format=None) -> Tensor",
    family="copy",
    method=False,
    node="ToCopyBackward0",
    vjp=lambda grad, self_dtype: grad.to(self_dtype),
)
def to_copy(self: Any, dtype: Any, memory_format: Any) -> Any:
    """A copy in another dtype or memory format."""
    result = like_allocated(self, dtype, memory_format)
    _C.copy_into(result, self)
    return result


def _is_in_format(self: Any, memory_format: Any) -> bool:
    if memory_format is None or memory_format is preserve_format:
        return True
    return self.is_contiguous(memory_format=memory_format)


def to(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Converts dtype or memory format: ``to(dtype)``, ``to(device, dtype)``, ``to(other)``.

    Gives the tensor itself where nothing changes, unless ``copy=True``.
    """
    dtype, copy = kwargs.pop("dtype", None), kwargs.pop("copy", False)
    memory_format = kwargs.pop("memory_format", None)
    kwargs.pop("non_blocking", None)
    check_device(kwargs.pop("device", None))
    other = kwargs.pop("other", None)
    rest = []
    for value in (*args, other):
        if isinstance(value, _C.TensorBase):
            dtype = value.dtype
        elif isinstance(value, _C.dtype):
            dtype = value
        elif value in (float, int, bool) and isinstance(value, type):
            dtype = {float: _C.float64, int: _C.int64, bool: _C.bool}[value]
        elif isinstance(value, bool):
            rest.append(value)
        elif value is not None:
            check_device(value)
    if len(rest) > 1:
        copy = rest[1]
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    same = dtype is None or dtype is self.dtype
    if same and not copy and _is_in_format(self, memory_format):
        return self
    return FUNCTIONS["_to_copy"](self, dtype=dtype or self.dtype, memory_format=memory_format)


METHODS["to"] = to


def _conversion(name: str, dtype: Any) -> None:
    def convert(self: Any, memory_format: Any = None) -> Any:
        return to(self, dtype, memory_format=memory_format)

    convert.__name__ = name
    convert.__doc__ = f"The tensor as {dtype}."
    METHODS[name] = convert


for _name, _dtype in (
    ("float", _C.float32),
    ("double", _C.float64),
    ("half", _C.float16),
    ("bfloat16", _C.bfloat16),
    ("int", _C.int32),
    ("long", _C.int64),
    ("short", _C.int16),
    ("char", _C.int8),
    ("byte", _C.uint8),
    ("bool", _C.bool),
):
    _conversion(_name, _dtype)


@composite(function=False, method=True)
def type_as(self: Any, other: Any) -> Any:
    """The tensor in the dtype of ``other``."""
    return to(self, other.dtype)


@composite(function=False, method=True)
def contiguous(self: Any, memory_format: Any = contiguous_format) -> Any:
    """The tensor itself where it lies densely in the format, else a copy that does."""
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    if self.is_contiguous(memory_format=memory_format):
        return self
    return self.clone(memory_format=memory_format)


@op(
    "copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor",
    family="copy",
    function=False,
    method=False,
    node="CopyBackwards",
    vjp={"self": lambda grad: FUNCTIONS["zeros_like"](grad), "src": lambda grad: grad},
)
def copy_values(self: Any, src: Any, non_blocking: bool) -> Any:
    """The values of ``src``, broadcast to the shape and cast to the dtype of ``self``."""
    result = k.empty_like(self)
    _C.copy_into(result, src)
    return result


def copy_(self: Any, src: Any, non_blocking: bool = False) -> Any:
    """Writes the elements of ``src``, broadcast and converted, into this tensor."""
    if not isinstance(src, _C.TensorBase):
        src = tensor_of(src)
    _C.check_inplace(self)
    _C.copy_into(self, src)
    _C.record_inplace(copy_values, (self, src, non_blocking), self)
    return self


METHODS["copy_"] = copy_


@op(
    "fill.Scalar(Tensor self, Tensor value) -> Tensor",
    family="copy",
    wrapped_numbers=True,
    method=False,
    node="FillBackward0",
    vjp={"self": lambda grad: FUNCTIONS["zeros_like"](grad), "value": lambda grad: grad.sum()},
)
def fill(self: Any, value: Any) -> Any:
    """``value`` in the shape and dtype of ``self``."""
    if isinstance(value, _C.TensorBase):
        if value.ndim:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{value.ndim} dimensions."
            )
        value = value.item()
    return k.fill(k.empty_like(self), value)


def fill_(self: Any, value: Any) -> Any:
    """Writes one number everywhere."""
    if isinstance(value, _C.TensorBase) and value.requires_grad:
        return run_inplace(fill, [self, value])
    if isinstance(value, _C.TensorBase):
        fill.kernel(_C.empty((), self.dtype), value)
        value = value.item()
    elif not isinstance(value, (int, float)):
        value = _number(value)
    _C.check_inplace(self)
    k.fill(self, value)
    _C.record_inplace(fill, (self, value), self)
    return self


def zero_(self: Any) -> Any:
    """Writes zeros everywhere."""
    return fill_(self, 0)


METHODS.update(fill_=fill_, zero_=zero_)
FUNCTIONS.update(fill_=fill_, zero_=zero_)


def resize_(self: Any, *sizes: Any, memory_format: Any = None) -> Any:
    """Changes the shape in place; new elements are uninitialised."""
    size = size_argument(sizes, {}, "resize_")
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if self.grad_fn is not None:
        raise RuntimeError("cannot resize variables that require grad")
    stride = k.contiguous_stride(size)
    if memory_format in (channels_last, channels_last_3d):
        stride = channels_last_stride(size)
    needed = (k.numel(size) + self.storage_offset()) * self.itemsize
    _C.resize_storage(self, needed)
    _C.set_geometry(self, size, stride, self.storage_offset())
    return self


METHODS["resize_"] = resize_


def resize_as_(self: Any, other: Any, memory_format: Any = None) -> Any:
    """Changes the shape in place to that of ``other``."""
    return resize_(self, tuple(other.shape), memory_format=memory_format)


METHODS["resize_as_"] = FUNCTIONS["resize_as_"] = naming_misfits(resize_as_)


def set_(self: Any, source: Any = None, *args: Any) -> Any:
    """Makes this tensor stand for the storage and geometry of ``source``."""
    self.data = self.new_empty((0,)) if source is None else source.detach()
    return self


METHODS["set_"] = naming_misfits(set_)
