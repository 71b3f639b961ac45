"""A model of wasm_torch, through tracing: on the desktop, and in Pyodide, which has no torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import wasm_torch
from wasm_torch.compiler.expressions import UNLIMITED, Sizes, sizes_text
from wasm_torch.compiler.family import Family, Symbol
from wasm_torch.compiler.graph import Graph
from wasm_torch.export._errors import ExportError
from wasm_torch.export._examples import output_names, resized, split_example, trial_sizes
from wasm_torch.tracing import trace


class TracedModel:
    """What an export asks of a model (see `_torch_model.TorchModel` for the other kind)."""

    source = "the eager model"
    version = ""

    def __init__(
        self,
        model: wasm_torch.nn.Module,
        methods: Mapping[str, tuple[Callable[..., Any] | None, Any]],
        varying: Mapping[str, Any],
    ):
        self._model, self._methods = model, methods
        self._sizes = {
            n: _Varying(self._function(n), e, varying.get(n)) for n, (_, e) in methods.items()
        }
        self._names: dict[str, list[str]] = {}

    def _function(self, name: str) -> Callable[..., Any]:
        return self._methods[name][0] or self._model

    def families(self, tell: Callable[[str, float], None]) -> dict[str, Family]:
        """The graphs of all methods.

        Raises DataDependent, RandomNumbers or UnsupportedModel where one cannot be traced.
        """
        found = {}
        for i, name in enumerate(self._methods):
            tell(f"tracing {name}", i / len(self._methods))
            found[name] = Family(self._sizes[name].symbols, self._tracer(name))
        return found

    def _tracer(self, name: str) -> Callable[[Sizes], Graph]:
        varying = self._sizes[name]

        def traced(sizes: Sizes) -> Graph:
            args, kwargs = split_example(varying.example(sizes))
            function = self._function(name)
            graph = trace(function, kwargs or args, owner=self._model, sized=bool(sizes))
            for value in graph.inputs:
                value.name = value.name.replace(".", "_")
            graph.output_names = output_names(graph.output_tree, len(graph.outputs))
            self._names[name] = graph.output_names
            return graph

        return traced

    def labels(self, name: str) -> list[str]:
        """The names of a method's outputs."""
        return self._names[name]

    def examples(self, name: str) -> Iterator[tuple[str, Any, list[Any]]]:
        """What to call it, the example, and its tensors: as given, and at other sizes."""
        varying = self._sizes[name]
        yield name, self._methods[name][1], varying.tensors
        for sizes in trial_sizes(varying.symbols):
            example = varying.example(sizes, vary=True)
            yield f"{name} at {sizes_text(sizes)}", example, list(_tensors(split_example(example)))

    def expected(self, name: str, example: Any) -> list[Any]:
        """The model's own outputs; buffers that the forward changes are put back afterwards."""
        args, kwargs = _map(split_example(example), lambda tensor: tensor.clone())
        buffers = {key: buffer.clone() for key, buffer in self._model.named_buffers()}
        with wasm_torch.no_grad():
            try:
                result = self._function(name)(*args, **kwargs)
                return [tensor.detach().clone() for tensor in _tensors(result)]
            finally:
                for key, buffer in self._model.named_buffers():
                    buffer.copy_(buffers[key])


class _Varying:
    """The example of a method, and what it is at other sizes."""

    def __init__(self, function: Callable[..., Any], example: Any, dynamic_shapes: Any):
        self._example = example
        self.tensors = list(_tensors(split_example(example)))
        if not self.tensors:
            raise TypeError("the example input of a wasm_torch model must hold wasm_torch tensors")
        specs = _specs(function, example, dynamic_shapes)
        self._dims: list[dict[int, str]] = [{} for _ in self.tensors]
        self.symbols: list[Symbol] = []
        seen: dict[str, tuple[Any, int]] = {}
        for position, (tensor, spec) in enumerate(zip(self.tensors, specs, strict=True)):
            for dim, size in spec.items():
                name, low, high = _read(size)
                known = seen.setdefault(name, (size, tensor.shape[dim]))
                if _read(known[0]) != (name, low, high):
                    raise ExportError(f"dynamic_shapes uses one name for two sizes: {name!r}")
                if known[1] != tensor.shape[dim]:
                    raise ExportError(
                        f"dynamic_shapes names two sizes {name!r}, and they are {known[1]} and "
                        f"{tensor.shape[dim]} in the example"
                    )
                if name not in (symbol.name for symbol in self.symbols):
                    self.symbols.append(Symbol(name, low, high, position, dim))
                self._dims[position][dim] = name

    def example(self, sizes: Sizes, vary: bool = False) -> Any:
        """The example at these sizes: positional arguments, or keyword arguments by name."""
        if not sizes:
            return self._example
        left = iter(range(len(self.tensors)))

        def at_sizes(tensor: Any) -> Any:
            names = self._dims[next(left)]
            shape = tuple(
                sizes[names[dim]] if dim in names else size for dim, size in enumerate(tensor.shape)
            )
            return resized(wasm_torch, tensor, shape, vary)

        args, kwargs = _map(split_example(self._example), at_sizes)
        return kwargs or args


def _read(size: Any) -> tuple[str, int, int]:
    """Name and range of a `Dim`, ours or torch's."""
    name = getattr(size, "__name__", None)
    low, high = getattr(size, "min", None), getattr(size, "max", None)
    if not isinstance(name, str) or not isinstance(low, int):
        raise ExportError(
            f"dynamic_shapes holds {size!r}: a model of wasm_torch takes wasm_torch.export.Dim"
        )
    return name, max(1, low), min(UNLIMITED, UNLIMITED if high is None else int(high))


def _specs(function: Callable[..., Any], example: Any, dynamic_shapes: Any) -> list[dict[int, Any]]:
    """For each tensor of the example, what varies: dimension -> `Dim`."""
    args, kwargs = split_example(example)
    if dynamic_shapes is None:
        return [{} for _ in _tensors((args, kwargs))]
    if isinstance(dynamic_shapes, Mapping):
        forward = getattr(function, "forward", function)
        names = list(inspect.signature(forward).bind(*args, **kwargs).arguments)
        unknown = [name for name in dynamic_shapes if name not in names]
        if unknown:
            raise ExportError(
                f"dynamic_shapes names {unknown[0]!r}; the inputs are {', '.join(names)}"
            )
        given = [*zip(names, args, strict=False), *kwargs.items()]
        pairs = [(value, dynamic_shapes.get(name)) for name, value in given]
    else:
        pairs = list(zip([*args, *kwargs.values()], dynamic_shapes, strict=True))
    return [spec for value, part in pairs for spec in _walk(value, part)]


def _walk(value: Any, spec: Any) -> Iterator[dict[int, Any]]:
    if isinstance(value, wasm_torch.Tensor):
        items = spec.items() if isinstance(spec, Mapping) else enumerate(spec or ())
        yield {dim % value.dim(): size for dim, size in items if size is not None}
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, None if spec is None else spec.get(key))
    elif isinstance(value, (tuple, list)):
        for i, item in enumerate(value):
            yield from _walk(item, None if spec is None else spec[i])


def _tensors(nest: Any) -> Iterator[Any]:
    if isinstance(nest, wasm_torch.Tensor):
        yield nest
    elif isinstance(nest, Mapping):
        for item in nest.values():
            yield from _tensors(item)
    elif isinstance(nest, (tuple, list)):
        for item in nest:
            yield from _tensors(item)


def _map(nest: Any, change: Callable[[Any], Any]) -> Any:
    """The same nest with every tensor replaced by ``change`` of it."""
    if isinstance(nest, wasm_torch.Tensor):
        return change(nest)
    if isinstance(nest, Mapping):
        return {key: _map(item, change) for key, item in nest.items()}
    if isinstance(nest, (tuple, list)):
        return type(nest)(_map(item, change) for item in nest)
    return nest
