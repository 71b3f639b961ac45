"""Computes what depends on parameters and constants alone, with the eager engine."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.family import same_elements
from wasm_torch.compiler.graph import Graph, Node, Value, map_values

#: A folded result may be this much larger than what it is made from.
_GROWTH = 1 << 16


def run(graphs: list[Graph]) -> None:
    """Replaces nodes whose inputs are all fixed by their results.

    Views of a parameter are left alone, since they cost nothing where they are and would store the
    parameter twice; so is a result that would make the file much larger, such as a filled mask, and
    one that is not the same to the bit in all graphs, such as positions up to a dynamic length.
    """
    written = [_written(graph) for graph in graphs]
    kept: list[tuple[Node, ...]] = []
    for nodes in zip(*(graph.nodes for graph in graphs), strict=True):
        foldable = all(map(_foldable, nodes, written))
        if not foldable or not _fold(nodes):
            kept.append(nodes)
    for i, graph in enumerate(graphs):
        graph.nodes = [nodes[i] for nodes in kept]


def _foldable(node: Node, written: set[int]) -> bool:
    if node.writes or not node.outputs or _is_view(node) or _random(node):
        return False
    if not all(v.fixed for v in node.inputs()) or not _bounded(node):
        return False
    return not any(id(v) in written for v in node.outputs)


def _fold(nodes: tuple[Node, ...]) -> bool:
    """Computes what the nodes give; whether it is the same."""
    first = nodes[0]
    results = _results(first)
    for node in nodes[1:]:
        if _same(node.values, first.values):
            continue
        others = _results(node)
        if len(others) != len(results) or not all(map(same_elements, results, others)):
            return False
    for node in nodes:
        for value, result in zip(node.outputs, results, strict=True):
            value.role, value.data = "constant", result
    return True


def _results(node: Node) -> list[Any]:
    previous = _C.set_grad_enabled(False)
    try:
        results = node.op.kernel(*map_values(node.values, lambda value: value.data))
    finally:
        _C.set_grad_enabled(previous)
    return _flat(results if isinstance(results, (tuple, list)) else (results,))


def _same(a: Any, b: Any) -> bool:
    """Whether arguments are the same, without a look at elements."""
    if isinstance(a, Value):
        return isinstance(b, Value) and a.data is b.data
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


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
