"""Automatic differentiation: ``backward``, ``grad``, modes, hooks and custom functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch.autograd import functional as functional
from wasm_torch.autograd import graph as graph
from wasm_torch.autograd.engine import run_backward
from wasm_torch.autograd.function import Function, FunctionCtx, once_differentiable
from wasm_torch.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

__all__ = [
    "Function",
    "FunctionCtx",
    "backward",
    "enable_grad",
    "functional",
    "grad",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "once_differentiable",
    "set_grad_enabled",
]


def _tensors(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, _C.TensorBase) else tuple(value)


def _root_gradients(roots: Sequence[Any], grads: Any) -> list[Any]:
    """Ones for scalar roots without a gradient; checks the shapes of the others."""
    from wasm_torch.ops import FUNCTIONS

    given = (None,) * len(roots) if grads is None else _tensors(grads)
    for gradient in given:
        if gradient is not None and not isinstance(gradient, _C.TensorBase):
            raise TypeError(
                f"gradients can be either Tensors or None, but got {type(gradient).__name__}"
            )
    if len(given) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(given)} gradients")
    result = []
    for i, (root, gradient) in enumerate(zip(roots, given, strict=True)):
        if gradient is None:
            if root.requires_grad and root.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            gradient = FUNCTIONS["ones_like"](root)
        elif gradient.shape != root.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {gradient.shape} and "
                f"output[{i}] has a shape of {root.shape}."
            )
        result.append(gradient)
    return result


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Adds the gradients of ``tensors`` to the ``.grad`` of the leaves that they were made from.

    ``grad_tensors`` are the gradients of ``tensors`` themselves (ones where a scalar has None).
    ``inputs`` limits which leaves get a gradient. The graph is freed unless ``retain_graph``.
    Raises RuntimeError where a tensor has no graph, or several elements and no gradient.
    """
    roots = _tensors(tensors)
    if inputs is not None and len(_tensors(inputs)) == 0:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    run_backward(
        roots,
        _root_gradients(roots, grad_tensors),
        retain_graph=create_graph if retain_graph is None else retain_graph,
        create_graph=create_graph,
        inputs=None if inputs is None else _tensors(inputs),
    )


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, one for each input.

    Unused inputs raise RuntimeError, or give None with ``allow_unused``, or zeros with
    ``materialize_grads``.
    """
    from wasm_torch.ops import FUNCTIONS

    if is_grads_batched:
        raise RuntimeError("is_grads_batched=True is not supported")
    roots, leaves = _tensors(outputs), _tensors(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    results = run_backward(
        roots,
        _root_gradients(roots, grad_outputs),
        retain_graph=create_graph if retain_graph is None else retain_graph,
        create_graph=create_graph,
        inputs=leaves,
        accumulate=False,
    )
    if materialize_grads:
        return tuple(
            FUNCTIONS["zeros_like"](leaf) if result is None else result
            for leaf, result in zip(leaves, results, strict=True)
        )
    unused = [i for i, result in enumerate(results) if result is None]
    if unused and not allow_unused:
        raise RuntimeError(
            f"The differentiated Tensor at index {unused[0]} appears to not have been used in the "
            "graph. Set allow_unused=True if this is the desired behavior."
        )
    return tuple(results)
