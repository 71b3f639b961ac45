"""Hooks around a module's forward and backward."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor
from wasm_torch.utils.hooks import RemovableHandle

#: Hooks which run for every module.
_global_forward_pre_hooks: OrderedDict = OrderedDict()
_global_forward_hooks: OrderedDict = OrderedDict()
_global_forward_hooks_with_kwargs: OrderedDict = OrderedDict()
_global_forward_hooks_always_called: OrderedDict = OrderedDict()
_global_backward_pre_hooks: OrderedDict = OrderedDict()
_global_backward_hooks: OrderedDict = OrderedDict()


def _register(hooks: OrderedDict, hook: Callable, extra: Any = None) -> RemovableHandle:
    handle = RemovableHandle(hooks, extra_dict=extra)
    hooks[handle.id] = hook
    return handle


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """Calls `hook(module, input)` before the forward of every module."""
    return _register(_global_forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Callable, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Calls `hook(module, input, output)` after the forward of every module.

    With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it runs even
    where `forward` raised.
    """
    extra = [_global_forward_hooks_with_kwargs, _global_forward_hooks_always_called]
    handle = _register(_global_forward_hooks, hook, extra)
    if with_kwargs:
        _global_forward_hooks_with_kwargs[handle.id] = True
    if always_call:
        _global_forward_hooks_always_called[handle.id] = True
    return handle


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """Calls `hook(module, grad_output)` before the backward of every module."""
    return _register(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """Calls `hook(module, grad_input, grad_output)` after the backward of every module."""
    return _register(_global_backward_hooks, hook)


def _make_function(call: Callable) -> Any:
    """An identity on tensors whose backward passes the gradients through `call`."""

    class BackwardHookFunction(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
            return tuple(tensor.view_as(tensor) for tensor in tensors)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
            return call(grads)

    return BackwardHookFunction


class _BackwardHook:
    """Collects a module's output gradients and input gradients for its backward hooks."""

    def __init__(self, module: Any, hooks: list[Callable], pre_hooks: list[Callable]) -> None:
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.grad_outputs: tuple | None = None
        self.input_count = -1
        self.input_positions: list[int] = []
        self.output_positions: list[int] = []
        self.output_count = 0

    def _apply(self, values: tuple, positions: list[int], call: Callable) -> tuple:
        """`values` with the tensors at `positions` led through an identity function."""
        if not positions:
            return values
        results = _make_function(call).apply(*(values[i] for i in positions))
        results = results if isinstance(results, tuple) else (results,)
        changed = list(values)
        for i, result in zip(positions, results, strict=True):
            changed[i] = result
        return tuple(changed)

    def setup_inputs(self, args: tuple) -> tuple:
        """The arguments, hooked so that their gradients end the module's backward."""
        positions = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        if not (positions and torch.is_grad_enabled()):
            return args
        self.input_positions, self.input_count = positions, len(args)
        return self._apply(args, positions, self._on_grad_inputs)

    def setup_outputs(self, result: Any) -> Any:
        """The result, hooked so that its gradients begin the module's backward."""
        values = result if isinstance(result, tuple) else (result,)
        positions = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
        if not (positions and torch.is_grad_enabled()):
            return result
        self.output_positions, self.output_count = positions, len(values)
        changed = self._apply(values, positions, self._on_grad_outputs)
        return changed if isinstance(result, tuple) else changed[0]

    def _on_grad_outputs(self, grads: tuple) -> tuple:
        full: list[Any] = [None] * self.output_count
        for position, grad in zip(self.output_positions, grads, strict=True):
            full[position] = grad
        outputs = tuple(full)
        for hook in self.pre_hooks:
            replaced = hook(self.module, outputs)
            if replaced is not None:
                outputs = replaced if isinstance(replaced, tuple) else (replaced,)
                if len(outputs) != self.output_count:
                    raise RuntimeError(
                        "Backward pre hook returned an invalid number of grad_output, "
                        f"got {len(outputs)}, but expected {self.output_count}"
                    )
        self.grad_outputs = outputs
        if not self.input_positions:  # no input needs a gradient: the hooks run here
            for hook in self.hooks:
                replaced = hook(self.module, (None,), outputs)
                if replaced is not None and not all(g is None for g in _as_tuple(replaced)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should "
                        "always return None or None for all gradients."
                    )
        return tuple(outputs[i] for i in self.output_positions)

    def _on_grad_inputs(self, grads: tuple) -> tuple:
        full: list[Any] = [None] * self.input_count
        for position, grad in zip(self.input_positions, grads, strict=True):
            full[position] = grad
        inputs = tuple(full)
        if self.grad_outputs is not None:
            for hook in self.hooks:
                replaced = hook(self.module, inputs, self.grad_outputs)
                if replaced is not None:
                    inputs = _as_tuple(replaced)
                    if len(inputs) != self.input_count:
                        raise RuntimeError(
                            "Backward hook returned an invalid number of grad_input, "
                            f"got {len(inputs)}, but expected {self.input_count}"
                        )
            self.grad_outputs = None
        return tuple(inputs[i] for i in self.input_positions)


def _as_tuple(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


class Hooks:
    """The part of `Module` which registers hooks and runs them around `forward`."""

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, args)` before `forward`; what it returns replaces the arguments.

        With `with_kwargs` it is called with the keyword arguments too, and returns both.
        """
        extra = self._forward_pre_hooks_with_kwargs
        handle = _register(self._forward_pre_hooks, hook, extra)
        if with_kwargs:
            extra[handle.id] = True
        if prepend:
            self._forward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_forward_hook(
        self,
        hook: Callable,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Calls `hook(module, args, output)` after `forward`; its result replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it runs
        even where `forward` raised.
        """
        extra = [self._forward_hooks_with_kwargs, self._forward_hooks_always_called]
        handle = _register(self._forward_hooks, hook, extra)
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        if prepend:
            self._forward_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_full_backward_pre_hook(
        self, hook: Callable, prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, grad_output)` before the module's backward."""
        handle = _register(self._backward_pre_hooks, hook)
        if prepend:
            self._backward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(module, grad_input, grad_output)` once the gradients with respect to the
        module's inputs are known; what it returns replaces them."""
        handle = _register(self._backward_hooks, hook)
        if prepend:
            self._backward_hooks.move_to_end(handle.id, last=False)
        return handle

    register_backward_hook = register_full_backward_hook

    def _has_hooks(self) -> bool:
        return bool(
            self._forward_pre_hooks or self._forward_hooks or self._backward_hooks
            or self._backward_pre_hooks or _global_forward_pre_hooks or _global_forward_hooks
            or _global_backward_pre_hooks or _global_backward_hooks
        )  # fmt: skip

    def _run_pre_hooks(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        hooks = [*_global_forward_pre_hooks.items(), *self._forward_pre_hooks.items()]
        for key, hook in hooks:
            if key in self._forward_pre_hooks_with_kwargs:
                replaced = hook(self, args, kwargs)
                if replaced is not None:
                    if not (isinstance(replaced, tuple) and len(replaced) == 2):
                        raise RuntimeError(
                            "forward pre-hook must return None or a tuple of (new_args, "
                            f"new_kwargs), but got {replaced}."
                        )
                    args, kwargs = replaced
            else:
                replaced = hook(self, args)
                if replaced is not None:
                    args = _as_tuple(replaced)
        return args, kwargs

    def _run_forward_hook(self, key: int, hook: Callable, args: Any, kwargs: Any, out: Any) -> Any:
        if key in self._forward_hooks_with_kwargs or key in _global_forward_hooks_with_kwargs:
            replaced = hook(self, args, kwargs, out)
        else:
            replaced = hook(self, args, out)
        return out if replaced is None else replaced

    def _call_with_hooks(self, args: tuple, kwargs: dict) -> Any:
        """`forward` with all hooks of this module and the global ones around it."""
        called: set[int] = set()
        result = None
        try:
            args, kwargs = self._run_pre_hooks(args, kwargs)
            backward = [*_global_backward_hooks.values(), *self._backward_hooks.values()]
            pre = [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]
            hook_around = _BackwardHook(self, backward, pre) if backward or pre else None
            if hook_around is not None:
                args = hook_around.setup_inputs(args)
            result = self.forward(*args, **kwargs)
            for key, hook in [*_global_forward_hooks.items(), *self._forward_hooks.items()]:
                called.add(key)
                result = self._run_forward_hook(key, hook, args, kwargs, result)
            if hook_around is not None:
                result = hook_around.setup_outputs(result)
            return result
        except Exception:
            always = {**_global_forward_hooks_always_called, **self._forward_hooks_always_called}
            for key, hook in [*_global_forward_hooks.items(), *self._forward_hooks.items()]:
                if key in always and key not in called:
                    self._run_forward_hook(key, hook, args, kwargs, result)
            raise
