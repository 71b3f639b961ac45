"""Tensors which a module registers as its own: parameters and buffers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor


def _alias(cls: Any, data: Tensor) -> Any:
    """A tensor of class `cls` on the storage of `data`, without history."""
    return Tensor.__new__(cls, data)  # type: ignore[call-arg]


class _ParameterMeta(type(Tensor)):
    """`isinstance(t, Parameter)` also holds for tensors flagged with `_is_param`."""

    def __instancecheck__(cls, instance: object) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        return (
            cls is Parameter
            and isinstance(instance, Tensor)
            and getattr(instance, "_is_param", False)
        )


class Parameter(Tensor, metaclass=_ParameterMeta):
    """A tensor which counts as a parameter of the module it is assigned to.

    Args:
        data: the values, shared and not copied; empty by default.
        requires_grad: whether gradients are computed for it. Only floating point tensors can
            require gradients.
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = torch.empty(0)
        parameter = _alias(cls, data)
        if requires_grad:
            parameter.requires_grad_(True)
        return parameter

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """`__new__` takes the arguments."""

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.requires_grad)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: int) -> tuple:
        return _rebuild_parameter, (self.detach(), self.requires_grad, OrderedDict())


def _rebuild_parameter(data: Tensor, requires_grad: bool, backward_hooks: Any) -> Parameter:
    """What a pickled parameter names; the third argument is there for torch's format."""
    return Parameter(data, requires_grad)


class Buffer(Tensor):
    """A tensor which counts as a buffer of the module it is assigned to.

    Args:
        data: the values, shared and not copied.
        persistent: whether the buffer is part of the module's state_dict.
    """

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Tensor:
        if data is None:
            data = torch.empty(0)
        buffer = _alias(cls, data)
        buffer.persistent = persistent
        return buffer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """`__new__` takes the arguments."""


class _Uninitialized:
    """Shared by the placeholders of lazy modules, whose shape is not known yet."""

    _final_class: type

    def materialize(self, shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> Tensor:
        """A tensor of the final class with this shape, uninitialised.

        The placeholder itself has no shape to grow, so the caller puts the result in its place.
        """
        data = torch.empty(shape, dtype=self.dtype if dtype is None else dtype)
        if self._final_class is Parameter:
            return Parameter(data, self.requires_grad)
        return data


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter of a lazy module before its first call."""

    _final_class = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> UninitializedParameter:
        placeholder = _alias(cls, torch.empty(0, dtype=dtype))
        return placeholder.requires_grad_(requires_grad)

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return "<UninitializedParameter>"


class UninitializedBuffer(_Uninitialized, Tensor):
    """A buffer of a lazy module before its first call."""

    _final_class = Tensor

    def __new__(
        cls,
        requires_grad: bool = False,
        device: Any = None,
        dtype: Any = None,
        persistent: bool = True,
    ) -> UninitializedBuffer:
        buffer = _alias(cls, torch.empty(0, dtype=dtype))
        buffer.persistent = persistent
        return buffer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """`__new__` takes the arguments."""

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return "<UninitializedBuffer>"


def is_lazy(tensor: object) -> bool:
    """Whether the tensor is a placeholder without a shape."""
    return isinstance(tensor, _Uninitialized)
