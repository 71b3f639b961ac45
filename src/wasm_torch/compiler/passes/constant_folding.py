"""Computes what depends on parameters and constants alone, with the eager engine."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.graph import Graph, Node, Value, map_values

#: A folded result may be this much larger than what it is made from.
_GROWTH = 1 << 16


def run(graph: Graph) -> None:
    """Replaces nodes whose inputs are all fixed by their results.

    Views of a parameter are left alone, since they cost nothing where they are and would store the
    parameter twice; so is a result that would make the file much larger, such as a filled mask.
    """
    written = _written(graph)
    kept: list[Node] = []
    for node in graph.nodes:
        foldable = not node.writes and node.outputs and not _is_view(node)
        foldable = foldable and all(v.fixed for v in node.inputs()) and _bounded(node)
        if not foldable or any(id(v) in written for v in node.outputs) or _random(node):
            kept.append(node)
            continue
        _fold(node)
    graph.nodes = kept


def _fold(node: Node) -> None:
    previous = _C.set_grad_enabled(False)
    try:
        results = node.op.kernel(*map_values(node.values, lambda value: value.data))
    finally:
        _C.set_grad_enabled(previous)
    results = results if isinstance(results, (tuple, list)) else (results,)
    for value, result in zip(node.outputs, _flat(results), strict=True):
        value.role, value.data = "constant", result


def _flat(results: Any) -> list[Any]:
    flat: list[Any] = []
    for item in results:
        flat += _flat(item) if isinstance(item, (tuple, list)) else [item]
    return flat


def _is_view(node: Node) -> bool:
    return getattr(node.op, "family", "") == "view"


def _random(node: Node) -> bool:
    return getattr(node.op, "family", "") == "random"


def _bytes(value: Value) -> int:
    total = value.dtype.itemsize
    for n in value.shape:
        total *= n
    return total


def _bounded(node: Node) -> bool:
    return sum(map(_bytes, node.outputs)) <= sum(map(_bytes, node.inputs())) + _GROWTH


def _written(graph: Graph) -> set[int]:
    """Values that are written into, and those they may be views of."""
    written: set[int] = set()
    for node in reversed(graph.nodes):
        written.update(id(value) for value in node.writes)
        if any(id(v) in written for v in node.outputs):
            written.update(id(v) for v in node.inputs())
    return written
