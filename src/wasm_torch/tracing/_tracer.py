"""The state of one trace: which tensor is which value, and what is written down.

Rows arrive through the dispatch mode. Composites also call raw functions of the extension outside
of any row, and change tensors in place; these are seen by standing in their place. What is neither
(a view that the extension makes by itself, a tensor whose geometry changed) is recognised by its
memory. A tensor that nothing here made is a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import wasm_torch
from wasm_torch import _C
from wasm_torch.compiler.errors import DataDependent, RandomNumbers, UnsupportedModel
from wasm_torch.compiler.graph import Fill, Graph, Node, Raw, Value, Write
from wasm_torch.ops._raw import replaced
from wasm_torch.ops._table import TABLE
from wasm_torch.tracing._modules import ModuleNames

TensorBase = _C.TensorBase
#: Raw functions that make a tensor: calls outside of rows become nodes.
_MAKERS = ("empty", "contiguous", "cast", "flip", "unary", "binary", "reduce", "reinterpret")
#: What gives elements to Python.
_READERS = ("item", "tolist", "__bool__", "__int__", "__float__", "__index__")
_copy_into, _fill, _launch, _from_data = _C.copy_into, _C.fill, _C.launch, _C.from_data
_makers = {name: getattr(_C, name) for name in _MAKERS}

Geometry = tuple[Any, ...]


def _geometry(tensor: Any) -> Geometry:
    place = (tensor.dtype, tensor._storage_ptr())
    return (tuple(tensor.shape), tensor.stride(), tensor.storage_offset(), *place)


class Tracer:
    """Writes down what runs inside `active`. Tensors are kept alive: memory identifies them."""

    def __init__(self, model: Any = None):
        self.graph = Graph()
        self._values: dict[int, tuple[Value, Geometry]] = {}
        self._by_storage: dict[int, tuple[Value, Geometry]] = {}
        self._alive: list[Any] = []
        self._names: dict[int, tuple[str, str]] = {}
        self._modules = ModuleNames(model)
        self._written: list[Value] = []
        self._varying: set[int] = set()
        self._changed: list[tuple[Any, Any]] = []
        #: Memory that was allocated outside of rows and that nothing has been written to.
        self._fresh: dict[int, Any] = {}
        self._tracing = False
        #: Whether what is made of numbers alone belongs in the graph, since the numbers may vary.
        self.sized = False
        if hasattr(model, "named_parameters"):
            for name, parameter in model.named_parameters():
                self._names.setdefault(parameter._storage_ptr(), (name, "parameter"))
            for name, buffer in model.named_buffers():
                self._names.setdefault(buffer._storage_ptr(), (name, "constant"))

    # ---- tensors and values --------------------------------------------------------------------
    def add_input(self, tensor: Any, name: str) -> int:
        """A tensor that the caller gives; its position among the inputs."""
        self._register(tensor, self.graph.add_input(name, tuple(tensor.shape), tensor.dtype))
        return len(self.graph.inputs) - 1

    def add_output(self, tensor: Any, name: str) -> int:
        """A tensor that the model returns; its position among the outputs."""
        self.graph.outputs.append(self.value(tensor))
        self.graph.output_names.append(name or "output")
        return len(self.graph.outputs) - 1

    def value(self, tensor: Any) -> Value:
        """The value of a tensor: known, a view of a known one, or a weight."""
        known = self._values.get(id(tensor))
        if known is not None and known[1] == _geometry(tensor):
            return known[0]
        entry = self._by_storage.get(tensor._storage_ptr()) if tensor.numel() else None
        if entry is not None:
            return self._view(tensor, *entry)
        name, role = self._names.get(tensor._storage_ptr(), ("", "constant"))
        value = self.graph.weight(name or f"constant{len(self._alive)}", tensor, role)
        return self._register(tensor, value)

    def _register(self, tensor: Any, value: Value) -> Value:
        self._alive.append(tensor)
        self._values[id(tensor)] = (value, _geometry(tensor))
        if value.role in ("input", "state"):
            self._varying.add(tensor._storage_ptr())
        if tensor.numel():
            self._by_storage.setdefault(tensor._storage_ptr(), self._values[id(tensor)])
        return value

    def _new(self, tensor: Any) -> Value:
        value = Value(f"v{len(self._alive)}", tuple(tensor.shape), tensor.dtype)
        return self._register(tensor, value)

    def _view(self, tensor: Any, base: Value, geometry: Geometry) -> Value:
        """A tensor over the memory of a known one, made where nothing was seen."""
        own = _geometry(tensor)
        if own == geometry:
            return self._register(tensor, base)
        _, stride, offset, dtype, _ = geometry
        dense = stride == tuple(_row_major(base.shape)) and offset == 0
        if tensor.dtype is not dtype or not dense:
            raise UnsupportedModel(
                f"a view of {base.name} as {tensor.dtype.name}{list(tensor.shape)} cannot be "
                "traced: make it contiguous first"
            )
        return self._append(TABLE["as_strided"], [base, *own[:3]], [tensor]).outputs[0]

    def _spread(self, sources: Any, targets: list[Any]) -> None:
        """What is made from tensors that vary from call to call varies as well."""
        if any(t._storage_ptr() in self._varying for t in _flat(sources)):
            self._varying.update(t._storage_ptr() for t in targets if t.numel())

    def _append(self, op: Any, arguments: list[Any], results: list[Any]) -> Node:
        node = Node(op, arguments, [], self._modules.where())
        node.outputs = [self._new(tensor) for tensor in results]
        self.graph.nodes.append(node)
        return node

    def _arguments(self, values: Any) -> Any:
        if isinstance(values, TensorBase):
            return self.value(values)
        if isinstance(values, (tuple, list)):
            return type(values)([self._arguments(v) for v in values])
        return values

    # ---- operations ----------------------------------------------------------------------------
    @contextmanager
    def active(self) -> Iterator[None]:
        """Within, operations are traced. Afterwards the model's buffers are as they were."""
        functions: dict[str, Any] = {name: self._maker(name) for name in _MAKERS}
        functions |= {
            "copy_into": self._on_copy_into,
            "fill": self._on_fill,
            "launch": self._on_launch,
        }
        functions["from_data"] = self._on_from_data
        with ExitStack() as stack:
            stack.enter_context(self._modules.followed())
            stack.enter_context(replaced(functions))
            stack.enter_context(self._guarded())
            _C.set_mode(self._on_row)
            self._tracing = True
            try:
                yield
            finally:
                self._tracing = False
                _C.set_mode(None)
                for buffer, before in self._changed:
                    _copy_into(buffer, before)

    def _on_row(self, row: Any, values: list[Any]) -> Any:
        arguments = self._arguments(values)
        for value in Node(row, arguments).writes:
            self._will_change(value)
        _C.set_mode(None)
        self._tracing = False
        try:
            result = row.kernel(*values)
        finally:
            self._tracing = True
            _C.set_mode(self._on_row)
        self._append(row, arguments, _flat(result))
        self._spread(values, _flat(result))
        if row.result_type is not None and type(result) is tuple:
            return row.result_type(*result)
        return result

    def _maker(self, name: str) -> Callable[..., Any]:
        function = _makers[name]

        def make(*values: Any, **named: Any) -> Any:
            result = function(*values, **named)
            if not self._tracing or any(result is value for value in values):
                return result
            if name == "empty":
                self._fresh[result._storage_ptr()] = result
            elif any(map(self._is_known, values)):
                self._append(Raw(name), self._arguments([*values, *named.values()]), [result])
                self._spread(values, [result])
            return result

        return make

    # ---- writes --------------------------------------------------------------------------------
    def _on_copy_into(self, out: Any, source: Any) -> None:
        if self._writes_down(out, source):
            origin = self.value(source)
            self._append(Write, [self._target(out), origin], [])
            self._spread(source, [out])
        _copy_into(out, source)

    def _on_launch(self, kernel: Any, *fields: Any) -> None:
        if kernel == "random":
            raise RandomNumbers
        if self._writes_down(*fields):
            self._append(Raw("launch"), [kernel, *map(self._arguments, fields)], [])
            self._spread(fields, _flat(fields))
        _launch(kernel, *fields)

    def _on_fill(self, tensor: Any, number: Any) -> Any:
        if self._writes_down(tensor):
            self._append(Fill, [self._target(tensor), number], [])
        return _fill(tensor, number)

    def _writes_down(self, *fields: Any) -> bool:
        """Whether a write belongs in the graph; if so, the fresh memory that it touches does, too.

        What is written with numbers alone, such as a mask, is a constant, unless they vary.
        """
        if not self._tracing:
            return False
        fresh = any(t._storage_ptr() in self._fresh for t in _flat(fields))
        known = any(map(self._is_known, fields)) or (self.sized and fresh)
        for tensor in _flat(fields):
            made = self._fresh.pop(tensor._storage_ptr(), None)
            if known and made is not None:
                geometry = [tuple(made.shape), made.dtype, made.stride()]
                self._append(Raw("empty"), geometry, [made])
        return known

    def _is_known(self, tensor: Any) -> bool:
        if not isinstance(tensor, TensorBase):
            return False
        storage = tensor._storage_ptr()
        return id(tensor) in self._values or storage in self._by_storage or storage in self._names

    def _target(self, tensor: Any) -> Value:
        """What a write goes to."""
        value = self.value(tensor)
        if tensor.numel():
            self._will_change(self._by_storage[tensor._storage_ptr()][0])
        return value

    def _will_change(self, value: Value) -> None:
        """Called before a tensor that the graph did not make is written for the first time.

        A buffer of the model keeps what was written for the next call, from its present elements
        on. What the model makes anew in each call is copied in each call.
        """
        if value.role == "parameter":
            raise UnsupportedModel(f"the model writes into its parameter {value.name}")
        if value.role == "constant" and not any(v is value for v in self._written):
            storage, original = value.data._storage_ptr(), value.data
            value.data = self._snapshot(original)
            if storage in self._names:
                value.role = "state"
                self._varying.add(storage)
                self._changed.append((original, value.data))
            else:
                self._written.append(value)

    def _snapshot(self, tensor: Any) -> Any:
        copy = _makers["empty"](tuple(tensor.shape), tensor.dtype)
        _copy_into(copy, tensor)
        return copy

    def copy_written_constants(self) -> None:
        """Gives each call its own copy of the constants that the model writes into."""
        graph = self.graph
        for constant in self._written:
            copy = Value(f"{constant.name}.copy", constant.shape, constant.dtype)
            for node in graph.nodes:
                node.replace(constant, copy)
            graph.outputs = [copy if v is constant else v for v in graph.outputs]
            graph.nodes.insert(0, Node(TABLE["clone"], [constant, None], [copy]))

    # ---- elements that Python reads --------------------------------------------------------------
    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Within, only elements that do not depend on the inputs can be read."""
        cls = wasm_torch.Tensor
        own = {name: vars(cls)[name] for name in _READERS if name in vars(cls)}
        for name in _READERS:
            setattr(cls, name, self._reader(getattr(cls, name)))
        try:
            yield
        finally:
            for name in _READERS:
                if name in own:
                    setattr(cls, name, own[name])
                else:
                    delattr(cls, name)

    def _reader(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def read(tensor: Any) -> Any:
            self._refuse_varying(tensor)
            return original(tensor)

        return read

    def _on_from_data(self, data: Any, *dtype: Any) -> Any:
        self._refuse_varying(data)
        return _from_data(data, *dtype)

    def _refuse_varying(self, data: Any) -> None:
        if self._tracing and any(t._storage_ptr() in self._varying for t in _flat(data)):
            raise DataDependent(
                "the model reads the elements of a tensor that depends on its inputs (item(), "
                "tolist(), or a Python condition), which a compiled model cannot follow"
            )


def _row_major(size: tuple[int, ...]) -> list[int]:
    strides, extent = [], 1
    for length in reversed(size):
        strides.append(extent)
        extent *= max(length, 1)
    return strides[::-1]


def _flat(results: Any) -> list[Any]:
    if isinstance(results, TensorBase):
        return [results]
    if isinstance(results, (tuple, list)):
        return [t for item in results for t in _flat(item)]
    return []
