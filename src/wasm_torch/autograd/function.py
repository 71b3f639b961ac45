"""Operations with a backward pass written by the user."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from wasm_torch import _C

TensorBase = _C.TensorBase


class FunctionCtx:
    """What ``forward`` leaves for ``backward``."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._to_save: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._non_differentiable: tuple[Any, ...] = ()
        self._materialize = True
        #: The node, which holds this object and what was saved. None where nothing is recorded.
        self._node: weakref.ref[Any] | None = None
        self._outputs: list[tuple[tuple[int, ...], Any] | None] = []

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps tensors (or None) for ``backward``, which finds them in ``saved_tensors``."""
        self._to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Accepted for compatibility: forward-mode differentiation is not offered."""

    def mark_dirty(self, *tensors: Any) -> None:
        """Declares inputs that ``forward`` changed in place; they must be returned."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Declares outputs that no gradient flows through."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros (default) or None for outputs without gradient."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The saved tensors. Raises RuntimeError where one was changed in place since, or the graph
        was freed."""
        if self._node is None:
            return ()
        node = self._node()
        if node is None:
            raise RuntimeError("The saved tensors were freed with the graph that they belong to.")
        return node.saved_tensors


class Function:
    """Base of operations with their own backward pass.

    A subclass has static methods ``forward(ctx, *args)`` (or ``forward(*args)`` with
    ``setup_context(ctx, inputs, output)``) and ``backward(ctx, *grad_outputs)``, which returns a
    gradient or None for each argument of ``forward``. ``apply(*args)`` runs it.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Runs ``forward`` and records the operation."""
        ctx = type(f"{cls.__name__}Backward", (FunctionCtx,), {})()
        tracked = [isinstance(a, TensorBase) and a.requires_grad for a in args]
        ctx.needs_input_grad = tuple(tracked)
        recording = _C.grad_enabled() and any(tracked)
        node = None
        if recording:
            edges = tuple(a if isinstance(a, TensorBase) else None for a in args)
            run = functools.partial(_run_backward, cls, ctx, len(args))
            node = _C.Node(f"{cls.__name__}Backward", None, edges, run)
        previous = _C.set_grad_enabled(False)
        try:
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
        finally:
            _C.set_grad_enabled(previous)
        outputs = result if isinstance(result, tuple) else (result,)
        ctx._outputs = [
            (tuple(o.shape), o.dtype) if isinstance(o, TensorBase) else None for o in outputs
        ]
        if _C.grad_enabled() and ctx._dirty:
            _check_dirty(ctx, args, tracked, outputs)
        if node is not None:
            ctx._node = weakref.ref(node)
            outputs = _attach(ctx, node, args, outputs)
        ctx._to_save = ctx._dirty = ctx._non_differentiable = ()
        return outputs if isinstance(result, tuple) else outputs[0]


def _contains(tensors: tuple[Any, ...], tensor: Any) -> bool:
    return any(tensor is other for other in tensors)


def _check_dirty(
    ctx: FunctionCtx, args: tuple[Any, ...], tracked: list[bool], outputs: tuple[Any, ...]
) -> None:
    if not all(_contains(outputs, tensor) for tensor in ctx._dirty):
        raise RuntimeError(
            "Some elements marked as dirty during the forward method were not returned as output. "
            "The inputs that are modified inplace must all be outputs of the Function."
        )
    for arg, had_history in zip(args, tracked, strict=True):
        # A view that was made without gradients gets a history only from the change.
        if _contains(ctx._dirty, arg) and arg.requires_grad and not had_history:
            raise RuntimeError(
                "a leaf Variable that requires grad has been used in an in-place operation."
            )
    several = sum(isinstance(output, TensorBase) for output in outputs) > 1
    if several and any(_contains(args, t) and t._is_view() for t in ctx._dirty):
        raise RuntimeError(
            "If your Function modifies inplace an input that is a view of another Tensor, your "
            "Function cannot return more than one Tensor. This is not supported by the current "
            "autograd engine. You should either make sure the input is not a view (using .clone() "
            "for example) or make your Function only return one Tensor (potentially splitting it "
            "into two Functions: one doing the inplace that returns a single Tensor and a second "
            "one that does the other operations). You can ask on the forum "
            "https://discuss.pytorch.org/ if you need help to do this change."
        )


def _attach(
    ctx: FunctionCtx, node: Any, args: tuple[Any, ...], outputs: tuple[Any, ...]
) -> tuple[Any, ...]:
    """The outputs with their history; the node keeps what the function saved."""
    attached = []
    saved = list(ctx._to_save)
    numbers = [-1] * len(saved)
    for number, output in enumerate(outputs):
        if isinstance(output, TensorBase):
            given = output
            differentiable = output.dtype.is_floating_point and not _contains(
                ctx._non_differentiable, output
            )
            changed = _contains(ctx._dirty, output)
            if _contains(args, output) and not changed:
                output = output.view_as(output) if output.ndim else _C.alias(output)
            changed_input = changed and _contains(args, output)
            if differentiable:
                _C.set_history(output, node, number, changed_input)
            if changed and not (differentiable and changed_input):
                _C.bump(output)
            for i, tensor in enumerate(saved):
                if tensor is given:
                    saved[i], numbers[i] = output, number if differentiable else -1
        attached.append(output)
    node.save(tuple(saved), tuple(numbers))
    return tuple(attached)


def _run_backward(cls: type[Function], ctx: Any, count: int, node: Any, grads: list[Any]) -> Any:
    from wasm_torch.ops import FUNCTIONS

    grads = (grads + [None] * len(ctx._outputs))[: len(ctx._outputs)]
    if ctx._materialize:
        for i, metadata in enumerate(ctx._outputs):
            if grads[i] is None and metadata is not None:
                grads[i] = FUNCTIONS["zeros"](metadata[0], dtype=metadata[1])
    result = cls.backward(ctx, *grads)
    result = list(result) if isinstance(result, (tuple, list)) else [result]
    while len(result) > count and result[-1] is None:
        result.pop()
    if len(result) != count:
        raise RuntimeError(
            f"function {cls.__name__}Backward returned an incorrect number of gradients "
            f"(expected {count}, got {len(result)})"
        )
    return result


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a ``backward`` that cannot itself be differentiated."""

    @functools.wraps(function)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        previous = _C.set_grad_enabled(False)
        try:
            return function(ctx, *grads)
        finally:
            _C.set_grad_enabled(previous)

    return wrapped
