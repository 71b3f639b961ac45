"""Operations with a backward pass written by the user."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from wasm_torch import _C

TensorBase = _C.TensorBase


class FunctionCtx:
    """What ``forward`` leaves for ``backward``."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._to_save: tuple[Any, ...] = ()
        self._saved: list[tuple[Any, int, int]] | None = []
        self._dirty: tuple[Any, ...] = ()
        self._non_differentiable: tuple[Any, ...] = ()
        self._materialize = True
        self._node: Any = None
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
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Saved intermediate values of the "
                "graph are freed when you call .backward() or autograd.grad(). Specify "
                "retain_graph=True if you need to backward through the graph a second time or if "
                "you need to access saved tensors after calling backward."
            )
        return tuple(self._unpack(*saved) for saved in self._saved)

    def _unpack(self, tensor: Any, version: int, output_nr: int) -> Any:
        if tensor is None:
            return None
        if tensor._version != version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                f"inplace operation: [torch.FloatTensor {list(tensor.shape)}] is at version "
                f"{tensor._version}; expected version {version} instead. Hint: enable anomaly "
                "detection to find the operation that failed to compute its gradient, with "
                "torch.autograd.set_detect_anomaly(True, check_nan=False)."
            )
        if output_nr >= 0 and self._node is not None:
            tensor = _C.alias(tensor)
            _C.set_history(tensor, self._node, output_nr)
        return tensor

    def _pack(self, outputs: tuple[Any, ...]) -> None:
        """An output is kept without its history, which would be a cycle."""
        self._saved = []
        for tensor in self._to_save:
            number = next((i for i, output in enumerate(outputs) if output is tensor), -1)
            kept = _C.alias(tensor) if number >= 0 else tensor
            self._saved.append((kept, 0 if kept is None else kept._version, number))
        self._to_save = ()


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
        if node is not None:
            outputs = _attach(ctx, node, args, outputs)
        ctx._pack(outputs)
        return outputs if isinstance(result, tuple) else outputs[0]


def _attach(
    ctx: FunctionCtx, node: Any, args: tuple[Any, ...], outputs: tuple[Any, ...]
) -> tuple[Any, ...]:
    ctx._node = node
    attached = []
    for number, output in enumerate(outputs):
        if isinstance(output, TensorBase):
            plain = any(output is t for t in ctx._non_differentiable)
            dirty = any(output is t for t in ctx._dirty)
            if any(output is a for a in args) and not dirty:
                replaced = output.view_as(output) if output.ndim else _C.alias(output)
                ctx._to_save = tuple(replaced if t is output else t for t in ctx._to_save)
                output = replaced
            if dirty:
                _C.bump(output)
            if not plain and output.dtype.is_floating_point:
                _C.set_history(output, node, number)
        attached.append(output)
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
