"""Values of expressions, given those of their symbols."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from wasm_torch.ops._symbolic.expression import Atom, Condition, Expr


def evaluate(value: Any, bindings: Mapping[str, int]) -> Any:
    """The value of an expression, condition, number, or tuple or list of them.

    Raises ValueError where a symbol has no value.
    """

    def lookup(symbol: Atom) -> int:
        if symbol.key not in bindings:
            raise ValueError(f"no value is given for the symbol {symbol.key}")
        return bindings[symbol.key]

    return evaluate_by(lookup, value)


def evaluate_by(lookup: Callable[[Atom], int], value: Any) -> Any:
    """The same, with the value of each symbol by a function."""
    if isinstance(value, (tuple, list)):
        return type(value)(evaluate_by(lookup, item) for item in value)
    if isinstance(value, Condition):
        number = evaluate_by(lookup, value.value)
        return {"==": number == 0, "!=": number != 0, ">=": number >= 0}[value.relation]
    if not isinstance(value, Expr):
        return value
    total = 0
    for monomial, count in value.terms.items():
        for atom in monomial:
            count *= _evaluate_atom(atom, lookup)
        total += count
    return total


_OPERATIONS: dict[str, Callable[..., int]] = {
    "//": operator.floordiv,
    "%": operator.mod,
    "min": min,
    "max": max,
}


def _evaluate_atom(atom: Atom, lookup: Callable[[Atom], int]) -> int:
    if atom.kind == "symbol":
        return lookup(atom)
    numbers = [evaluate_by(lookup, argument) for argument in atom.arguments]
    return _OPERATIONS[atom.kind](*numbers)
