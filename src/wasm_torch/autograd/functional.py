"""Derivatives of functions: Jacobians, Hessians and their products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wasm_torch import _C


def _tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _like(value: Any, results: tuple[Any, ...]) -> Any:
    return results if isinstance(value, (tuple, list)) else results[0]


def _evaluate(func: Callable[..., Any], inputs: Any) -> tuple[tuple[Any, ...], Any]:
    leaves = tuple(x.detach().requires_grad_() for x in _tuple(inputs))
    return leaves, func(*leaves)


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``(func(*inputs), v @ J)`` with J the Jacobian; ``v`` has the shape of the output."""
    from wasm_torch.autograd import grad

    with _enabled():
        leaves, output = _evaluate(func, inputs)
        grads = grad(
            output,
            leaves,
            v,
            create_graph=create_graph,
            allow_unused=not strict,
            materialize_grads=not strict,
        )
    detached = output if create_graph else _like(output, tuple(o.detach() for o in _tuple(output)))
    return detached, _like(inputs, grads)


def jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False
) -> Any:
    """The Jacobian: for each output and input, a tensor of shape output.shape + input.shape."""
    from wasm_torch.autograd import grad
    from wasm_torch.ops import FUNCTIONS

    with _enabled():
        leaves, output = _evaluate(func, inputs)
        rows = []
        for out in _tuple(output):
            flat = out.reshape(-1)
            columns: list[list[Any]] = [[] for _ in leaves]
            for i in range(flat.shape[0]):
                grads = grad(
                    flat[i],
                    leaves,
                    retain_graph=True,
                    create_graph=create_graph,
                    materialize_grads=True,
                )
                for column, gradient in zip(columns, grads, strict=True):
                    column.append(gradient)
            shapes = (tuple(out.shape) + tuple(leaf.shape) for leaf in leaves)
            stacked = tuple(
                FUNCTIONS["stack"](column).reshape(shape)
                for column, shape in zip(columns, shapes, strict=True)
            )
            rows.append(_like(inputs, stacked))
    return _like(output, tuple(rows))


def hessian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False
) -> Any:
    """The Hessian of a scalar function."""

    def gradient(*leaves: Any) -> Any:
        from wasm_torch.autograd import grad

        tracked = tuple(x if x.requires_grad else x.requires_grad_() for x in leaves)
        result = grad(func(*tracked), tracked, create_graph=True, materialize_grads=True)
        return _like(inputs, result)

    return jacobian(gradient, inputs, create_graph=create_graph, strict=strict)


class _enabled:
    def __enter__(self) -> None:
        self.previous = _C.set_grad_enabled(True)

    def __exit__(self, *exception: object) -> None:
        _C.set_grad_enabled(self.previous)
