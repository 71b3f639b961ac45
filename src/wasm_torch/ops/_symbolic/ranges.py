"""Between which numbers a polynomial lies, given the ranges of its variables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wasm_torch.ops._symbolic.expression import Terms

INFINITY = math.inf
#: Bounds of a value, infinite where there is none.
Range = tuple[float, float]


def _times(a: float, b: float) -> float:
    return 0 if a == 0 or b == 0 else a * b


def _multiply_ranges(a: Range, b: Range) -> Range:
    corners = [_times(x, y) for x in a for y in b]
    return min(corners), max(corners)


def _divide(a: float, b: float) -> float:
    if math.isinf(a):
        return a
    return (0 if a >= 0 else -1) if math.isinf(b) else a // b


def quotient_range(a: Range, b: Range) -> Range:
    if b[0] < 1:
        return -INFINITY, INFINITY
    corners = [_divide(x, y) for x in a for y in b]
    return min(corners), max(corners)


def range_of_terms(terms: Terms) -> Range:
    low: float = 0
    high: float = 0
    for monomial, count in terms.items():
        term: Range = (count, count)
        for atom in monomial:
            term = _multiply_ranges(term, atom.range)
        low, high = low + term[0], high + term[1]
    shifted = _from_least(terms)
    if shifted is not None:
        constant = shifted.pop((), 0)
        if all(count >= 0 for count in shifted.values()):
            low = max(low, constant)
        if all(count <= 0 for count in shifted.values()):
            high = min(high, constant)
    return low, high


def _from_least(terms: Terms) -> Terms | None:
    """The polynomial in how far each atom is above its least value: x*y - x with x, y >= 1 is
    x'*y' + y', which is never negative."""
    result: Terms = {}
    for monomial, count in terms.items():
        parts: Terms = {(): count}
        for atom in monomial:
            least = atom.range[0]
            if math.isinf(least):
                return None
            spread: Terms = {}
            for partial, n in parts.items():
                spread[partial] = spread.get(partial, 0) + n * int(least)
                spread[(*partial, atom)] = spread.get((*partial, atom), 0) + n
            parts = spread
        for partial, n in parts.items():
            result[partial] = result.get(partial, 0) + n
    return result
