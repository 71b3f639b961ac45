"""From a module or function of wasm_torch to a graph, by running it once on example inputs.

Every operation goes through the dispatch mode, which runs it and writes it down. Python's own flow
(conditions, loops, numbers read with `item()`) is fixed as it went.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.errors import RandomNumbers, UnsupportedModel
from wasm_torch.compiler.graph import Fill, Graph, Node, Value, Write
from wasm_torch.ops._raw import replaced
from wasm_torch.ops._table import TABLE

__all__ = ["trace"]

TensorBase = _C.TensorBase
_copy_into, _launch = _C.copy_into, _C.launch


def trace(model: Callable[..., Any], example_inputs: Any) -> Graph:
    """The graph of ``model(*example_inputs)``.

    ``model`` is a module or a function; ``example_inputs`` a tensor, or a tuple of positional
    arguments: tensors, nests of them in lists, tuples and dicts, and other values, which are fixed.
    Buffers that the model writes become states, parameters that it writes are refused.
    """
    if isinstance(example_inputs, TensorBase):
        example_inputs = (example_inputs,)
    tracer = _Tracer(model)
    graph = tracer.graph
    graph.input_tree = [
        _tree(item, tracer.add_input, name)
        for name, item in zip(_parameter_names(model, example_inputs), example_inputs, strict=True)
    ]
    previous = _C.set_grad_enabled(False)
    try:
        with tracer.active():
            result = model(*example_inputs)
    finally:
        _C.set_grad_enabled(previous)
    graph.output_tree = _tree(result, tracer.add_output)
    tracer.copy_written_constants()
    return graph


def _parameter_names(model: Any, inputs: tuple[Any, ...]) -> list[str]:
    """What the function, or the module's forward, calls its positional arguments."""
    try:
        signature = inspect.signature(getattr(model, "forward", model))
        names = list(signature.bind(*inputs).arguments)
    except (TypeError, ValueError):
        names = []
    return names if len(names) == len(inputs) else [f"input{i}" for i in range(len(inputs))]


def _tree(nest: Any, leaf: Callable[[Any, str], int], path: str = "") -> Any:
    """Nested lists and dicts of what ``leaf`` gives for each tensor; None for anything else."""
    if isinstance(nest, TensorBase):
        return leaf(nest, path)
    if isinstance(nest, dict):
        return {key: _tree(item, leaf, _join(path, key)) for key, item in nest.items()}
    if isinstance(nest, (tuple, list)):
        return [_tree(item, leaf, _join(path, i)) for i, item in enumerate(nest)]
    return None


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


class _Tracer:
    """The state of one trace. Tensors are kept alive, so that their memory identifies them."""

    def __init__(self, model: Any):
        self.graph = Graph()
        self._values: dict[int, Value] = {}
        self._by_storage: dict[int, tuple[Any, Value]] = {}
        self._alive: list[Any] = []
        self._names: dict[int, tuple[str, str]] = {}
        self._modules = _ModuleNames(model)
        self._written: list[Value] = []
        self._count = 0
        if hasattr(model, "named_parameters"):
            for name, parameter in model.named_parameters():
                self._names.setdefault(parameter._storage_ptr(), (name, "parameter"))
            for name, buffer in model.named_buffers():
                self._names.setdefault(buffer._storage_ptr(), (name, "buffer"))

    # ---- tensors and values --------------------------------------------------------------------
    def add_input(self, tensor: Any, path: str) -> int:
        """A tensor that the caller gives; its position among the inputs."""
        self._register(tensor, self.graph.add_input(path, tuple(tensor.shape), tensor.dtype))
        return len(self.graph.inputs) - 1

    def add_output(self, tensor: Any, path: str) -> int:
        """A tensor that the model returns; its position among the outputs."""
        self.graph.outputs.append(self.value(tensor))
        self.graph.output_names.append(path or "output")
        return len(self.graph.outputs) - 1

    def _register(self, tensor: Any, value: Value) -> None:
        self._alive.append(tensor)
        self._values[id(tensor)] = value
        if tensor.numel():
            self._by_storage.setdefault(tensor._storage_ptr(), (tensor, value))

    def _new(self, tensor: Any) -> Value:
        value = Value(f"v{self._count}", tuple(tensor.shape), tensor.dtype)
        self._count += 1
        self._register(tensor, value)
        return value

    def value(self, tensor: Any) -> Value:
        """The value of a tensor: known, a view of a known one, or a weight."""
        known = self._values.get(id(tensor))
        if known is not None:
            return known
        entry = self._by_storage.get(tensor._storage_ptr()) if tensor.numel() else None
        if entry is not None:
            return self._view(tensor, *entry)
        name, kind = self._names.get(tensor._storage_ptr(), ("", "constant"))
        name = name or f"constant{len(self._alive)}"
        role = "parameter" if kind == "parameter" else "constant"
        value = self.graph.weight(name, tensor, role)
        self._register(tensor, value)
        return value

    def _view(self, tensor: Any, base: Any, value: Value) -> Value:
        """A tensor over the memory of a known one, made where the dispatch mode saw nothing."""
        same = tensor.shape == base.shape and tensor.stride() == base.stride()
        if same and tensor.dtype is base.dtype and _offset(tensor) == _offset(base):
            self._alive.append(tensor)
            self._values[id(tensor)] = value
            return value
        if tensor.dtype is not base.dtype or not base.is_contiguous() or _offset(base):
            raise UnsupportedModel(
                f"a view of {value.name} as {tensor.dtype.name}{list(tensor.shape)} cannot be "
                "traced: make it contiguous first"
            )
        arguments = [value, tuple(tensor.shape), tensor.stride(), _offset(tensor)]
        self.graph.call(TABLE["as_strided"], arguments, [self._new(tensor)], self._modules.where())
        return self._values[id(tensor)]

    # ---- operations ----------------------------------------------------------------------------
    @contextmanager
    def active(self) -> Iterator[None]:
        """Within, operations are traced."""
        functions = {"copy_into": self._copy_into, "launch": self._launch}
        _C.set_mode(self._dispatch)
        try:
            with self._modules.followed(), replaced(functions):
                self._tracing = True
                yield
        finally:
            _C.set_mode(None)

    def _dispatch(self, row: Any, values: list[Any]) -> Any:
        node = Node(row, self._arguments(values), [], self._modules.where())
        for value in node.writes:
            self._will_change(value)
        _C.set_mode(None)
        self._tracing = False
        try:
            result = row.kernel(*values)
        finally:
            self._tracing = True
            _C.set_mode(self._dispatch)
        node.outputs = [self._new(tensor) for tensor in _flat(result)]
        self.graph.nodes.append(node)
        if row.result_type is not None and type(result) is tuple:
            return row.result_type(*result)
        return result

    def _arguments(self, values: Any) -> Any:
        if isinstance(values, TensorBase):
            return self.value(values)
        if isinstance(values, (tuple, list)):
            return type(values)([self._arguments(v) for v in values])
        return values

    # ---- writes --------------------------------------------------------------------------------
    def _copy_into(self, out: Any, source: Any) -> None:
        if self._tracing:
            known = self._is_known(out) or self._is_known(source)
            if known:
                target, origin = self._target(out), self.value(source)
                self.graph.nodes.append(Node(Write, [target, origin], [], self._modules.where()))
        _copy_into(out, source)

    def _launch(self, kernel: Any, *fields: Any) -> None:
        if kernel == "random":
            raise RandomNumbers
        if self._tracing and self._is_known(fields[0]):
            if kernel != "fill":
                raise UnsupportedModel(f"{kernel} in place cannot be traced")
            target = self._target(fields[0])
            self.graph.nodes.append(Node(Fill, [target, fields[1]], [], self._modules.where()))
        _launch(kernel, *fields)

    def _is_known(self, tensor: Any) -> bool:
        if not isinstance(tensor, TensorBase):
            return False
        storage = tensor._storage_ptr()
        return id(tensor) in self._values or storage in self._by_storage or storage in self._names

    def _target(self, tensor: Any) -> Value:
        """What a write goes to."""
        value = self.value(tensor)
        self._will_change(self._by_storage[tensor._storage_ptr()][1])
        return value

    def _will_change(self, value: Value) -> None:
        """Called before a tensor that the graph did not make is written for the first time.

        A buffer of the model keeps what was written for the next call, from its present elements
        on. What the model makes anew in each call is copied in each call.
        """
        if value.role == "parameter":
            raise UnsupportedModel(f"the model writes into its parameter {value.name}")
        if value.role == "constant" and not any(v is value for v in self._written):
            named = value.data._storage_ptr() in self._names
            value.data = value.data.clone()
            if named:
                value.role = "state"
            else:
                self._written.append(value)

    def copy_written_constants(self) -> None:
        """Gives each call its own copy of the constants that the model writes into."""
        graph = self.graph
        for constant in self._written:
            copy = Value(f"{constant.name}.copy", constant.shape, constant.dtype)
            for node in graph.nodes:
                node.replace(constant, copy)
            graph.outputs = [copy if v is constant else v for v in graph.outputs]
            graph.nodes.insert(0, Node(TABLE["clone"], [constant, None], [copy]))


def _offset(tensor: Any) -> int:
    return tensor.storage_offset()


def _flat(results: Any) -> list[Any]:
    if isinstance(results, TensorBase):
        return [results]
    if isinstance(results, (tuple, list)):
        return [t for item in results for t in _flat(item)]
    return []


class _ModuleNames:
    """Which submodule is running, by its path in the model."""

    def __init__(self, model: Any):
        self._stack: list[str] = []
        modules = model.named_modules() if hasattr(model, "named_modules") else ()
        self._paths = [(path, module) for path, module in modules if path]

    def where(self) -> str:
        """The path of the innermost submodule; empty in the model itself."""
        return self._stack[-1] if self._stack else ""

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Within, hooks keep track of the submodules that are entered and left."""
        hooks = []
        for path, module in self._paths:
            enter = lambda _module, _args, path=path: self._stack.append(path)  # noqa: E731
            leave = lambda *_: (self._stack.pop(), None)[1]  # noqa: E731
            hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
