"""torch.export's graph of one method, in core operations, and the names of what goes in and out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.export.graph_signature import ConstantArgument, InputKind, OutputKind, TensorArgument
from torch.utils import _pytree as pytree

from wasm_torch.export._errors import ExportError
from wasm_torch.export._examples import output_names, split_example
from wasm_torch.export._operations import is_kept
from wasm_torch.export._sizes import VaryingSizes, dimension_names, varying_sizes


@dataclass
class Captured:
    """One method.

    Attributes:
        graph: torch.export's graph after decomposition.
        inputs: placeholder names of the tensors that a caller gives, in order.
        outputs: for each output that a caller gets, its name and the node (or constant).
        weights: placeholder name -> (state_dict name, role, tensor).
        updates: state_dict name -> the node whose value replaces that buffer after a call.
        input_tree, output_tree: nested lists and dicts of indexes into inputs and outputs; that of
            the inputs is a list of positional or a dict of keyword arguments.
        example: the tensors of the example input, in the order of ``inputs``.
        sizes: the sizes that vary.
    """

    graph: torch.fx.Graph
    inputs: list[str]
    outputs: list[tuple[str, Any]]
    weights: dict[str, tuple[str, str, torch.Tensor]]
    updates: dict[str, str]
    input_tree: Any
    output_tree: Any
    example: list[torch.Tensor] = field(default_factory=list)
    sizes: VaryingSizes = field(default_factory=VaryingSizes)


class _Method(torch.nn.Module):
    """A callable as a module: torch.export exports modules, and this one's forward is the callable.

    The model that owns the weights is a submodule, so that they keep one set of names.
    """

    def __init__(self, owner: torch.nn.Module, function: Callable[..., Any]):
        super().__init__()
        self.owner = owner
        signed = function.forward if isinstance(function, torch.nn.Module) else function

        # Under the callable's own signature, from which torch.export names the inputs.
        @functools.wraps(signed)
        def forward(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        self.forward = forward


def capture(
    model: torch.nn.Module,
    function: Callable[..., Any] | None,
    example: Any,
    dynamic_shapes: Any = None,
) -> Captured:
    """Exports ``function`` of ``model`` (None: the model itself) for inputs such as ``example``.

    Raises ExportError where torch.export cannot follow the model.
    """
    args, kwargs = split_example(example)
    module = model if function is None else _Method(model, function)
    prefix = "" if function is None else "owner."
    try:
        with torch.no_grad():
            program = torch.export.export(
                module, args, kwargs, dynamic_shapes=dynamic_shapes, strict=False
            )
            program = program.run_decompositions(_decompositions())
    except Exception as error:
        raise ExportError(
            f"torch.export could not follow the model: {error}\nMake the forward free of Python "
            "control flow that depends on tensor values, and check the example input."
        ) from error
    captured = _read(program, args, kwargs, prefix)
    if dynamic_shapes is not None:
        names = dimension_names(module.forward, args, kwargs, dynamic_shapes)
        captured.sizes = varying_sizes(program, captured.inputs, captured.example, names)
    return captured


def _decompositions() -> dict[Any, Callable[..., Any]]:
    """torch's decompositions, less those of operations that wasm_torch runs whole."""
    table = torch.export.default_decompositions()
    for target in list(table):
        if is_kept(target):
            table.pop(target)
    return table


def _read(program: Any, args: Any, kwargs: Any, prefix: str) -> Captured:
    signature = program.graph_signature
    flat, _ = pytree.tree_flatten((args, kwargs))
    inputs: list[str] = []
    example: list[torch.Tensor] = []
    positions: list[int | None] = []
    weights: dict[str, tuple[str, str, torch.Tensor]] = {}
    mutated = set(signature.buffers_to_mutate.values())
    for spec in signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            if isinstance(spec.arg, ConstantArgument):
                positions.append(None)
                continue
            if not isinstance(spec.arg, TensorArgument):
                raise ExportError(f"input {spec.arg.name!r} is neither a tensor nor a constant")
            example.append(flat[len(positions)])
            positions.append(len(inputs))
            inputs.append(spec.arg.name)
            continue
        name = spec.target
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER) and name in program.state_dict:
            tensor = program.state_dict[name]
        else:
            tensor = program.constants[name]
        role = {InputKind.PARAMETER: "parameter"}.get(spec.kind, "constant")
        if name in mutated:
            role = "state"
        weights[spec.arg.name] = (name.removeprefix(prefix), role, tensor.detach())
    outputs, updates = _read_outputs(program, signature, prefix)
    arguments = _plain(pytree.tree_unflatten(positions, program.call_spec.in_spec))
    # Of positional and keyword arguments an example has the ones or the others.
    input_tree = arguments[1] if kwargs else arguments[0]
    numbers = list(range(len(outputs)))
    output_tree = _plain(pytree.tree_unflatten(numbers, program.call_spec.out_spec))
    named = output_names(output_tree, len(outputs))
    return Captured(
        program.graph,
        inputs,
        list(zip(named, outputs, strict=True)),
        weights,
        updates,
        input_tree,
        output_tree,
        example,
    )


def _read_outputs(program: Any, signature: Any, prefix: str) -> tuple[list[Any], dict[str, str]]:
    outputs: list[Any] = []
    updates: dict[str, str] = {}
    for spec in signature.output_specs:
        if spec.kind is OutputKind.BUFFER_MUTATION:
            updates[spec.target.removeprefix(prefix)] = spec.arg.name
        elif spec.kind is OutputKind.USER_OUTPUT:
            if isinstance(spec.arg, TensorArgument):
                outputs.append(spec.arg.name)
            else:
                raise ExportError(
                    f"the model returns {spec.arg!r}, which is no tensor: return tensors only"
                )
        else:
            raise ExportError(
                f"the model changes its input {getattr(spec, 'target', '')!r} in place: "
                "copy it first"
            )
    return outputs, updates


def _plain(tree: Any) -> Any:
    """Lists, dicts and indexes in place of tuples, named tuples and models' output classes."""
    if isinstance(tree, Mapping):
        return {str(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        if hasattr(tree, "_fields"):
            return {name: _plain(value) for name, value in zip(tree._fields, tree, strict=True)}
        return [_plain(value) for value in tree]
    if hasattr(tree, "__dataclass_fields__"):
        return {name: _plain(getattr(tree, name)) for name in tree.__dataclass_fields__}
    return tree


def place_of(node: torch.fx.Node) -> str:
    """Where a node comes from: the module's path and the source line, as far as they are known."""
    path = module_path(node)
    line = _source_line(node.meta.get("stack_trace"))
    return ", ".join(part for part in (path, line) if part) or node.name


def module_path(node: torch.fx.Node) -> str:
    """The path of the module that made a node, such as ``layer1.0.conv1``."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values()]
    return str(paths[-1]).removeprefix("L['self'].").removeprefix("owner.") if paths else ""


def _source_line(trace: str | None) -> str:
    """The innermost line of a stack trace: ``model.py:31``."""
    for line in reversed((trace or "").splitlines()):
        line = line.strip()
        if line.startswith("File "):
            parts = line.split(", ")
            return f"{parts[0][6:-1]}:{parts[1].removeprefix('line ')}"
    return ""
