"""Drops nodes whose results nobody reads."""

from __future__ import annotations

from wasm_torch.compiler.graph import Graph, Node, Value


def run(graphs: list[Graph]) -> None:
    """Keeps what the outputs and the writes into states and living values need.

    A write keeps its target alive, and everything that shares memory with the target was made
    from it by a view, so nodes before the write that the target depends on stay as well.
    """
    for graph in graphs:
        _drop(graph)


def _drop(graph: Graph) -> None:
    needed = {id(value) for value in graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not node.writes and not any(id(v) in needed for v in node.outputs):
            continue
        kept.append(node)
        needed.update(id(value) for value in node.inputs())
    graph.nodes = kept[::-1]


def readers(graph: Graph) -> dict[int, int]:
    """How many nodes and outputs read each value, by its id."""
    counts: dict[int, int] = {}

    def count(value: Value) -> None:
        counts[id(value)] = counts.get(id(value), 0) + 1

    for node in graph.nodes:
        for value in node.inputs():
            count(value)
    for value in graph.outputs:
        count(value)
    return counts
