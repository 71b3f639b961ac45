"""What torch calls dtypes, and which casts it allows."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C


def can_cast(from_: Any, to: Any) -> bool:
    """Whether torch's promotion rules allow writing ``from_`` into ``to``: not a float into an
    integer, nor a number into a bool."""
    for position, (name, value) in enumerate((("from_", from_), ("to", to)), 1):
        if not isinstance(value, _C.dtype):
            raise TypeError(
                f"can_cast(): argument '{name}' (position {position}) must be torch.dtype, not "
                f"{type(value).__name__}"
            )
    if from_.is_floating_point and not to.is_floating_point:
        return False
    return to is not _C.bool or from_ is _C.bool


_SCALAR_NAMES = {
    "uint8": "Byte",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "float16": "Half",
    "float32": "Float",
    "float64": "Double",
    "bool": "Bool",
    "bfloat16": "BFloat16",
}

#: What C++ calls a dtype, in a few of torch's errors.
C_NAMES = {
    "float32": "float",
    "float64": "double",
    "int64": "long int",
    "int32": "int",
    "int16": "short int",
    "int8": "signed char",
    "uint8": "unsigned char",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "bool": "bool",
}


def scalar_name(dtype: Any) -> str:
    """The name by which torch's errors call a dtype: 'Float', 'Long', ..."""
    return _SCALAR_NAMES[dtype.name]
