"""Lets packed convolutions and linear layers add a residual and apply the activation that follows.

``relu(conv(x) + y)`` is then one kernel, whose results pass through memory once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.graph import Graph, Node, Value
from wasm_torch.compiler.packed import ACTIVATION, RESIDUAL
from wasm_torch.compiler.passes.dead_code import readers
from wasm_torch.compiler.quantized import takes_epilogues

#: A row's arguments after the input, as (unary operator, p0, p1).
_ACTIVATIONS: dict[str, Callable[..., tuple[str, float, float]]] = {
    "relu": lambda: ("relu", 0.0, 0.0),
    "hardtanh": lambda low, high: ("hardtanh", float(low), float(high)),
    "relu6": lambda: ("relu6", 0.0, 0.0),
    "sigmoid": lambda: ("sigmoid", 0.0, 0.0),
    "tanh": lambda: ("tanh", 0.0, 0.0),
    "silu": lambda: ("silu", 0.0, 0.0),
    "hardswish": lambda: ("hardswish", 0.0, 0.0),
    "hardsigmoid": lambda: ("hardsigmoid", 0.0, 0.0),
    "mish": lambda: ("mish", 0.0, 0.0),
    "gelu": lambda approximate: ("gelu" if approximate == "none" else "gelu_tanh", 0.0, 0.0),
    "leaky_relu": lambda slope: ("leaky_relu", float(slope), 0.0),
}


def run(graphs: list[Graph]) -> None:
    """Fuses sums first, then activations, in all graphs alike."""
    _fuse(graphs, _residual)
    _fuse(graphs, _activation)


#: Finds the packed node of a graph that a node can go into: its position and how to change it.
_Match = Callable[[Graph, Node, dict[int, int], dict[int, int]], "tuple[int, int, Any] | None"]


def _fuse(graphs: list[Graph], match: _Match) -> None:
    position, tables = 0, [_tables(graph) for graph in graphs]
    while position < len(graphs[0].nodes):
        found = [
            _find(graph, match, position, *own) for graph, own in zip(graphs, tables, strict=True)
        ]
        merges = [f for f in found if f is not None]
        # The numbers of an epilogue may differ as sizes do; what is fused may not.
        if len(merges) == len(graphs) and len({merge[:2] for merge in merges}) == 1:
            for graph, (at, field, what) in zip(graphs, merges, strict=True):
                _merge(graph, at, position, field, what)
            tables = [_tables(graph) for graph in graphs]
        else:
            position += 1


def _tables(graph: Graph) -> tuple[dict[int, int], dict[int, int]]:
    """How many read each value, and which node makes it, by the value's id."""
    made_by = {id(v): i for i, node in enumerate(graph.nodes) for v in node.outputs}
    return readers(graph), made_by


def _find(
    graph: Graph, match: _Match, position: int, counts: dict[int, int], made_by: dict[int, int]
) -> tuple[int, int, Any] | None:
    """Where and how the node at ``position`` goes into a packed one."""
    found = match(graph, graph.nodes[position], counts, made_by)
    return found if found is not None and _may_move(graph, found[0], position) else None


def _merge(graph: Graph, at: int, position: int, field: int, what: Any) -> None:
    """Moves the packed node to the place of the node that it takes over."""
    packed, node = graph.nodes[at], graph.nodes[position]
    packed.values[field] = node.values[what] if field == RESIDUAL else what
    packed.outputs = node.outputs
    graph.nodes[position] = packed
    del graph.nodes[at]


def _may_move(graph: Graph, start: int, end: int) -> bool:
    """Whether nothing is written between, be it into what the node reads a view of."""
    return not any(node.writes for node in graph.nodes[start + 1 : end])


def _packed_maker(
    graph: Graph, value: Any, counts: dict[int, int], made_by: dict[int, int]
) -> int | None:
    """The packed node without an activation whose result this is, if nothing else reads it."""
    if not isinstance(value, Value) or counts.get(id(value)) != 1 or id(value) not in made_by:
        return None
    at = made_by[id(value)]
    node = graph.nodes[at]
    return at if takes_epilogues(node.op) and node.values[ACTIVATION] is None else None


def _residual(
    graph: Graph, node: Node, counts: dict[int, int], made_by: dict[int, int]
) -> tuple[int, int, Any] | None:
    if node.name != "add.Tensor" or node.values[2] != 1:
        return None
    left, right = node.values[:2]
    out = node.outputs[0]
    found = []
    for value, other in ((left, 1), (right, 0)):
        at = _packed_maker(graph, value, counts, made_by)
        residual = node.values[other]
        if at is None or not isinstance(residual, Value) or left is right:
            continue
        alike = residual.shape == value.shape == out.shape and residual.dtype is value.dtype
        if alike and graph.nodes[at].values[RESIDUAL] is None:
            found.append((at, RESIDUAL, other))
    return max(found) if found else None


def _activation(
    graph: Graph, node: Node, counts: dict[int, int], made_by: dict[int, int]
) -> tuple[int, int, Any] | None:
    parse = _ACTIVATIONS.get(node.name)
    at = _packed_maker(graph, node.values[0], counts, made_by) if parse is not None else None
    if parse is None or at is None:
        return None
    name, p0, p1 = parse(*node.values[1:])
    return at, ACTIVATION, (_C.UNARY[name], p0, p1)
