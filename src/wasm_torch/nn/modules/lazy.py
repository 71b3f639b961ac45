"""Modules which learn their input's size from the first call."""

from __future__ import annotations

from typing import Any

from ..parameter import UninitializedBuffer, UninitializedParameter, is_lazy


class LazyModuleMixin:
    """Turns into its `cls_to_become` once the first input has told the missing sizes.

    A subclass defines `initialize_parameters(*input)`.
    """

    cls_to_become: type | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(
            LazyModuleMixin._infer_parameters, with_kwargs=True
        )

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer has no shape yet."""
        values = [*self._parameters.values(), *self._buffers.values()]
        return any(is_lazy(value) for value in values)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Gives all placeholders their shapes, from the first input."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def _lazy_load_hook(self, state_dict: dict, prefix: str, *unused: Any) -> None:
        """A loaded value which is a placeholder itself leaves this one as it is."""
        for name, value in [*self._parameters.items(), *self._buffers.items()]:
            key = prefix + name
            if key in state_dict and is_lazy(value) and is_lazy(state_dict[key]):
                del state_dict[key]

    def _infer_parameters(self, args: tuple, kwargs: dict) -> None:
        self.initialize_parameters(*args, **kwargs)
        if self.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        self._initialize_hook.remove()
        self._load_hook.remove()
        del self._initialize_hook, self._load_hook
        if self.cls_to_become is not None:
            self.__class__ = self.cls_to_become

    def _materialize(self, name: str, shape: tuple[int, ...]) -> None:
        """Puts a real tensor in the place of the placeholder `name`."""
        value = getattr(self, name)
        if is_lazy(value):
            setattr(self, name, value.materialize(shape))


__all__ = ["LazyModuleMixin", "UninitializedBuffer", "UninitializedParameter"]
