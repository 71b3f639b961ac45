"""Runs a captured graph once on wasm_torch's operations and writes the rows down as our graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

import wasm_torch
from wasm_torch import _C
from wasm_torch.compiler.expressions import Sizes, sizes_text
from wasm_torch.compiler.family import Family
from wasm_torch.compiler.graph import Graph, Value
from wasm_torch.export._capture import Captured, module_path, place_of
from wasm_torch.export._errors import ExportError, Unsupported, UnsupportedOperations
from wasm_torch.export._examples import resized
from wasm_torch.export._operations import arguments_by_name, convert, find, suggestion
from wasm_torch.tracing import Tracer


class WeightSet:
    """The weights of all methods: each tensor becomes one value, however many names it has."""

    def __init__(self) -> None:
        self._values: dict[tuple[Any, ...], tuple[Value, torch.Tensor]] = {}
        self._names: set[str] = set()

    def value(self, name: str, role: str, tensor: torch.Tensor) -> Value:
        """The value of a weight; the same one for the same memory. A state stays one everywhere."""
        key = (
            tensor.untyped_storage().data_ptr(),
            tensor.storage_offset(),
            tuple(tensor.shape),
            tensor.stride(),
            tensor.dtype,
        )
        found = self._values.get(key) if tensor.numel() else None
        if found is not None:
            value = found[0]
            if role == "state":
                value.role = "state"
            return value
        value = Value(self._unused(name), tuple(tensor.shape), *_described(tensor, role))
        self._values[key] = (value, tensor)
        return value

    def _unused(self, name: str) -> str:
        unused, k = name, 1
        while unused in self._names:
            unused, k = f"{name}_{k}", k + 1
        self._names.add(unused)
        return unused


def _described(tensor: torch.Tensor, role: str) -> tuple[Any, str, Any]:
    ours = to_ours(tensor)
    return ours.dtype, role, ours


def to_ours(tensor: torch.Tensor) -> Any:
    """A wasm_torch tensor over the memory of a dense torch tensor (of a copy where it is not)."""
    convert(tensor.dtype)
    plain = tensor.detach().cpu().contiguous()
    if plain.dtype is torch.bfloat16:
        return wasm_torch.from_numpy(plain.view(torch.int16).numpy()).view(wasm_torch.bfloat16)
    return wasm_torch.from_numpy(plain.numpy())


def to_family(captured: Captured, weights: WeightSet) -> Family:
    """The graph of a method, at sample sizes where they vary.

    Raises UnsupportedOperations with all operations that wasm_torch lacks, and ExportError where
    one refuses its arguments.
    """
    refuse_unsupported(captured)
    varying = captured.sizes

    def trace(sizes: Sizes) -> Graph:
        if not sizes:
            return _Recording(weights).run(captured, captured.example)
        tensors = enumerate(captured.example)
        example = [resized(torch, tensor, varying.shape(i, sizes)) for i, tensor in tensors]
        try:
            return _Recording(weights).run(captured, example)
        except ExportError as error:
            error.args = (f"at {sizes_text(sizes)}, where the model is tried out: {error}",)
            raise

    return Family(varying.symbols, trace)


def refuse_unsupported(*methods: Captured) -> None:
    """Raises UnsupportedOperations where a graph holds operations that nothing here runs."""
    places: dict[Any, list[str]] = {}
    for captured in methods:
        for node in captured.graph.nodes:
            if node.op == "call_function" and find(node.target) is None:
                places.setdefault(node.target, []).append(place_of(node))
    if places:
        listed = sorted(places.items(), key=lambda item: -len(item[1]))
        raise UnsupportedOperations(
            [Unsupported(str(t), tuple(where), suggestion(t)) for t, where in listed]
        )


class _Places:
    """Where in the model the node that is running stands, as the tracer asks for it."""

    def __init__(self) -> None:
        self.place = ""

    def where(self) -> str:
        return self.place

    @contextmanager
    def followed(self) -> Iterator[None]:
        yield


def _has_sizes(node: torch.fx.Node) -> bool:
    """Whether sizes that vary are among a node's arguments, or in the shapes that it works on."""

    def varies(value: Any) -> bool:
        if isinstance(value, torch.Tensor):
            return any(isinstance(size, torch.SymInt) for size in value.shape)
        if isinstance(value, (tuple, list)):
            return any(map(varies, value))
        return isinstance(value, (torch.SymInt, torch.SymFloat))

    return any(varies(n.meta.get("val")) for n in (node, *node.all_input_nodes))


class _Recording(Tracer):
    """The tracer of wasm_torch's own modules, given torch's graph to run."""

    def __init__(self, weights: WeightSet):
        super().__init__(None)
        self._weights = weights
        self._places = _Places()
        self._modules = self._places  # type: ignore[assignment]

    def run(self, captured: Captured, example: list[torch.Tensor]) -> Graph:
        graph = self.graph
        environment: dict[str, Any] = {}
        for name, tensor in zip(captured.inputs, example, strict=True):
            environment[name] = to_ours(tensor).clone()
            self.add_input(environment[name], name)
        states: dict[str, Value] = {}
        for placeholder, (name, role, tensor) in captured.weights.items():
            value = self._weights.value(name, role, tensor)
            # An alias for each placeholder: one weight may stand behind several.
            environment[placeholder] = _C.alias(value.data)
            self._register(environment[placeholder], value)
            states[name] = value
        previous = _C.set_grad_enabled(False)
        try:
            with self.active():
                for node in captured.graph.nodes:
                    if node.op == "call_function":
                        environment[node.name] = self._run_node(node, environment)
        finally:
            _C.set_grad_enabled(previous)
        for name, source in captured.outputs:
            self.add_output(environment[source], name)
        graph.input_tree, graph.output_tree = captured.input_tree, captured.output_tree
        self.copy_written_constants()
        for name, source in captured.updates.items():
            graph.write(states[name], self.value(environment[source]), name)
        return graph

    def _run_node(self, node: torch.fx.Node, environment: dict[str, Any]) -> Any:
        def look_up(argument: Any) -> Any:
            return environment[argument.name]

        given = arguments_by_name(
            node.target,
            torch.fx.map_arg(node.args, look_up),
            torch.fx.map_arg(node.kwargs, look_up),
        )
        self._places.place = module_path(node)
        self.sized = _has_sizes(node)
        run = find(node.target)
        assert run is not None  # refuse_unsupported has passed
        try:
            return run({name: convert(value) for name, value in given.items()})
        except Exception as error:
            raise ExportError(f"{node.target} at {place_of(node)}: {error}") from error
