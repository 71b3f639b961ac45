"""Truth values of conditions on symbols, and the constraints that they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from wasm_torch.ops._symbolic.evaluation import evaluate_by
from wasm_torch.ops._symbolic.expression import Atom, Condition, eq, lower


class UndecidedError(RuntimeError):
    """The truth of a condition was asked for, and nothing decides it."""


_guards: ContextVar[list[Condition] | None] = ContextVar("guards", default=None)


@contextmanager
def collect_guards() -> Iterator[list[Condition]]:
    """Collects, without repetitions, the conditions under which the answers of ``guard`` inside
    are right."""
    guards: list[Condition] = []
    token = _guards.set(guards)
    try:
        yield guards
    finally:
        _guards.reset(token)


def guard(condition: bool | Condition) -> bool:
    """The truth of a condition: for all values, or else for the symbols' hints, recorded.

    Raises UndecidedError where a symbol has no hint, or nobody collects guards.
    """
    if not isinstance(condition, Condition):
        return condition
    guards = _guards.get()
    if guards is None:
        raise UndecidedError(f"whether {condition} is not known, and no guards are collected")

    def hint(atom: Atom) -> int:
        if atom.hint is None:
            raise UndecidedError(f"whether {condition} is not known: {atom} has no hint")
        return atom.hint

    truth = evaluate_by(hint, condition)
    holds = condition if truth else condition.negated()
    if isinstance(holds, Condition) and holds not in guards:
        guards.append(holds)
    return truth


def same(a: Any, b: Any) -> bool:
    """Whether the values are equal, by a guard where that depends on the symbols."""
    return guard(eq(a, b))


def exceeds(a: Any, b: Any) -> bool:
    """Whether ``a > b``, for orders in memory: values of which one is never below the other are
    told apart without a guard, though both be equal for some symbols. Strides (or sizes) that are
    equal only then belong to dims of size 1, whose place does not matter."""
    if a == b or lower(b - a) >= 0:
        return False
    return lower(a - b) >= 0 or guard(b + 1 <= a)
