"""The peak of live bytes of a torch.export graph: what running it needs without reuse in place.

Independent of the compiler, which is measured against it.
"""

from __future__ import annotations

from typing import Any

import torch


def liveness_peak(graph: torch.fx.Graph) -> int:
    """The most bytes of results that are alive at once, inputs and weights not counted.

    A result lives from its node to its last use; a view keeps what it views alive and takes
    nothing; a node's output and its arguments are alive together.
    """
    owner: dict[torch.fx.Node, torch.fx.Node] = {}
    last_use: dict[torch.fx.Node, int] = {}
    nodes = list(graph.nodes)
    for position, node in enumerate(nodes):
        owner[node] = owner[node.all_input_nodes[0]] if _is_view(node) else node
        for used in node.all_input_nodes:
            last_use[owner[used]] = position
    alive: dict[torch.fx.Node, int] = {}
    peak = 0
    for position, node in enumerate(nodes):
        if node.op == "call_function" and owner[node] is node:
            alive[node] = _bytes(node.meta.get("val"))
        peak = max(peak, sum(alive.values()))
        for done in [n for n in alive if last_use.get(n, position) <= position]:
            del alive[done]
    return peak


def _is_view(node: torch.fx.Node) -> bool:
    if node.op != "call_function" or not node.all_input_nodes:
        return False
    if not isinstance(node.target, torch._ops.OpOverload):
        return True  # getitem: a part of its argument
    return any(result.alias_info for result in node.target._schema.returns)


def _bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    return sum(map(_bytes, value)) if isinstance(value, (tuple, list)) else 0
