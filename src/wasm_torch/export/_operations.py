"""ATen operations as wasm_torch's: a row or a composite of the same name, or an adapter here."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Callable
from typing import Any

import torch

import wasm_torch
from wasm_torch.export._adapters import ADAPTERS
from wasm_torch.ops import FUNCTIONS, METHODS, TABLE
from wasm_torch.ops._table import Op

#: Arguments that say where or how a tensor is kept, which here has one answer.
_IGNORED = frozenset({"device", "layout", "pin_memory", "non_blocking", "generator", "out"})

#: Overloads whose number stands where a row has a tensor: ``add.Scalar`` is ``add.Tensor``.
_NUMBER_OVERLOADS = {"Scalar": "Tensor", "Tensor_Scalar": "Tensor", "Tensor_mode": "Tensor"}


#: What a graph with varying sizes computes with them, on the numbers of one trace.
_SIZES: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.sym_size.int: lambda self, dim: self.shape[dim],
    torch.ops.aten.sym_numel.default: lambda self: self.numel(),
    torch.ops.aten.sym_stride.int: lambda self, dim: self.contiguous().stride(dim),
    torch.ops.aten._assert_scalar.default: lambda *_, **__: None,
    torch.ops.aten.sym_constrain_range.default: lambda *_, **__: None,
    torch.ops.aten.sym_constrain_range_for_size.default: lambda *_, **__: None,
    **{
        function: function
        for function in (
            *(operator.add, operator.sub, operator.mul, operator.floordiv, operator.truediv),
            *(operator.mod, operator.pow, operator.neg, operator.eq, operator.ne, operator.lt),
            *(operator.le, operator.gt, operator.ge, operator.and_, operator.or_, operator.not_),
            *(math.floor, math.ceil, math.trunc, round, abs, int, float),
            *(torch.sym_max, torch.sym_min, torch.sym_float, torch.sym_int, torch.sym_not),
            *(torch.sym_ite, torch.sym_sum),
        )
    },
}


def size_function(target: Any) -> Callable[..., Any] | None:
    """What computes a size from sizes, or reads it off a tensor; None for operations on tensors."""
    try:
        return _SIZES.get(target)
    except TypeError:
        return None


def qualified_name(target: Any) -> str:
    """``add.Tensor`` for aten.add.Tensor, ``gelu`` for aten.gelu.default; "" for others."""
    if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":
        return ""
    name = target._schema.name.partition("::")[2]
    overload = target._schema.overload_name
    return f"{name}.{overload}" if overload else name


def is_kept(target: Any) -> bool:
    """Whether torch.export should leave an operation whole: known here, and aliasing nothing."""
    name = qualified_name(target)
    if not name or (name not in TABLE and name not in ADAPTERS):
        return False
    schema = target._schema
    return not schema.is_mutable and not any(r.alias_info for r in schema.returns)


def find(target: Any) -> Callable[[dict[str, Any]], Any] | None:
    """What runs an operation of the graph on its arguments by name; None where nothing does."""
    if target is operator.getitem:
        return lambda given: given["sequence"][given["index"]]
    sizes = size_function(target)
    if sizes is not None:
        return lambda given: sizes(*given["args"], **given["kwargs"])
    name = qualified_name(target)
    if not name:
        return None
    if name in ADAPTERS:
        adapter = ADAPTERS[name]
        return lambda given: adapter(**_without_ignored(given))
    base, _, overload = name.partition(".")
    row = TABLE.get(name) or TABLE.get(f"{base}.{_NUMBER_OVERLOADS.get(overload, '')}")
    if row is not None and _takes(row, target):
        return lambda given: run_row(row, given)
    function = FUNCTIONS.get(base) or METHODS.get(base)
    if function is None or target._schema.is_mutable:
        return None
    return lambda given: _run_composite(function, target, given)


def _takes(row: Op, target: Any) -> bool:
    """Whether a row's required arguments are all among those of an ATen schema."""
    theirs = {argument.name for argument in target._schema.arguments}
    required = {
        a.name
        for a, d in zip(row.schema.arguments, row.defaults, strict=True)
        if a.default is d and repr(d) == "<required>"
    }
    return required <= theirs


def run_row(row: Op, given: dict[str, Any]) -> Any:
    """Runs a row; arguments that it lacks must have no say here."""
    known = {name: value for name, value in given.items() if name in row.position}
    for name in given.keys() - known.keys() - _IGNORED:
        if given[name] not in (None, False):
            raise TypeError(f"{row.schema.qualified_name} has no argument {name!r} here")
    return row.run(row.bind((), known))


def _run_composite(function: Callable[..., Any], target: Any, given: dict[str, Any]) -> Any:
    positional, named = [], {}
    gap = False
    for argument in target._schema.arguments:
        if argument.name not in given or argument.name in _IGNORED:
            gap = True
            continue
        value = given[argument.name]
        if argument.kwarg_only or gap:
            if value is not None:
                named[argument.name] = value
        else:
            positional.append(value)
    return function(*positional, **named)


def _without_ignored(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in _IGNORED}


def arguments_by_name(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """A node's arguments by the names of the ATen schema."""
    if target is operator.getitem:
        return {"sequence": args[0], "index": args[1]}
    if size_function(target) is not None:
        return {"args": args, "kwargs": kwargs}
    names = [argument.name for argument in target._schema.arguments]
    return dict(zip(names, args, strict=False)) | kwargs


def convert(value: Any) -> Any:
    """torch's dtypes, memory formats and devices as wasm_torch's; the rest as it is."""
    if isinstance(value, torch.dtype):
        name = str(value).removeprefix("torch.")
        found = getattr(wasm_torch, name, None)
        if found is None:
            raise TypeError(f"wasm_torch has no dtype {name}")
        return found
    if isinstance(value, torch.memory_format):
        return getattr(wasm_torch, str(value).removeprefix("torch."))
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(convert(item) for item in value)
    return value


def suggestion(target: Any) -> str:
    """What to do about an operation that is not there."""
    name = qualified_name(target)
    if not name:
        return (
            "It is no ATen operation: give it a decomposition with torch.library, or replace the "
            "module that calls it."
        )
    base = name.partition(".")[0]
    known = {row.partition(".")[0] for row in TABLE} | set(FUNCTIONS)
    near = difflib.get_close_matches(base, sorted(known), n=3, cutoff=0.75)
    advice = f" Near it are {', '.join(near)}." if near else ""
    return f"Write it in terms of operations that wasm_torch has.{advice}"
