"""Context managers and decorators that switch recording on and off."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from wasm_torch import _C


class _Mode:
    """A context manager that also decorates functions and generators."""

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, *exception: object) -> None:
        raise NotImplementedError

    def clone(self) -> _Mode:
        """A fresh one with the same settings, for each call of a decorated function."""
        return type(self)()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return wrapped

    def _wrap_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            sent = None
            while True:
                try:
                    with self.clone():
                        item = generator.send(sent)
                except StopIteration as stop:
                    return stop.value
                sent = yield item

        return wrapped


class set_grad_enabled(_Mode):
    """Sets at once whether operations are recorded; as a context manager, until its end."""

    def __init__(self, mode: bool):
        self.mode = bool(mode)
        self.previous = _C.set_grad_enabled(self.mode)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        _C.set_grad_enabled(self.previous)
        return super().__call__(function)

    def __enter__(self) -> None:
        _C.set_grad_enabled(self.mode)

    def __exit__(self, *exception: object) -> None:
        _C.set_grad_enabled(self.previous)

    def clone(self) -> set_grad_enabled:
        return type(self)(self.mode)


class _Fixed(_Mode):
    mode: bool

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = super().__new__(cls)
        return self(function) if callable(function) else self

    def __init__(self) -> None:
        self.previous = True

    def __enter__(self) -> None:
        self.previous = _C.set_grad_enabled(self.mode)

    def __exit__(self, *exception: object) -> None:
        _C.set_grad_enabled(self.previous)


class no_grad(_Fixed):
    """Nothing is recorded inside; results do not require grad."""

    mode = False


class enable_grad(_Fixed):
    """Operations are recorded inside, also within ``no_grad``."""

    mode = True


class inference_mode(_Mode):
    """Like ``no_grad``, and tensors made inside can never take part in autograd."""

    def __new__(cls, mode: Any = True) -> Any:
        self = super().__new__(cls)
        if callable(mode):
            self.mode = True
            return self(mode)
        return self

    def __init__(self, mode: bool = True):
        self.mode = mode
        self.previous = (True, False)

    def __enter__(self) -> None:
        inference = _C.set_inference_enabled(self.mode)
        grad = _C.set_grad_enabled(not self.mode and _C.grad_enabled())
        self.previous = (grad, inference)

    def __exit__(self, *exception: object) -> None:
        grad, inference = self.previous
        _C.set_grad_enabled(grad)
        _C.set_inference_enabled(inference)

    def clone(self) -> inference_mode:
        return type(self)(self.mode)


def is_grad_enabled() -> bool:
    """Whether operations are recorded."""
    return _C.grad_enabled()


def is_inference_mode_enabled() -> bool:
    """Whether inference mode is on."""
    return _C.inference_enabled()
