"""Lets convolutions and linear layers read packed weights, and so work channels last.

A weight is packed in its place, so whatever reads it must read it packed: one that anything else
reads, in any method of the file, stays as it is.
"""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.graph import Graph, Node, Value
from wasm_torch.compiler.packed import KEEPING, PACKED
from wasm_torch.ops._table import TABLE

_CONVOLUTION_TRANSPOSED, _GROUPS = 6, 8


def run(methods: list[list[Graph]]) -> None:
    """Rewrites the graphs of all methods of a file, those of a method alike."""
    readers: dict[Any, set[Any]] = {}
    for graphs in methods:
        for node in graphs[0].nodes:
            how = packing(graphs, node)
            plain = [*node.inputs()]
            if how is not None:
                readers.setdefault(memory_of(node.values[1]), set()).add(how)
                plain = [value for value in (node.values[0], node.values[2]) if value is not None]
            for value in plain:
                if value.data is not None:
                    readers.setdefault(memory_of(value), set()).add("plain")
        for value in graphs[0].outputs:
            if value.data is not None:
                readers.setdefault(memory_of(value), set()).add("plain")
    shared = {key for key, found in readers.items() if len(found) > 1}
    for graphs in methods:
        _rewrite(graphs, shared)


def _rewrite(graphs: list[Graph], shared: set[Any]) -> None:
    for nodes in zip(*(graph.nodes for graph in graphs), strict=True):
        first = nodes[0]
        if packing(graphs, first) is not None and memory_of(first.values[1]) not in shared:
            for node in nodes:
                _pack(node)
        elif (
            first.op is TABLE.get(first.name)
            and first.name in KEEPING
            and not _needs_layout(graphs[0])
        ):
            for node in nodes:
                node.op = KEEPING[first.name]


def packing(graphs: list[Graph], node: Node) -> Any:
    """How a node's weight would be packed: a hashable; None where it cannot be."""
    if node.op is not TABLE.get(node.name) or node.name not in PACKED:
        return None
    weight, bias = node.values[1:3]
    operands = [v for v in node.values[:3] if v is not None]
    if not weight.fixed or any(v.dtype is not _C.float32 for v in operands):
        return None
    if bias is not None and not bias.fixed:
        return None
    if node.name == "linear":
        return ("linear",) if len(weight.shape) == 2 and 0 not in weight.shape else None
    fits = len(node.values[0].shape) == len(weight.shape) and 0 not in weight.shape
    if node.values[_CONVOLUTION_TRANSPOSED] or not fits or _needs_layout(graphs[0]):
        return None
    return ("convolution", node.values[_GROUPS])


def _needs_layout(graph: Graph) -> bool:
    """Whether results must lie as in torch.

    So it is where something is written into one, which views of it must then show, and where
    strides are given as numbers.
    """
    return any(
        node.name == "as_strided" or any(value.role == "result" for value in node.writes)
        for node in graph.nodes
    )


def _pack(node: Node) -> None:
    op = PACKED[node.name]
    node.values = [*node.values[:3], None, geometry_of(node), None]
    node.op = op


def geometry_of(node: Node) -> Any:
    """(stride, padding, dilation, groups) of a convolution, None of a linear layer."""
    if node.name != "convolution":
        return None
    count = len(node.values[1].shape) - 2
    spread = (tuple(v) * (count if len(v) == 1 else 1) for v in node.values[3:6])
    return (*spread, node.values[_GROUPS])


def memory_of(value: Value) -> Any:
    """What two values share where one's weight is the other's."""
    data = value.data
    return data.data_ptr() if data.numel() else id(data)
