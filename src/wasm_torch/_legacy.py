"""Constructors of torch's early days: ``Tensor(2, 3)``, ``Tensor([1.0])``, ``LongTensor``, ..."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops._convert import is_int, spread_sizes, type_name
from wasm_torch.ops.creation import tensor_of

#: What torch calls its tensor types, and their dtypes.
DTYPES = {
    "FloatTensor": _C.float32,
    "DoubleTensor": _C.float64,
    "HalfTensor": _C.float16,
    "BFloat16Tensor": _C.bfloat16,
    "ByteTensor": _C.uint8,
    "CharTensor": _C.int8,
    "ShortTensor": _C.int16,
    "IntTensor": _C.int32,
    "LongTensor": _C.int64,
    "BoolTensor": _C.bool,
}


def construct(dtype: Any, args: tuple[Any, ...]) -> Any:
    """A tensor of sizes (uninitialised), of a sequence of numbers, or on a tensor's memory.

    Raises TypeError for anything else, and where a tensor is of another dtype.
    """
    if not args:
        return _C.empty((0,), dtype)
    data = args[0]
    if len(args) > 1 or isinstance(data, _C.Size) or is_int(data):
        return _C.empty(spread_sizes("new", "size", args), dtype)
    if isinstance(data, _C.TensorBase):
        if data.dtype is not dtype:
            raise TypeError(f"expected a tensor of {dtype} (got one of {data.dtype})")
        return data.detach()
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    if not hasattr(data, "__len__"):
        raise TypeError(f"new(): data must be a sequence (got {type_name(data)})")
    return tensor_of(data, dtype)


class TensorType(type):
    """A tensor type: what it makes, and what is an instance of it, are tensors of its dtype."""

    dtype: Any

    def __call__(cls, *args: Any) -> Any:
        return construct(cls.dtype, args)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _C.TensorBase) and instance.dtype is cls.dtype


TYPES = {
    name: TensorType(
        name,
        (),
        {"dtype": dtype, "__module__": "torch", "__doc__": f"Tensors of {dtype}, as torch began."},
    )
    for name, dtype in DTYPES.items()
}
