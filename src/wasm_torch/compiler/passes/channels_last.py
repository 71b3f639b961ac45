"""Lays the images between two-dimensional convolutions out with their channels innermost.

The convolution kernels work on channels-last, and convert what lies otherwise at each call. With
one conversion before the first convolution the rows in between keep the layout, as torch's do.
Layouts are known when the graph is lowered, so the nodes added here do nothing where the tensor
already lies as they want it.
"""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch._formats import channels_last, channels_last_stride
from wasm_torch.compiler.graph import Graph, Node, Value

_INPUT = 0
#: Rows that read their argument's memory in row-major order.
_ROW_MAJOR = {"view", "as_strided", "_unsafe_view"}


class ToChannelsLast:
    """(N, C, H, W) with C innermost: the tensor itself or a copy."""

    name = "to_channels_last"

    @staticmethod
    def kernel(x: Any) -> Any:
        if x.is_contiguous(memory_format=channels_last):
            return x
        out = _C.empty(tuple(x.shape), x.dtype, channels_last_stride(tuple(x.shape)))
        _C.copy_into(out, x)
        return out


class ToRowMajor:
    """Row-major: the tensor itself or a copy."""

    name = "to_row_major"

    @staticmethod
    def kernel(x: Any) -> Any:
        return _C.contiguous(x)


def run(graph: Graph) -> None:
    """Adds the conversions; leaves graphs alone that write into results, whose views must stay."""
    if any(value.role == "result" for node in graph.nodes for value in node.writes):
        return
    if not any(_is_convolution(node) for node in graph.nodes):
        return
    converted: dict[tuple[int, str], Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        wanted = ToChannelsLast if _is_convolution(node) else None
        if node.name in _ROW_MAJOR and _may_be_image(node.values[_INPUT]):
            wanted = ToRowMajor
        if wanted is not None:
            value = node.values[_INPUT]
            key = (id(value), wanted.name)
            if key not in converted:
                converted[key] = Value(f"{value.name}.{wanted.name}", value.shape, value.dtype)
                nodes.append(Node(wanted, [value], [converted[key]], node.source))
            node.values[_INPUT] = converted[key]
        nodes.append(node)
    graph.nodes = nodes


def _is_convolution(node: Node) -> bool:
    return node.name == "convolution" and len(node.values[_INPUT].shape) == 4


def _may_be_image(value: Value) -> bool:
    return value.role == "result" and len(value.shape) == 4
