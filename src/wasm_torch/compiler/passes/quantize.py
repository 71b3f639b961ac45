"""Keeps the weights of convolutions, linear layers and embeddings in 8 bits."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.graph import Graph, Node, Value
from wasm_torch.compiler.passes.pack_weights import geometry_of, memory_of, packing
from wasm_torch.compiler.quantized import QUANTIZED, can_be_quantized, in_panels, rounded, scales


def run(methods: list[list[Graph]]) -> None:
    """Rewrites the graphs of all methods of a file, those of a method alike.

    A weight gets its whole numbers and scales once, whoever reads it.
    """
    made: dict[Any, tuple[Value, ...]] = {}
    for graphs in methods:
        for nodes in zip(*(graph.nodes for graph in graphs), strict=True):
            if _applies(graphs, nodes[0]):
                parts = _parts(nodes[0], made)
                for node in nodes:
                    _rewrite(node, parts)


def _weight(node: Node) -> Value:
    weight: Value = node.values[0 if node.name == "embedding" else 1]
    return weight


def _applies(graphs: list[Graph], node: Node) -> bool:
    if node.name == "embedding":
        weight = node.values[0]
        fixed = weight.fixed and weight.dtype is _C.float32
        return fixed and can_be_quantized("embedding", weight.shape)
    how = packing(graphs, node)
    if how is None:
        return False
    groups = how[1] if node.name == "convolution" else 1
    return can_be_quantized(node.name, node.values[1].shape, groups)


def _parts(node: Node, made: dict[Any, tuple[Value, ...]]) -> tuple[Value, ...]:
    """The weight's constants: whole numbers, scales and, but for embeddings, sums."""
    weight = _weight(node)
    key = (node.name == "embedding", memory_of(weight), weight.shape)
    if key not in made:
        previous = _C.set_grad_enabled(False)
        try:
            tensors = _quantized(node.name, weight.data.detach())
        finally:
            _C.set_grad_enabled(previous)
        names = (weight.name, f"{weight.name}.scale", f"{weight.name}.sums")
        made[key] = tuple(
            Value(name, tuple(t.shape), t.dtype, "constant", t)
            for name, t in zip(names, tensors, strict=False)
        )
    return made[key]


def _quantized(kind: str, weight: Any) -> tuple[Any, ...]:
    scale = scales(weight)
    whole = rounded(weight, scale)
    if kind == "embedding":
        return whole.to(_C.int8), scale.reshape((-1, 1))
    sums = whole.reshape((whole.shape[0], -1)).sum(1).to(_C.int32)
    return in_panels(whole), scale, sums


def _rewrite(node: Node, parts: tuple[Value, ...]) -> None:
    kind = node.name
    if kind == "embedding":
        values = [parts[0], node.values[1], parts[1]]
    else:
        whole, scale, sums = parts
        kernel = node.values[1].shape[2:] if kind == "convolution" else None
        values = [node.values[0], whole, node.values[2], None, geometry_of(node), None]
        values += [scale, sums, kernel]
    node.op, node.values = QUANTIZED[kind], values
