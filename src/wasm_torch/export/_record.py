"""Runs a captured graph once on wasm_torch's operations and writes the rows down as our graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

import wasm_torch
from wasm_torch import _C
from wasm_torch.compiler.graph import Graph, Value
from wasm_torch.export._capture import Captured, module_path, place_of
from wasm_torch.export._errors import ExportError, Unsupported, UnsupportedOperations
from wasm_torch.export._operations import arguments_by_name, convert, find, suggestion


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


def to_graph(captured: Captured, weights: WeightSet) -> Graph:
    """The graph of a method.

    Raises UnsupportedOperations with all operations that wasm_torch lacks, and ExportError where
    one refuses its arguments.
    """
    refuse_unsupported(captured)
    return _Recording(weights).run(captured)


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


class _Recording:
    """One run: which tensor is which value of the graph."""

    def __init__(self, weights: WeightSet):
        self._graph = Graph()
        self._weights = weights
        self._values: dict[int, Value] = {}
        self._alive: list[Any] = []
        self._source = ""
        self._constants = 0

    def run(self, captured: Captured) -> Graph:
        graph = self._graph
        environment: dict[str, Any] = {}
        for name, tensor in zip(captured.inputs, captured.example, strict=True):
            ours = to_ours(tensor).clone()
            self._know(ours, graph.add_input(name, tuple(ours.shape), ours.dtype))
            environment[name] = ours
        states: dict[str, Value] = {}
        for placeholder, (name, role, tensor) in captured.weights.items():
            value = self._weights.value(name, role, tensor)
            # An alias: one weight may stand behind two placeholders, and a run may not change it.
            own = _C.alias(value.data)
            self._know(own, value)
            environment[placeholder] = own
            states[name] = value
        with self._recording():
            for node in captured.graph.nodes:
                if node.op == "call_function":
                    environment[node.name] = self._run_node(node, environment)
        for name, result in captured.updates.items():
            graph.write(states[name], self._value(environment[result]), name)
        graph.outputs = [self._value(environment[source]) for _, source in captured.outputs]
        graph.output_names = [name for name, _ in captured.outputs]
        graph.input_tree, graph.output_tree = captured.input_tree, captured.output_tree
        return graph

    # ---- nodes ---------------------------------------------------------------------------------
    def _run_node(self, node: torch.fx.Node, environment: dict[str, Any]) -> Any:
        def look_up(argument: Any) -> Any:
            return environment[argument.name]

        given = arguments_by_name(
            node.target,
            torch.fx.map_arg(node.args, look_up),
            torch.fx.map_arg(node.kwargs, look_up),
        )
        self._source = module_path(node)
        run = find(node.target)
        assert run is not None  # refuse_unsupported has passed
        try:
            return run({name: convert(value) for name, value in given.items()})
        except Exception as error:
            raise ExportError(f"{node.target} at {place_of(node)}: {error}") from error

    @contextmanager
    def _recording(self) -> Iterator[None]:
        grad = _C.set_grad_enabled(False)
        _C.set_mode(self._row)
        try:
            yield
        finally:
            _C.set_mode(None)
            _C.set_grad_enabled(grad)

    def _row(self, row: Any, values: list[Any]) -> Any:
        """The dispatch mode: runs a row and appends it to the graph."""
        _C.set_mode(None)
        try:
            result = row.kernel(*values)
        finally:
            _C.set_mode(self._row)
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        arguments = _map_tensors(list(values), self._value)
        outputs = [
            Value(f"v{len(self._alive) + i}", tuple(t.shape), t.dtype)
            for i, t in enumerate(results)
        ]
        for i, (tensor, value) in enumerate(zip(results, outputs, strict=True)):
            if id(tensor) in self._values:  # a kernel that gives back its argument
                tensor = results[i] = _C.alias(tensor)
            self._know(tensor, value)
        self._graph.call(row, arguments, outputs, self._source)
        if not isinstance(result, (tuple, list)):
            return results[0]
        return results if row.result_type is None else row.result_type(*results)

    def _know(self, tensor: Any, value: Value) -> None:
        self._values[id(tensor)] = value
        self._alive.append(tensor)

    def _value(self, tensor: Any) -> Value:
        """The value of a tensor; one that no row made is a constant."""
        value = self._values.get(id(tensor))
        if value is None:
            name = f"constant.{self._constants}"
            self._constants += 1
            value = self._graph.weight(name, _C.contiguous(tensor), "constant")
            self._know(tensor, value)
        return value


def _map_tensors(arguments: Any, change: Any) -> Any:
    if isinstance(arguments, _C.TensorBase):
        return change(arguments)
    if isinstance(arguments, (tuple, list)):
        return type(arguments)([_map_tensors(item, change) for item in arguments])
    return arguments


