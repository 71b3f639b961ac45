"""Hooks on tensors and nodes, removable by their handles."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from wasm_torch import _C


class RemovableHandle:
    """Removes a hook from the dictionary it was registered in.

    Args:
        hooks_dict: the ordered dictionary of hooks, by the handle's id.
        extra_dict: one or more dictionaries which hold facts about the same hook.
    """

    _ids = itertools.count()

    def __init__(self, hooks_dict: OrderedDict, *, extra_dict: Any = None) -> None:
        self.id = next(self._ids)
        extra = extra_dict if isinstance(extra_dict, list) else [extra_dict]
        self._dicts = [weakref.ref(d) for d in (hooks_dict, *extra) if d is not None]

    def remove(self) -> None:
        """Removes the hook; a second call does nothing."""
        for reference in self._dicts:
            hooks = reference()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class NodeHooks:
    """What runs before a node: hooks of its output tensors, of itself, and retained gradients."""

    def __init__(self) -> None:
        self.tensor_hooks: dict[int, OrderedDict[int, Any]] = {}
        self.node_hooks: OrderedDict[int, Any] = OrderedDict()
        self.retained: dict[int, weakref.ref[Any]] = {}

    @classmethod
    def of(cls, node: Any) -> NodeHooks:
        """Those of ``node``, made where there are none yet."""
        if node.pre_hooks is None:
            node.pre_hooks = cls()
        return node.pre_hooks


def _add(hooks: OrderedDict[int, Any], hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def register_tensor_hook(tensor: Any, hook: Callable[[Any], Any]) -> RemovableHandle:
    """Calls ``hook(grad)`` when the gradient of ``tensor`` is computed; it may return another one.

    Raises RuntimeError where the tensor does not require grad.
    """
    if not tensor.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    node = tensor.grad_fn
    if node is None:
        if tensor._backward_hooks is None:
            tensor._backward_hooks = OrderedDict()
        return _add(tensor._backward_hooks, hook)
    hooks = NodeHooks.of(node).tensor_hooks
    return _add(hooks.setdefault(tensor.output_nr, OrderedDict()), hook)


def register_post_accumulate_grad_hook(tensor: Any, hook: Callable[[Any], None]) -> RemovableHandle:
    """Calls ``hook(tensor)`` after a gradient was added to ``tensor.grad``. Leaves only."""
    if not tensor.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if tensor.grad_fn is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return _add(tensor.__dict__.setdefault("_post_accumulate_hooks", OrderedDict()), hook)


def retain_grad(tensor: Any) -> None:
    """Keeps the gradient of a non-leaf tensor in its ``.grad``."""
    if not tensor.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    node = tensor.grad_fn
    if node is None:
        return
    NodeHooks.of(node).retained[tensor.output_nr] = weakref.ref(tensor)
    tensor._set_retains_grad(True)


def _move_retained(tensor: Any, node: Any, output_nr: int) -> None:
    """After a change in place the gradient of the new value is retained, as in torch. Hooks stay
    with the old one."""
    retained = NodeHooks.of(node).retained
    if output_nr in retained and retained[output_nr]() is tensor:
        del retained[output_nr]
    NodeHooks.of(tensor.grad_fn).retained[tensor.output_nr] = weakref.ref(tensor)


def _register_hook(self: Any, hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(grad_inputs, grad_outputs)`` after the node ran."""
    if self.hooks is None:
        self.hooks = OrderedDict()
    return _add(self.hooks, hook)


def _register_prehook(self: Any, hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(grad_outputs)`` before the node runs."""
    return _add(NodeHooks.of(self).node_hooks, hook)


_C.Node.register_hook = _register_hook
_C.Node.register_prehook = _register_prehook
_C.set_handlers(move_retained=_move_retained)
