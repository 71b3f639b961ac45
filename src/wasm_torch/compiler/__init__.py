"""From graphs to a model file: passes, lowering, memory plan, code. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.emit import Constants, Kernels, emit_method, module_sections
from wasm_torch.compiler.errors import (
    Damaged,
    DataDependent,
    MissingKernel,
    ModelError,
    NewerFormat,
    NotOurs,
    NotWasm,
    Truncated,
    UnsupportedModel,
)
from wasm_torch.compiler.family import Family, Symbol
from wasm_torch.compiler.graph import Graph, Node, Value, share_states
from wasm_torch.compiler.lower import Lowered, lower
from wasm_torch.compiler.package import FIRST_FORMAT, FORMAT, padded, read, write
from wasm_torch.compiler.passes import LAUNCH_LEVELS, LEVELS, optimize
from wasm_torch.compiler.plan import plan
from wasm_torch.compiler.report import describe_graph, describe_method, op_name, section
from wasm_torch.compiler.stored import WEIGHTS_DTYPES, check_weights_dtype, narrowed
from wasm_torch.compiler.unify import unify
from wasm_torch.compiler.weights import ALIGNMENT, Weight, Weights, aligned
from wasm_torch.version import __version__

__all__ = [
    "LEVELS",
    "WEIGHTS_DTYPES",
    "Compiled",
    "Damaged",
    "DataDependent",
    "Family",
    "Graph",
    "MissingKernel",
    "ModelError",
    "NewerFormat",
    "Node",
    "NotOurs",
    "NotWasm",
    "Symbol",
    "Truncated",
    "UnsupportedModel",
    "Value",
    "assemble",
    "check_weights_dtype",
    "compile",
    "read",
]


@dataclass(eq=False, slots=True)
class Compiled:
    """All that a file holds; ``file`` writes it."""

    sections: bytes
    manifest: dict[str, Any]
    weights: list[Weight]
    constants: bytes

    def file(self, weights_dtype: str = "float32") -> bytes:
        """The file, with weights kept in this dtype, one of `WEIGHTS_DTYPES`."""
        check_weights_dtype(weights_dtype)
        tensors = [dict(entry) for entry in self.manifest["weights"]["tensors"]]
        pieces: list[bytes] = []
        for entry, weight in zip(tensors, self.weights, strict=True):
            narrow = narrowed(weight, weights_dtype)
            if narrow is not None:
                entry["stored"] = weights_dtype
            pieces.append(_C.to_bytes(weight.tensor if narrow is None else narrow))
        payload = padded((*pieces, self.constants), ALIGNMENT)
        entries: dict[str, Any] = {"bytes": sum(map(len, payload))}
        format = FIRST_FORMAT
        if any("stored" in entry for entry in tensors):
            format = FORMAT
            offset = self.manifest["constants"]["offset"]
            entries["memory"] = offset + aligned(len(self.constants))
        weights = entries | {"tensors": tensors}
        manifest = self.manifest | {"format": format, "weights": weights}
        return write(self.sections, manifest, payload)


def compile(
    graph: Graph | Family | Mapping[str, Graph | Family],
    level: str = "O3",
    torch: str = "",
    *,
    simd: bool = True,
    threads: bool = True,
    weights_dtype: str = "float32",
    quantized: bool = False,
) -> bytes:
    """A model file of one graph (the method ``forward``) or of several methods by name.

    A `Family` is a method whose sizes vary from call to call. Methods share their weights: each
    tensor is stored once. ``level`` is one of `LEVELS`; the graphs are changed by its passes.
    ``torch`` is the version of torch that they come from. Without ``simd`` the file runs on the
    engine's scalar binary; without ``threads``, on one thread. ``weights_dtype`` is one of
    `WEIGHTS_DTYPES`; ``quantized`` keeps the weights of layers in 8 bits and computes with them.

    Raises UnsupportedModel or DataDependent, which name the node, where a graph does what a file
    cannot.
    """
    check_weights_dtype(weights_dtype)
    compiled = assemble(graph, level, torch, simd=simd, threads=threads, quantized=quantized)
    return compiled.file(weights_dtype)


def assemble(
    graph: Graph | Family | Mapping[str, Graph | Family],
    level: str = "O3",
    torch: str = "",
    *,
    simd: bool = True,
    threads: bool = True,
    quantized: bool = False,
) -> Compiled:
    """What `compile` writes, in parts."""
    given = graph if isinstance(graph, Mapping) else {"forward": graph}
    families = {n: Family.of(g) if isinstance(g, Graph) else g for n, g in given.items()}
    weights, constants, kernels = Weights(), Constants(), Kernels()
    methods: dict[str, Lowered] = {}
    share_states([method_graph for family in families.values() for method_graph in family.graphs])
    befores = {name: describe_graph(family.graphs[0]) for name, family in families.items()}
    optimize([family.graphs for family in families.values()], level, quantized)
    reports: dict[str, dict[str, Any]] = {}
    for name, family in families.items():
        methods[name] = _lowered(family, weights, level)
        reports[name] = describe_method(befores[name], methods[name])
    constants_offset = weights.place()
    bodies = {
        f"method:{name}": emit_method(method, weights, constants, kernels)
        for name, method in methods.items()
    }
    packing = Lowered(Graph(), weights.packing(), [])
    if packing.launches:
        bodies["prepare"] = emit_method(packing, weights, constants, kernels)
    stored = [weight for weight in weights.all if weight.used]
    manifest = {
        "format": FIRST_FORMAT,
        "producer": f"wasm-torch {__version__}",
        "torch": torch,
        "simd": simd,
        "threads": threads,
        "kernels": kernels.names,
        "weights": {"tensors": [_tensor(w.name, w.tensor) | _placed(w) for w in stored]},
        "constants": {"bytes": len(constants.data), "offset": constants_offset},
        "methods": {name: _method(m, stored) for name, m in methods.items()},
    }
    sections = module_sections(kernels, bodies) + section(reports)
    return Compiled(sections, manifest, stored, bytes(constants.data))


def _lowered(family: Family, weights: Weights, level: str) -> Lowered:
    """A method as launches, with its memory plan."""
    in_place = level != "O0"
    if family.symbols:
        return unify(family, weights, LAUNCH_LEVELS[level], in_place)
    method = lower(family.graphs[0], weights)
    for run in LAUNCH_LEVELS[level]:
        run([method.launches], [weights])
    method.arena_bytes = plan(method.launches, in_place)
    return method


def _tensor(name: str, tensor: Any) -> dict[str, Any]:
    return {"name": name, "dtype": tensor.dtype.name, "shape": list(tensor.shape)}


def _placed(weight: Any) -> dict[str, Any]:
    return {"offset": weight.offset, "bytes": weight.bytes, "role": weight.role}


def _method(method: Lowered, stored: list[Any]) -> dict[str, Any]:
    """The manifest's entry of one method."""
    graph = method.graph
    names = graph.output_names or _output_names(len(graph.outputs))
    inputs = [_tensor(value.name, value) for value in graph.inputs]
    outputs = [_tensor(n, v) for n, v in zip(names, graph.outputs, strict=True)]
    varying, limits = method.varying, {}
    if varying is not None:
        for entries, shapes in ((inputs, varying.inputs), (outputs, varying.outputs)):
            for entry, shape in zip(entries, shapes, strict=True):
                entry["shape"] = shape
        limits = {"largest": varying.largest}
    return {
        "inputs": inputs,
        "outputs": outputs,
        "input_tree": graph.input_tree,
        "output_tree": graph.output_tree,
        "states": [{"name": s.name, "weight": stored.index(s)} for s in method.states],
        "symbols": [] if varying is None else [asdict(symbol) for symbol in varying.symbols],
        "arena_bytes": method.arena_bytes,
        **limits,
        "nodes": [{"op": op_name(n), "source": n.source} for n in graph.nodes],
    }


def _output_names(count: int) -> list[str]:
    return ["output"] if count == 1 else [f"output{i}" for i in range(count)]
