"""Folds an inference batch norm into the convolution before it.

A batch norm with fixed statistics is y = (x - mean) * s + b with s = weight / sqrt(var + eps), per
channel, so conv(x, W) + c followed by it is conv(x, W * s) + (c - mean) * s + b.
"""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.graph import Graph, Node, Value
from wasm_torch.compiler.passes.dead_code import readers

# Positions of arguments: of convolution, and of native_batch_norm (whose eps is the last).
_WEIGHT, _BIAS, _TRANSPOSED = 1, 2, 6
_TRAINING = 5


def run(graphs: list[Graph]) -> None:
    """Rewrites each pair whose convolution nothing else reads and whose weights are fixed."""
    pairs = _pairs(graphs[0])
    dropped = {norm for _, norm in pairs}
    for conv, norm in pairs:
        weights = _fold(graphs[0].nodes[conv], graphs[0].nodes[norm])
        for graph in graphs:
            graph.nodes[conv].values[_WEIGHT : _BIAS + 1] = weights
            graph.nodes[conv].outputs = [graph.nodes[norm].outputs[0]]
    for graph in graphs:
        graph.nodes = [node for i, node in enumerate(graph.nodes) if i not in dropped]


def _pairs(graph: Graph) -> list[tuple[int, int]]:
    """The positions of convolutions and of the batch norms that go into them."""
    found: list[tuple[int, int]] = []
    counts = readers(graph)
    made_by = {id(v): i for i, node in enumerate(graph.nodes) for v in node.outputs}
    for i, norm in enumerate(graph.nodes):
        if norm.name != "native_batch_norm" or norm.values[_TRAINING]:
            continue
        at = made_by.get(id(norm.values[0]))
        conv = None if at is None else graph.nodes[at]
        if at is None or conv is None or conv.name != "convolution" or conv.values[_TRANSPOSED]:
            continue
        fixed = [v for v in (*conv.values[1:3], *norm.values[1:5]) if v is not None]
        extra = any(counts.get(id(v), 0) for v in norm.outputs[1:])
        if counts[id(conv.outputs[0])] == 1 and not extra and all(v.fixed for v in fixed):
            found.append((at, i))
    return found


def _fold(conv: Node, norm: Node) -> list[Value]:
    """The convolution's weight and bias with the norm in them."""
    weight, bias = conv.values[_WEIGHT], conv.values[_BIAS]
    gamma, beta, mean, variance = norm.values[1:5]
    eps = norm.values[-1]
    previous = _C.set_grad_enabled(False)
    try:
        scale = (_double(variance) + eps).rsqrt()
        if gamma is not None:
            scale = scale * _double(gamma)
        shift = -_double(mean) if bias is None else _double(bias) - _double(mean)
        shift = shift * scale if beta is None else shift * scale + _double(beta)
        per_channel = scale.reshape((-1, *(1,) * (len(weight.shape) - 1)))
        folded = (_double(weight) * per_channel).to(weight.dtype)
        shifted = shift.to(weight.dtype)
    finally:
        _C.set_grad_enabled(previous)
    stem = weight.name.removesuffix(".weight")
    named = bias.name if bias is not None else f"{stem}.bias"
    return [_constant(weight.name, folded), _constant(named, shifted)]


def _double(value: Value) -> Any:
    return value.data.detach().to(_C.float64)


def _constant(name: str, tensor: Any) -> Value:
    return Value(name, tuple(tensor.shape), tensor.dtype, "constant", tensor)
