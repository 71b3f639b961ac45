"""From a module or function of wasm_torch to a graph, by running it once on example inputs.

Every operation goes through the dispatch mode, which runs it and writes it down. Python's own flow
is fixed as it went, and so may not depend on the elements of a traced tensor.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.graph import Graph
from wasm_torch.tracing._tracer import Tracer

__all__ = ["Tracer", "trace"]


def trace(model: Callable[..., Any], example_inputs: Any) -> Graph:
    """The graph of ``model(*example_inputs)``.

    ``model`` is a module or a function; ``example_inputs`` a tensor, or a tuple of positional
    arguments: tensors, nests of them in lists, tuples and dicts, and other values, which are fixed.
    Buffers that the model writes become states.

    Raises DataDependent where the model asks for the elements of a tensor, RandomNumbers where it
    draws some, UnsupportedModel where it writes into its parameters.
    """
    if isinstance(example_inputs, _C.TensorBase):
        example_inputs = (example_inputs,)
    tracer = Tracer(model)
    graph = tracer.graph
    graph.input_tree = [
        _tree(item, tracer.add_input, name)
        for name, item in zip(_parameter_names(model, example_inputs), example_inputs, strict=True)
    ]
    previous = _C.set_grad_enabled(False)
    try:
        with tracer.active():
            result = model(*example_inputs)
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
