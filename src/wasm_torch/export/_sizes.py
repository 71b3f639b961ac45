"""Sizes that vary from call to call: torch.export's symbols, and inputs at any sizes of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from wasm_torch.compiler.expressions import UNLIMITED, Sizes
from wasm_torch.compiler.family import Symbol
from wasm_torch.export._errors import ExportError


@dataclass
class VaryingSizes:
    """The symbols of a method, and for each input the sizes of its dimensions.

    A size is an integer, or a sympy expression of torch.export's symbols, which ``names`` maps to
    those of `symbols`.
    """

    symbols: list[Symbol] = field(default_factory=list)
    shapes: list[list[Any]] = field(default_factory=list)
    names: dict[Any, str] = field(default_factory=dict)

    def shape(self, position: int, sizes: Sizes) -> tuple[int, ...]:
        """The shape of an input at these sizes of the symbols."""
        given = {symbol: sizes[name] for symbol, name in self.names.items()}
        shape = self.shapes[position]
        return tuple(n if isinstance(n, int) else int(n.subs(given)) for n in shape)


def dimension_names(
    forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], dynamic_shapes: Any
) -> dict[int, dict[int, str]]:
    """The names of `torch.export.Dim`s in ``dynamic_shapes``: by a tensor's id, by dimension."""
    named: dict[int, dict[int, str]] = {}

    def walk(value: Any, spec: Any) -> None:
        if spec is None:
            return
        if isinstance(value, torch.Tensor):
            items = spec.items() if isinstance(spec, Mapping) else enumerate(spec)
            for dim, size in items:
                name = getattr(getattr(size, "root", size), "__name__", None)
                if isinstance(name, str):
                    named.setdefault(id(value), {})[int(dim) % max(value.dim(), 1)] = name
        elif isinstance(value, Mapping) and isinstance(spec, Mapping):
            for key, item in value.items():
                walk(item, spec.get(key))
        elif isinstance(value, (tuple, list)) and isinstance(spec, (tuple, list)):
            for item, part in zip(value, spec, strict=False):
                walk(item, part)

    if isinstance(dynamic_shapes, Mapping):
        walk(inspect.signature(forward).bind(*args, **kwargs).arguments | kwargs, dynamic_shapes)
    else:
        walk([*args, *kwargs.values()], dynamic_shapes)
    return named


def varying_sizes(
    program: Any, inputs: list[str], example: list[torch.Tensor], named: dict[int, dict[int, str]]
) -> VaryingSizes:
    """Reads the sizes of a program's inputs.

    Raises ExportError where a symbol cannot be read off one dimension of an input.
    """
    values = {n.name: n.meta["val"] for n in program.graph.nodes if n.op == "placeholder"}
    result = VaryingSizes()
    sources: dict[Any, tuple[int, int, int, int]] = {}
    for position, (name, tensor) in enumerate(zip(inputs, example, strict=True)):
        shape = [n if isinstance(n, int) else n.node.expr for n in values[name].shape]
        shape = [int(n) if isinstance(n, int) or n.is_number else n for n in shape]
        result.shapes.append(shape)
        for dim, size in enumerate(shape):
            if isinstance(size, int):
                continue
            for symbol in sorted(size.free_symbols, key=str):
                label = named.get(id(tensor), {}).get(dim) or f"{name}_{dim}"
                read, known = _reading(size, symbol), sources.get(symbol)
                if read is not None and (known is None or read[0] < known[2]):
                    sources[symbol] = (position, dim, *read)
                    result.names[symbol] = label
                result.names.setdefault(symbol, label)
    for symbol, name in result.names.items():
        if symbol not in sources:
            raise ExportError(
                f"the size {name!r} cannot be read off the inputs: give it one dimension of an "
                "input for itself in dynamic_shapes"
            )
        position, dim, factor, offset = sources[symbol]
        low, high = _range(program.range_constraints.get(symbol))
        result.symbols.append(Symbol(name, low, high, position, dim, factor, offset))
    if len(set(result.names.values())) < len(result.names):
        raise ExportError(
            f"dynamic_shapes uses one name for two sizes: {list(result.names.values())}"
        )
    return result


def _reading(size: Any, symbol: Any) -> tuple[int, int] | None:
    """(factor, offset) of a size ``factor * symbol + offset``; None where it is no such thing."""
    if size.free_symbols != {symbol}:
        return None
    factor, offset = size.coeff(symbol, 1), size.subs(symbol, 0)
    if (factor * symbol + offset - size).expand() != 0 or not factor.is_integer or factor < 1:
        return None
    return int(factor), int(offset)


def _range(limits: Any) -> tuple[int, int]:
    """The least and the greatest size; nothing is run at size 0."""

    def whole(bound: Any, otherwise: int) -> int:
        return int(bound) if getattr(bound, "is_Integer", False) else otherwise

    if limits is None:
        return 1, UNLIMITED
    return max(1, whole(limits.lower, 1)), min(UNLIMITED, whole(limits.upper, UNLIMITED))
