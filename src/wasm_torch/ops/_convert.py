"""Checks and conversions of arguments by the types of their schema, with torch's error texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wasm_torch import _C

TensorBase = _C.TensorBase
Converter = Callable[[Any], Any]


class Mismatch(TypeError):
    """An argument is not of its schema's type; carries what was wanted."""

    def __init__(self, wanted: str, value: Any):
        super().__init__(wanted)
        self.wanted = wanted
        self.value = value

    def describe(self, function: str, name: str, position: int | None) -> str:
        """The text of torch's error; positions count from 1, None for a keyword."""
        got = type_name(self.value)
        namesake = got.endswith(".Tensor")  # of another package
        wanted = self.wanted.replace("Tensor", "wasm_torch.Tensor") if namesake else self.wanted
        return f"{function}(): argument '{name}'{_place(position)} must be {wanted}, not {got}"


class MismatchedSize(Mismatch):
    """An element of a list of ints is none."""

    def __init__(self, sizes: Any, index: int):
        super().__init__("tuple of ints", sizes)
        self.index = index

    def describe(self, function: str, name: str, position: int | None) -> str:
        got = type_name(self.value[self.index])
        if position is None:
            return super().describe(function, name, position)
        if self.index == 0:
            return (
                f"{function}(): argument '{name}'{_place(position)} must be tuple of ints, but "
                f"found element of type {got} at pos 0"
            )
        return (
            f"{function}(): argument '{name}' failed to unpack the object at pos "
            f'{self.index + 1} with error "type must be tuple of ints,but got {got}"'
        )


class MismatchedTensor(Mismatch):
    """An element of a list of tensors is none."""

    def __init__(self, tensors: Any, index: int):
        super().__init__("tuple of Tensors", tensors)
        self.index = index

    def describe(self, function: str, name: str, position: int | None) -> str:
        got = type_name(self.value[self.index])
        return (
            f"expected Tensor as element {self.index} in argument {(position or 1) - 1}, but got "
            f"{got}"
        )


def _place(position: int | None) -> str:
    return "" if position is None else f" (position {position})"


def type_name(value: Any) -> str:
    """How torch names the type of an argument in its errors."""
    if isinstance(value, TensorBase):
        return "Tensor"
    kind = type(value)
    if kind.__module__ == "builtins":
        return kind.__name__
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_numpy_scalar(value: Any) -> bool:
    """Whether a value is a number of numpy's; an array of no dimensions is none."""
    return hasattr(value, "__array_interface__") and not hasattr(value, "__setitem__")


def _of_numpy(value: Any) -> Any:
    """A number of numpy's as Python's; torch takes its bools for floats."""
    return float(value) if value.dtype.kind == "b" else value.item()


def check(kind: str, function: str, name: str, position: int | None, value: Any) -> Any:
    """A value converted to a schema type, or torch's TypeError for it."""
    try:
        return _BASE[kind](value)
    except Mismatch as mismatch:
        raise TypeError(mismatch.describe(function, name, position)) from None


def check_tensor(function: str, name: str, position: int | None, value: Any) -> None:
    """Raises torch's TypeError where an argument is no tensor; positions count from 1."""
    if not isinstance(value, TensorBase):
        check("Tensor", function, name, position, value)


def spread_sizes(
    function: str, name: str, args: tuple[Any, ...], position: int = 1
) -> tuple[int, ...]:
    """The ints of ``function(2, 3)`` or ``function((2, 3))``, or torch's TypeError."""
    if len(args) != 1:
        if args and not is_int(args[0]):
            given = f"{position} positional argument{'s' * (position > 1)} but "
            given += f"{len(args) + position - 1} were given"
            raise TypeError(f"{function}() takes {given}")
    elif isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    elif not is_int(args[0]):
        raise TypeError(Mismatch("tuple of ints", args[0]).describe(function, name, position))
    return check("int[]", function, name, position, args)


def is_int(value: Any) -> bool:
    """Whether torch takes a value for the first of several sizes: bools are none."""
    if type(value) is int:
        return True
    if isinstance(value, TensorBase):
        return value.numel() == 1 and not value.dtype.is_floating_point
    if isinstance(value, (float, bool, str, tuple, list)) or getattr(value, "ndim", None):
        return False
    return hasattr(value, "__index__")


def _tensor(value: Any) -> Any:
    if isinstance(value, TensorBase):
        return value
    raise Mismatch("Tensor", value)


def _tensor_or_number(value: Any) -> Any:
    if isinstance(value, (TensorBase, int, float)):
        return value
    if _is_numpy_scalar(value):
        return _of_numpy(value)
    raise Mismatch("Tensor", value)


def _tensors(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            if not isinstance(item, TensorBase):
                raise MismatchedTensor(value, index)
        return tuple(value)
    raise Mismatch("tuple of Tensors", value)


def _optional_tensors(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(value)
    raise Mismatch("tuple of Tensors", value)


def _scalar(value: Any) -> Any:
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, TensorBase) and value.ndim == 0 and not value.requires_grad:
        return value.item()
    if _is_numpy_scalar(value):
        return _of_numpy(value)
    raise Mismatch("Number", value)


def _int(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, (bool, float, str)) or not hasattr(value, "__index__"):
        raise Mismatch("int", value)
    return int(value.__index__())


def _float(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, TensorBase) or hasattr(value, "__float__"):
        return float(value)
    raise Mismatch("float", value)


def _bool(value: Any) -> bool:
    if value is True or value is False:
        return value
    if isinstance(value, TensorBase) and value.dtype is _C.bool and value.ndim == 0:
        return bool(value)
    if type(value).__name__ in ("bool_", "bool"):
        return bool(value)
    raise Mismatch("bool", value)


def _element(sizes: Any, index: int) -> int:
    value = sizes[index]
    if is_int(value) or (index > 0 and isinstance(value, bool)):
        return int(value.__index__())
    raise MismatchedSize(sizes, index)


def _ints(value: Any) -> tuple[int, ...]:
    if isinstance(value, (tuple, list)):
        return tuple(
            v if type(v) is int else _element(value, index) for index, v in enumerate(value)
        )
    raise Mismatch("tuple of ints", value)


def _sized_ints(count: int) -> Converter:
    def convert(value: Any) -> tuple[int, ...]:
        if type(value) is int:
            return (value,) * count
        if isinstance(value, (tuple, list)):
            return _ints(value)
        if isinstance(value, TensorBase):
            return (_int(value),) * count
        raise Mismatch("tuple of ints", value)

    return convert


def _floats(value: Any) -> tuple[float, ...]:
    if isinstance(value, (tuple, list)):
        return tuple(_float(v) for v in value)
    raise Mismatch("tuple of floats", value)


def _dtype(value: Any) -> Any:
    if isinstance(value, _C.dtype):
        return value
    named = {float: _C.float64, int: _C.int64, bool: _C.bool}.get(value)
    if named is not None:
        return named
    raise Mismatch("torch.dtype", value)


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise Mismatch("str", value)


def _anything(value: Any) -> Any:
    return value


_BASE: dict[str, Converter] = {
    "Tensor": _tensor,
    "Tensor[]": _tensors,
    "Tensor?[]": _optional_tensors,
    "Scalar": _scalar,
    "int": _int,
    "int[]": _ints,
    "float": _float,
    "float[]": _floats,
    "bool": _bool,
    "ScalarType": _dtype,
    "str": _string,
}


def _optional(convert: Converter) -> Converter:
    def checked(value: Any) -> Any:
        return None if value is None else convert(value)

    return checked


def converter(kind: str, wrapped_numbers: bool = False) -> Converter:
    """The conversion for a schema type; ``wrapped_numbers`` lets numbers stand for tensors."""
    if kind.endswith("?"):
        return _optional(converter(kind[:-1], wrapped_numbers))
    if wrapped_numbers and kind == "Tensor":
        return _tensor_or_number
    if kind.startswith("int[") and kind != "int[]":
        return _sized_ints(int(kind[4:-1]))
    return _BASE.get(kind, _anything)
