"""The graph: rows of the op table applied to values, in the order in which they run.

A `Node` holds what the row's kernel takes: bound arguments in the schema's order, with `Value`s
where there are tensors. A node may write into some of its arguments (`writes`), so the order of the
nodes is part of the meaning, as it is in eager execution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._table import TABLE, Op


@dataclass(eq=False, slots=True)
class Value:
    """A tensor of the graph.

    ``role`` is "input", "parameter", "constant", "state" (kept between calls, may be written) or
    "result". ``data`` is the tensor behind a parameter, constant or state.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    role: str = "result"
    data: Any = None

    def __repr__(self) -> str:
        return f"%{self.name}: {self.dtype.name}{list(self.shape)}"

    @property
    def fixed(self) -> bool:
        """Whether its elements are known when compiling."""
        return self.role in ("parameter", "constant")


class Write:
    """Writes one value into another: ``copy_(target, source)``, broadcast and converted."""

    name = "copy_"

    @staticmethod
    def kernel(target: Any, source: Any) -> None:
        _C.copy_into(target, source)


class Fill:
    """Writes one number everywhere: ``fill_(target, number)``."""

    name = "fill_"

    @staticmethod
    def kernel(target: Any, number: Any) -> None:
        if target.numel():
            _C.launch("fill", target, number)


class Raw:
    """A raw function of the extension, which a composite calls outside of any row."""

    def __init__(self, function: str):
        self.function = function
        self.name = f"_raw.{function}"

    def kernel(self, *values: Any) -> Any:
        return getattr(_C, self.function)(*values)


#: The position of `training` in native_batch_norm, which then updates its running statistics.
_TRAINING = 5


@dataclass(eq=False, slots=True)
class Node:
    """One application of a row. ``source`` says where in the model it stands."""

    op: Op | Raw | type[Any]
    values: list[Any]
    outputs: list[Value] = field(default_factory=list)
    source: str = ""

    @property
    def name(self) -> str:
        """The row's qualified name, such as ``add.Tensor``."""
        return self.op.name

    @property
    def writes(self) -> list[Value]:
        """The arguments that this node writes into: of most nodes none."""
        if self.op in (Write, Fill):
            return [self.values[0]]
        if isinstance(self.op, Raw) and self.op.function == "launch":
            return [value for value in self.inputs() if value.role == "result"]
        if self.name == "native_batch_norm" and self.values[_TRAINING]:
            return [value for value in self.values[3:5] if value is not None]
        return []

    def inputs(self) -> Iterator[Value]:
        """Every value among the arguments."""
        return values_in(self.values)

    def replace(self, old: Value, new: Value) -> None:
        """Uses another value in place of one."""
        self.values = map_values(self.values, lambda v: new if v is old else v)


def values_in(arguments: Any) -> Iterator[Value]:
    """The values in a nest of tuples, lists and dicts."""
    if isinstance(arguments, Value):
        yield arguments
    elif isinstance(arguments, (tuple, list)):
        for item in arguments:
            yield from values_in(item)
    elif isinstance(arguments, dict):
        for item in arguments.values():
            yield from values_in(item)


def map_values(arguments: Any, change: Callable[[Value], Any]) -> Any:
    """The same nest with every value replaced by ``change`` of it."""
    if isinstance(arguments, Value):
        return change(arguments)
    if isinstance(arguments, (tuple, list)):
        return type(arguments)([map_values(item, change) for item in arguments])
    if isinstance(arguments, dict):
        return {key: map_values(item, change) for key, item in arguments.items()}
    return arguments


@dataclass(eq=False)
class Graph:
    """A method: inputs, nodes in order, outputs, and the nests that the caller sees.

    ``input_tree`` and ``output_tree`` are nested lists and dicts of positions in ``inputs`` and
    ``outputs``; None stands for no tensor.
    """

    inputs: list[Value] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    output_names: list[str] = field(default_factory=list)
    input_tree: Any = None
    output_tree: Any = None

    def add_input(self, name: str, shape: tuple[int, ...], dtype: Any) -> Value:
        """A tensor which the caller gives."""
        value = Value(name, tuple(shape), dtype, "input")
        self.inputs.append(value)
        return value

    def weight(self, name: str, tensor: Any, role: str = "parameter") -> Value:
        """A tensor that lies in the file: a wasm_torch tensor with this name and role."""
        return Value(name, tuple(tensor.shape), tensor.dtype, role, tensor)

    def call(
        self, op: Op | str, values: list[Any], outputs: list[Value], source: str = ""
    ) -> list[Value]:
        """Appends a row on bound arguments (see `Op.bind`); a row may be given by its name."""
        row = TABLE[op] if isinstance(op, str) else op
        self.nodes.append(Node(row, list(values), list(outputs), source))
        return outputs

    def write(self, target: Value, source: Value, where: str = "") -> None:
        """Appends a write into ``target``: a state, or a result that is not an input."""
        self.nodes.append(Node(Write, [target, source], [], where))

    def states(self) -> list[Value]:
        """The states in use, in the order in which they first appear."""
        found: dict[int, Value] = {}
        used = (*(v for node in self.nodes for v in node.inputs()), *self.outputs)
        for value in used:
            if value.role == "state":
                found.setdefault(id(value), value)
        return list(found.values())

    def __str__(self) -> str:
        lines = [f"inputs {', '.join(map(repr, self.inputs))}"]
        for node in self.nodes:
            left = ", ".join(map(repr, node.outputs))
            right = ", ".join(argument_text(v) for v in node.values)
            where = f"    # {node.source}" if node.source else ""
            lines.append(f"{left + ' = ' if left else ''}{node.name}({right}){where}")
        lines.append(f"outputs {', '.join(f'%{v.name}' for v in self.outputs)}")
        return "\n".join(lines)


def share_states(graphs: list[Graph]) -> None:
    """What one method writes becomes a state, one for all methods that use its name."""
    states: dict[str, Value] = {}
    for graph in graphs:
        for value in graph.states():
            states.setdefault(value.name, value)
    for graph in graphs:
        for value in (*(v for node in graph.nodes for v in node.inputs()), *graph.outputs):
            shared = states.get(value.name)
            if shared is not None and value.role in ("constant", "state"):
                value.role, value.data = "state", shared.data


def argument_text(argument: Any) -> str:
    """An argument as a graph is printed with it."""
    if isinstance(argument, Value):
        return f"%{argument.name}"
    if isinstance(argument, (tuple, list)):
        return f"[{', '.join(map(argument_text, argument))}]"
    return getattr(argument, "name", None) or repr(argument)
