"""From a graph to kernel launches: every row's kernel is run on plan tensors and recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wasm_torch.compiler.errors import ModelError, UnsupportedModel
from wasm_torch.compiler.expressions import Expression
from wasm_torch.compiler.family import Symbol, place
from wasm_torch.compiler.graph import Graph, Node, Value, map_values
from wasm_torch.compiler.interpolate import Quotient
from wasm_torch.compiler.plan_tensor import Buffer, PlanTensor
from wasm_torch.compiler.record import Launch, Recorder
from wasm_torch.compiler.weights import Weight, Weights
from wasm_torch.ops._kernels import contiguous_stride

#: The positions of these fields of conv_packed.
_PACKED_WEIGHT_AND_GROUPS = (2, 5)


@dataclass(eq=False, slots=True)
class Lowered:
    """One method as launches over buffers; ``states`` are weights that calls may change.

    Where sizes vary from call to call, the launches are those at one size, and ``varying`` says
    what is different at others.
    """

    graph: Graph
    launches: list[Launch]
    states: list[Weight]
    arena_bytes: Expression = 0
    varying: Varying | None = None


@dataclass(slots=True)
class Patch:
    """A number in a kernel's arguments that depends on the sizes: i32, i64 or f64."""

    offset: int
    kind: str
    value: Expression | Quotient


@dataclass(eq=False, slots=True)
class Varying:
    """What the sizes of a call decide.

    Attributes:
        symbols: the sizes.
        patches: for each launch, the numbers in its arguments.
        offsets: the byte offset of a tensor within its buffer, by the tensor's id.
        places, bytes: the offset of a buffer in the arena, and its size, by the buffer's id.
        inputs, outputs: the shapes of the inputs and of the outputs.
        largest: the largest number that the arguments of a call hold.
    """

    symbols: list[Symbol]
    patches: list[list[Patch]]
    offsets: dict[int, Expression]
    places: dict[int, Expression]
    bytes: dict[int, Expression]
    inputs: list[list[Expression]]
    outputs: list[list[Expression]]
    largest: Expression


def lower(graph: Graph, weights: Weights) -> Lowered:
    """Records the launches of a graph.

    Raises UnsupportedModel or DataDependent, naming the node, where a kernel cannot be recorded.
    """
    recorder = Recorder(weights.constant)
    bound: dict[int, PlanTensor] = {}
    for position, value in enumerate(graph.inputs):
        bound[id(value)] = _host_tensor("input", value, position)
    states = [weights.value(value) for value in graph.states()]
    for position, value in enumerate(graph.states()):
        bound[id(value)] = _host_tensor("state", value, position)

    def fetch(value: Value) -> PlanTensor:
        if value.fixed and id(value) not in bound:
            buffer = weights.value(value).buffer
            bound[id(value)] = PlanTensor(buffer, value.shape, value.dtype)
        return bound[id(value)]

    with recorder.recording():
        for number, node in enumerate(graph.nodes):
            recorder.node = number
            results = _run(node, map_values(node.values, fetch))
            for value, result in zip(node.outputs, results, strict=True):
                if result is not None:
                    bound[id(value)] = _checked(node, value, result)
        recorder.node = len(graph.nodes)
        _write_outputs(recorder, graph, [fetch(value) for value in graph.outputs])
    for state in states:
        state.used = True
    for launch in recorder.launches:
        for _, tensor in launch.tensors():
            if tensor.buffer.kind == "weight":
                weights.all[tensor.buffer.index].used = True
        if launch.kernel == "conv_packed":
            weight, groups = (launch.fields[i] for i in _PACKED_WEIGHT_AND_GROUPS)
            weights.all[weight.buffer.index].groups = groups
    return Lowered(graph, recorder.launches, states)


def _host_tensor(kind: str, value: Value, position: int) -> PlanTensor:
    tensor = PlanTensor(Buffer(kind, 0, position), value.shape, value.dtype)
    tensor.buffer.bytes = tensor.nbytes
    return tensor


def _run(node: Node, values: list[Any]) -> list[Any]:
    try:
        result = node.op.kernel(*values)
    except ModelError as error:
        error.args = (f"{place(node)}: {error}",)
        raise
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UnsupportedModel(f"{place(node)}: {error}") from error
    if result is None:
        return []
    return _flat(result) if isinstance(result, (tuple, list)) else [result]


def _flat(results: Any) -> list[Any]:
    """Lists of tensors among the results lie flat, in order."""
    flat: list[Any] = []
    for item in results:
        flat += _flat(item) if isinstance(item, (tuple, list)) else [item]
    return flat


def _checked(node: Node, value: Value, result: PlanTensor) -> PlanTensor:
    if tuple(result.shape) != value.shape or result.dtype is not value.dtype:
        raise UnsupportedModel(
            f"{place(node)} gives {result.dtype.name}{list(result.shape)}, but the model has "
            f"{value.dtype.name}{list(value.shape)} there"
        )
    return result


def _write_outputs(recorder: Recorder, graph: Graph, results: list[PlanTensor]) -> None:
    """Lets results be computed where the host wants them, and copies those that cannot be."""
    taken: set[int] = set()
    for position, (value, result) in enumerate(zip(graph.outputs, results, strict=True)):
        buffer = result.buffer
        fits = result.whole and result.stride() == contiguous_stride(result.shape)
        if buffer.kind == "arena" and fits and id(buffer) not in taken:
            buffer.kind, buffer.index = "output", position
            taken.add(id(buffer))
            continue
        recorder.copy_into(_host_tensor("output", value, position), result)
