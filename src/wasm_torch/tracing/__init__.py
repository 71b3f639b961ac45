"""From a module or function of wasm_torch to a graph, by running it once on example inputs.

Every operation goes through the dispatch mode, which runs it and writes it down. Python's own flow
is fixed as it went, and so may not depend on the elements of a traced tensor.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.graph import Graph
from wasm_torch.tracing._tracer import Tracer

__all__ = ["Tracer", "trace"]


def trace(
    model: Callable[..., Any], example_inputs: Any, *, owner: Any = None, sized: bool = False
) -> Graph:
    """The graph of ``model(*example_inputs)``.

    ``model`` is a module or a function; ``example_inputs`` a tensor, a tuple of positional
    arguments or a dict of keyword arguments: tensors, nests of them in lists, tuples and dicts, and
    other values, which are fixed. ``owner`` is the module whose parameters and buffers a function
    uses.
    Buffers that the model writes become states. ``sized`` says that the graph is one of several at
    different sizes: what is made of sizes alone is then computed in each call.

    Raises DataDependent where the model asks for the elements of a tensor, RandomNumbers where it
    draws some, UnsupportedModel where it writes into its parameters.
    """
    if isinstance(example_inputs, _C.TensorBase):
        example_inputs = (example_inputs,)
    tracer = Tracer(model if owner is None else owner)
    tracer.sized = sized
    graph = tracer.graph
    named = dict(example_inputs) if isinstance(example_inputs, Mapping) else {}
    args = () if named else tuple(example_inputs)
    if named:
        graph.input_tree = {k: _tree(item, tracer.add_input, k) for k, item in named.items()}
    else:
        names = _parameter_names(model, args)
        graph.input_tree = [
            _tree(item, tracer.add_input, name) for name, item in zip(names, args, strict=True)
        ]
    previous = _C.set_grad_enabled(False)
    try:
        with tracer.active():
            result = model(*args, **named)
        graph.output_tree = _tree(result, tracer.add_output)
    finally:
        _C.set_grad_enabled(previous)
    tracer.copy_written_constants()
    return graph


def _parameter_names(model: Any, inputs: tuple[Any, ...]) -> list[str]:
    """What the function, or the module's forward, calls its positional arguments."""
    try:
        signature = inspect.signature(getattr(model, "forward", model))
        names = list(signature.bind(*inputs).arguments)
    except (TypeError, ValueError):
        names = []
    return names if len(names) == len(inputs) else [f"input{i}" for i in range(len(inputs))]


def _tree(nest: Any, leaf: Callable[[Any, str], int], path: str = "") -> Any:
    """Nested lists and dicts of what ``leaf`` gives for each tensor; None for anything else."""
    if isinstance(nest, _C.TensorBase):
        return leaf(nest, path)
    if isinstance(nest, dict):
        return {key: _tree(item, leaf, _join(path, key)) for key, item in nest.items()}
    if isinstance(nest, (tuple, list)):
        return [_tree(item, leaf, _join(path, i)) for i, item in enumerate(nest)]
    return None


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
