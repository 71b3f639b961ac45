"""Which submodule runs while a model is traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class ModuleNames:
    """Which submodule is running, by its path in the model."""

    def __init__(self, model: Any):
        self._stack: list[str] = []
        modules = model.named_modules() if hasattr(model, "named_modules") else ()
        self._paths = [(path, module) for path, module in modules if path]

    def where(self) -> str:
        """The path of the innermost submodule; empty in the model itself."""
        return self._stack[-1] if self._stack else ""

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Within, hooks keep track of the submodules that are entered and left."""
        hooks = []
        for path, module in self._paths:
            enter = lambda _module, _args, path=path: self._stack.append(path)  # noqa: E731
            leave = lambda *_: (self._stack.pop(), None)[1]  # noqa: E731
            hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
