"""What was compiled, for people: graphs before and after the passes, kernel calls, memory plan.

It lies in a section of the file that hosts pass over, and `wasm-torch inspect` shows it.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from wasm_torch.compiler import wasm
from wasm_torch.compiler.emit import Kernels
from wasm_torch.compiler.graph import Graph, Node, Raw, Value, argument_text
from wasm_torch.compiler.lower import Lowered
from wasm_torch.compiler.package import ModelFile, custom_sections

SECTION = "wasm_torch.report"


def op_name(node: Node) -> str:
    """torch's name where the node is a row or a write; raw calls have none there."""
    return node.name if isinstance(node.op, Raw) else f"aten.{node.name}"


def describe_graph(graph: Graph) -> dict[str, Any]:
    """A graph as JSON: names and shapes of what goes in and out, and the nodes in order."""
    return {
        "inputs": [_text(value) for value in graph.inputs],
        "nodes": [
            {
                "op": op_name(node),
                "outputs": [_text(value) for value in node.outputs],
                "arguments": [argument_text(value) for value in node.values],
                "source": node.source,
            }
            for node in graph.nodes
        ],
        "outputs": [value.name for value in graph.outputs],
    }


def _text(value: Value) -> str:
    return f"{value.name}: {value.dtype.name}{list(value.shape)}"


def describe_method(before: dict[str, Any], method: Lowered) -> dict[str, Any]:
    """A compiled method as JSON. ``before`` is its graph as it was before the passes.

    Kernels are counted; a buffer has its place in the arena, its size, and the first and the last
    of the nodes that use it. Where sizes vary, the graphs have those of one sample.
    """
    calls = Counter(Kernels.import_name(launch.kernel) for launch in method.launches)
    return {
        "before": before,
        "after": describe_graph(method.graph),
        "kernels": dict(calls.most_common()),
        "memory": _buffers(method),
    }


def _buffers(method: Lowered) -> list[dict[str, Any]]:
    varying = method.varying
    found: dict[int, dict[str, Any]] = {}
    for launch in method.launches:
        for _, tensor in launch.tensors():
            buffer = tensor.buffer
            if buffer.kind != "arena":
                continue
            place, size = buffer.index, buffer.bytes
            if varying is not None:
                place, size = varying.places[id(buffer)], varying.bytes[id(buffer)]
            entry = found.setdefault(
                id(buffer), {"offset": place, "bytes": size, "first": launch.node}
            )
            entry["last"] = launch.node
    return list(found.values())


def section(methods: Mapping[str, dict[str, Any]]) -> bytes:
    """The section of a file: JSON, deflated."""
    text = json.dumps({"methods": methods}, separators=(",", ":"), ensure_ascii=False)
    return wasm.custom(SECTION, zlib.compress(text.encode(), 9))


def read_report(file: ModelFile) -> dict[str, Any]:
    """What `describe_method` gave, by method; empty for a file without it."""
    payload = custom_sections(file.prefix).get(SECTION)
    return {} if payload is None else json.loads(zlib.decompress(payload))["methods"]
