"""Integer expressions in canonical form, and conditions on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from wasm_torch.ops._symbolic.ranges import INFINITY, Range, quotient_range, range_of_terms


class Atom:
    """A variable of a polynomial: a symbol, or an operation that did not simplify."""

    __slots__ = ("arguments", "hint", "key", "kind", "range")

    def __init__(
        self, kind: str, arguments: tuple[Any, ...], key: str, range: Range, hint: Any = None
    ):
        self.kind = kind
        self.arguments = arguments
        self.key = key
        self.range = range
        self.hint = hint

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Atom) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


#: A product of atoms, in the order of their keys; the empty one stands for the constant.
Monomial = tuple[Atom, ...]
Terms = dict[Monomial, int]


def _product(a: Monomial, b: Monomial) -> Monomial:
    return tuple(sorted((*a, *b), key=lambda atom: atom.key)) if a and b else a or b


def _terms(value: int | Expr) -> Terms:
    if isinstance(value, Expr):
        return value.terms
    return {(): value} if value else {}


def _expr(terms: Terms) -> int | Expr:
    terms = {monomial: count for monomial, count in terms.items() if count}
    return Expr(terms) if terms.keys() - {()} else terms.get((), 0)


def _rank(term: tuple[Monomial, int]) -> tuple[int, list[str]]:
    """Terms are written from the highest degree down to the constant."""
    return -len(term[0]), [atom.key for atom in term[0]]


class Expr:
    """An integer expression that is not constant. Arithmetic gives an Expr, or an int."""

    __slots__ = ("_range", "key", "terms")

    def __init__(self, terms: Terms):
        self.terms = dict(sorted(terms.items(), key=_rank))
        self.key = _print_sum(self.terms)
        self._range: Range | None = None

    def __add__(self, other: Any) -> int | Expr:
        if not isinstance(other, (int, Expr)):
            return NotImplemented
        terms = dict(self.terms)
        for monomial, count in _terms(other).items():
            terms[monomial] = terms.get(monomial, 0) + count
        return _expr(terms)

    __radd__ = __add__

    def __neg__(self) -> Expr:
        return Expr({monomial: -count for monomial, count in self.terms.items()})

    def __sub__(self, other: Any) -> int | Expr:
        return self + (-other) if isinstance(other, (int, Expr)) else NotImplemented

    def __rsub__(self, other: Any) -> int | Expr:
        return -self + other if isinstance(other, int) else NotImplemented

    def __mul__(self, other: Any) -> int | Expr:
        if not isinstance(other, (int, Expr)):
            return NotImplemented
        terms: Terms = {}
        for a, m in self.terms.items():
            for b, n in _terms(other).items():
                product = _product(a, b)
                terms[product] = terms.get(product, 0) + m * n
        return _expr(terms)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> int | Expr:
        return _floor_divide(self, other) if isinstance(other, (int, Expr)) else NotImplemented

    def __rfloordiv__(self, other: Any) -> int | Expr:
        return _floor_divide(other, self) if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Any) -> int | Expr:
        return _modulo(self, other) if isinstance(other, (int, Expr)) else NotImplemented

    def __rmod__(self, other: Any) -> int | Expr:
        return _modulo(other, self) if isinstance(other, int) else NotImplemented

    def __ge__(self, other: Any) -> bool | Condition:
        return _relation(">=", self - other)

    def __gt__(self, other: Any) -> bool | Condition:
        return _relation(">=", self - other - 1)

    def __le__(self, other: Any) -> bool | Condition:
        return _relation(">=", other - self)

    def __lt__(self, other: Any) -> bool | Condition:
        return _relation(">=", other - self - 1)

    def __eq__(self, other: object) -> bool:
        """Whether these are the same expression; ``eq`` asks whether the values are equal."""
        return isinstance(other, Expr) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __bool__(self) -> bool:
        raise TypeError(f"the truth of {self} depends on its symbols: ask guard(ne({self}, 0))")

    def __repr__(self) -> str:
        return self.key


def _print_sum(terms: Terms) -> str:
    text = ""
    for monomial, count in terms.items():
        factors = [atom.key for atom in monomial]
        if abs(count) != 1 or not factors:
            factors.append(str(abs(count)))
        sign = ("-" if count < 0 else "") if not text else (" - " if count < 0 else " + ")
        text += sign + "*".join(factors)
    return text or "0"


# ---- making expressions --------------------------------------------------------------------------
def symbol(name: str, hint: int | None = None, minimum: int = 1, maximum: int | None = None) -> Any:
    """A new variable. Guards are answered as if its value were ``hint``, which lies in its range.

    Raises ValueError where the name is no identifier or the hint is out of range.
    """
    high: float = INFINITY if maximum is None else maximum
    if not name.isidentifier():
        raise ValueError(f"a symbol's name must be an identifier, got {name!r}")
    if hint is not None and not minimum <= hint <= high:
        raise ValueError(f"the hint {hint} of {name} is not in its range [{minimum}, {high}]")
    return Expr({(Atom("symbol", (), name, (minimum, high), hint),): 1})


def _call(kind: str, arguments: tuple[Any, ...], range: Range) -> Expr:
    if kind in _INFIX:
        key = f"({kind.join(map(_print_operand, arguments))})"
    else:
        key = f"{kind}({', '.join(map(str, arguments))})"
    return Expr({(Atom(kind, arguments, key, range),): 1})


_INFIX = ("//", "%")


def _print_operand(value: int | Expr) -> str:
    text = str(value)
    return f"({text})" if {" ", "*", "-"} & set(text) else text


def _exact_quotient(a: int | Expr, b: int | Expr) -> int | Expr | None:
    """The quotient where ``b`` divides ``a`` as polynomials: long division by leading terms."""
    divisor = sorted(_terms(b).items(), key=_rank)
    lead, lead_count = divisor[0]
    quotient: int | Expr = 0
    rest = a
    while terms := _terms(rest):
        monomial, count = min(terms.items(), key=_rank)
        remaining = list(monomial)
        for atom in lead:
            if atom not in remaining:
                return None
            remaining.remove(atom)
        if count % lead_count:
            return None
        step = _expr({tuple(remaining): count // lead_count})
        quotient = quotient + step
        rest = rest - step * b
    return quotient


def _floor_divide(a: int | Expr, b: int | Expr) -> int | Expr:
    if b == 0:
        raise ZeroDivisionError(f"floor division of {a} by zero")
    exact = _exact_quotient(a, b)
    if exact is not None:
        return exact
    if isinstance(b, int):
        return _divide_by_number(a, b) if b > 0 else _divide_by_number(-a, -b)
    if lower(a) >= 0 and lower(b - a) > 0:
        return 0
    return _call("//", (a, b), quotient_range(bounds(a), bounds(b)))


def _divide_by_number(a: int | Expr, b: int) -> int | Expr:
    """What divides evenly comes out: (4*x + y + 9) // 4 is x + 2 + (y + 1) // 4."""
    outside: Terms = {}
    inside: Terms = {}
    for monomial, count in _terms(a).items():
        if count % b == 0 or not monomial:
            outside[monomial] = count // b
            count %= b
        inside[monomial] = count
    rest = _expr(inside)
    if not isinstance(rest, Expr) or (lower(rest) >= 0 and upper(rest) < b):
        return _expr(outside)
    common = math.gcd(b, *(n for m, n in rest.terms.items() if m))
    if common > 1:
        reduced = _expr({m: n // common for m, n in rest.terms.items()})
        return _expr(outside) + _floor_divide(reduced, b // common)
    inner = next(iter(rest.terms))[0]
    if rest.terms.keys() <= {(inner,), ()} and rest.terms[(inner,)] == 1 and inner.kind == "//":
        numerator, divisor = inner.arguments
        if isinstance(divisor, int):
            whole = numerator + rest.terms.get((), 0) * divisor
            return _expr(outside) + _floor_divide(whole, divisor * b)
    return _expr(outside) + _call("//", (rest, b), quotient_range(bounds(rest), (b, b)))


def _modulo(a: int | Expr, b: int | Expr) -> int | Expr:
    if isinstance(b, int) and b > 0:
        a = _expr({monomial: count % b for monomial, count in _terms(a).items()})
        if not isinstance(a, Expr):
            return a % b
    elif isinstance(b, int) or not lower(b) > 0:
        return a - b * _floor_divide(a, b)
    elif _exact_quotient(a, b) is not None:
        return 0
    if lower(a) >= 0 and lower(b - a) > 0:
        return a
    return _call("%", (a, b), (0, upper(b) - 1))


def minimum(*values: int | Expr) -> Any:
    """The least of these."""
    return _extreme("min", values, lambda a, b: lower(b - a) >= 0)


def maximum(*values: int | Expr) -> Any:
    """The greatest of these."""
    return _extreme("max", values, lambda a, b: lower(a - b) >= 0)


def _extreme(
    kind: str, values: tuple[int | Expr, ...], wins: Callable[[Any, Any], bool]
) -> int | Expr:
    kept: list[int | Expr] = []
    for value in values:
        if any(wins(other, value) for other in kept):
            continue
        kept = [other for other in kept if not wins(value, other)] + [value]
    if len(kept) == 1:
        return kept[0]
    choose = min if kind == "min" else max
    ranges = [bounds(value) for value in kept]
    within = choose(low for low, _ in ranges), choose(high for _, high in ranges)
    return _call(kind, tuple(sorted(kept, key=str)), within)


# ---- ranges --------------------------------------------------------------------------------------
def bounds(value: int | Expr) -> Range:
    """Numbers that the value lies between for all values of the symbols."""
    if not isinstance(value, Expr):
        return value, value
    if value._range is None:
        value._range = range_of_terms(value.terms)
    return value._range


def lower(value: int | Expr) -> float:
    """A number that the value is never below."""
    return bounds(value)[0]


def upper(value: int | Expr) -> float:
    """A number that the value is never above."""
    return bounds(value)[1]


# ---- conditions ----------------------------------------------------------------------------------
class Condition:
    """``value`` ==, != or >= 0, which depends on the symbols."""

    __slots__ = ("relation", "value")

    def __init__(self, relation: str, value: Expr):
        self.relation = relation
        self.value = value

    def negated(self) -> bool | Condition:
        """What holds where this does not."""
        if self.relation == ">=":
            return _relation(">=", -self.value - 1)
        return Condition("!=" if self.relation == "==" else "==", self.value)

    def __bool__(self) -> bool:
        raise TypeError(f"whether {self} depends on the symbols: ask guard(...)")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        """With what is subtracted on the right side: ``batch*2 >= length + 1``."""
        terms = self.value.terms
        left = {monomial: count for monomial, count in terms.items() if count > 0}
        right = {monomial: -count for monomial, count in terms.items() if count < 0}
        return f"{_print_sum(left)} {self.relation} {_print_sum(right)}"


def _relation(relation: str, value: int | Expr) -> bool | Condition:
    """A condition in canonical form, or its truth where that is the same for all values."""
    low, high = bounds(value)
    if relation == ">=":
        if low >= 0 or high < 0:
            return low >= 0
    elif low > 0 or high < 0 or not isinstance(value, Expr):
        return (value == 0) == (relation == "==")
    assert isinstance(value, Expr)
    common = math.gcd(*(n for m, n in value.terms.items() if m))
    constant = value.terms.get((), 0)
    if relation != ">=":
        if constant % common:
            return relation == "!="
        if next(iter(value.terms.values())) < 0:
            common = -common
    terms = {monomial: count // common for monomial, count in value.terms.items()}
    return Condition(relation, Expr(terms))


def eq(a: Any, b: Any) -> bool | Condition:
    """Whether the values are equal."""
    return _relation("==", a - b)


def ne(a: Any, b: Any) -> bool | Condition:
    """Whether the values differ."""
    return _relation("!=", a - b)
