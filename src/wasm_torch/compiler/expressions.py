"""Expressions of sizes: what stands in a model file for a number that its inputs decide.

An expression is an integer, the name of a symbol, or ``(operator, a, b)`` with one of `OPERATORS`;
in JSON, lists stand for the tuples. Every expression is of natural numbers, except that "-" may
give a negative one, which is then divided by nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

Expression: TypeAlias = Any  # int | str | tuple[str, Expression, Expression], or lists for tuples

Sizes: TypeAlias = dict[str, int]
"""The sizes of symbols by name."""

#: The largest number of 32-bit arithmetic, and the maximum of a symbol that has none.
UNLIMITED = 2**31 - 1

OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "max": max,
}
_SIGNS = {"+": " + ", "-": " - ", "*": " * ", "floordiv": " // "}


def evaluate(expression: Expression, sizes: Mapping[str, int]) -> int:
    """The number for these sizes of the symbols. Raises KeyError for an unknown symbol."""
    if isinstance(expression, int):
        return expression
    if isinstance(expression, str):
        return sizes[expression]
    operator, a, b = expression
    return OPERATORS[operator](evaluate(a, sizes), evaluate(b, sizes))


def text(expression: Expression) -> str:
    """As Python would write it: ``batch``, ``(height + 1) // 2``."""
    if isinstance(expression, (int, str)):
        return str(expression)
    operator, a, b = expression
    if operator == "max":
        return f"max({text(a)}, {text(b)})"
    return _SIGNS[operator].join(
        t if t.isidentifier() or t.isdigit() else f"({t})" for t in map(text, (a, b))
    )


def shape_text(shape: Any) -> str:
    """``[batch, 3, 224, 224]``."""
    return f"[{', '.join(map(text, shape))}]"


def sizes_text(sizes: Mapping[str, int]) -> str:
    """``batch=2, length=7``."""
    return ", ".join(f"{name}={size}" for name, size in sizes.items())


def add(a: Expression, b: Expression) -> Expression:
    """a + b, where nothing is added in vain."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    if a == 0 or b == 0:
        return b if a == 0 else a
    if isinstance(b, int) and b < 0:
        return ("-", a, -b)
    return ("+", a, b)


def multiply(a: Expression, b: Expression) -> Expression:
    """a * b."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    if a == 1 or b == 1:
        return b if a == 1 else a
    return 0 if a == 0 or b == 0 else ("*", a, b)


def divide(a: Expression, b: int) -> Expression:
    """a // b of a natural number."""
    if b == 1:
        return a
    return a // b if isinstance(a, int) else ("floordiv", a, b)


def aligned(a: Expression, alignment: int) -> Expression:
    """The next multiple of the alignment."""
    return multiply(divide(add(a, alignment - 1), alignment), alignment)


def largest(expressions: Iterator[Expression] | list[Expression]) -> Expression:
    """The maximum; expressions that others exceed at all sizes are left out."""
    kept: list[Expression] = []
    for expression in dict.fromkeys(expressions):
        if any(_exceeds(other, expression) for other in kept):
            continue
        kept = [other for other in kept if not _exceeds(expression, other)]
        kept.append(expression)
    if not kept:
        return 0
    result = kept[0]
    for expression in kept[1:]:
        result = ("max", result, expression)
    return result


Terms: TypeAlias = list[tuple[int, list[Expression]]]


def _terms(expression: Expression) -> Terms:
    """As a sum of positive products: (coefficient, symbols and other factors)."""
    if isinstance(expression, int):
        return [(expression, [])]
    if isinstance(expression, tuple) and expression[0] == "+":
        return _terms(expression[1]) + _terms(expression[2])
    if isinstance(expression, tuple) and expression[0] == "*":
        left, right = _terms(expression[1]), _terms(expression[2])
        if len(left) == len(right) == 1:
            (a, some), (b, others) = left[0], right[0]
            return [(a * b, sorted([*some, *others], key=repr))]
    return [(1, [expression])]


def _exceeds(a: Expression, b: Expression) -> bool:
    """Whether a >= b follows from the terms alone, where symbols are at least 1."""
    left = _terms(a)
    if any(coefficient < 0 for coefficient, _ in left):
        return False
    for coefficient, factors in _terms(b):
        for i, (greater, others) in enumerate(left):
            if coefficient <= greater and _divides(factors, others):
                del left[i]
                break
        else:
            return False
    return True


def _divides(factors: list[Expression], others: list[Expression]) -> bool:
    """Whether the others are the factors and, beside them, symbols only."""
    rest = list(others)
    for factor in factors:
        if factor not in rest:
            return False
        rest.remove(factor)
    return all(isinstance(factor, str) for factor in rest)


def parts(expression: Expression) -> Iterator[Expression]:
    """The expression and all that it is made of, what is needed first coming first."""
    if isinstance(expression, (tuple, list)):
        yield from parts(expression[1])
        yield from parts(expression[2])
    yield expression


def symbols_of(expression: Expression) -> set[str]:
    """The names of the symbols in an expression."""
    if isinstance(expression, (tuple, list)):
        return symbols_of(expression[1]) | symbols_of(expression[2])
    return {expression} if isinstance(expression, str) else set()
