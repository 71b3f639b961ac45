"""Formulas for numbers that are known at several sizes of the inputs: exact interpolation.

A number of a kernel's arguments (a size, a stride, an offset) is looked for as

1. one product of symbols with a rational factor,
2. a polynomial in the symbols, of growing degree,
3. ``(p * s + a) // b`` of one symbol, as strides and pools make them; such an *atom* is then a
   variable like the symbols,
4. a product or a polynomial of symbols, atoms, and sums that are sizes nearby,

with rational coefficients that are found exactly, and holds at every sample, of which there are
more than coefficients. Sizes are mostly primes, at which little holds by chance; a formula that
divides must hold at sizes of more than one rest, and what follows one symbol alone is no polynomial
of several.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

from wasm_torch.compiler.expressions import (
    Expression,
    add,
    divide,
    evaluate,
    multiply,
    parts,
    symbols_of,
)

#: The highest total degree of products: of symbols alone, and with atoms.
_PRODUCT_DEGREE, _ATOM_PRODUCT_DEGREE = 6, 4
_POLYNOMIAL_DEGREE, _MOST_TERMS = 4, 36
#: Sums, and atoms beside them, that are taken for variables.
_MOST_SUMS = 4
#: Divisors of atoms, the likely ones first, and factors of their symbol.
_DIVISORS = (2, 4, 8, 16, 32, 3, 5, 6, 7, 9, 10, 12, 14, 15, 18, 20, 24, 28, 30)
_FACTORS = (1, 3, 5)

Vector = tuple[int, ...]


class Quotient(NamedTuple):
    """A float: the double ``numerator / denominator`` of two expressions or numbers."""

    numerator: Expression
    denominator: Expression


class Interpolator:
    """Fits numbers at fixed samples of the symbols' sizes.

    ``minimums``: the smallest size of each symbol, at which atoms must not be negative.
    """

    def __init__(self, samples: Sequence[Mapping[str, int]], minimums: Mapping[str, int]):
        self.samples = [dict(sample) for sample in samples]
        self._minimums = dict(minimums)
        self.symbols = list(minimums)
        self._vectors = {s: tuple(sample[s] for sample in samples) for s in self.symbols}
        self._atoms: dict[Expression, Vector] = {}
        self._products = _products(self._vectors, self.symbols, _PRODUCT_DEGREE)
        self._atom_products: dict[Expression, Vector] = {}
        self._near_products: dict[tuple[Expression, ...], dict[Expression, Vector]] = {}
        self._solvers: dict[tuple[Expression, ...], list[_Solver]] = {}
        self._known: dict[Vector, Expression | None] = {}

    def fit(self, vector: Sequence[int], near: Iterable[Expression] = ()) -> Expression | None:
        """The expression with these values at the samples; None where none is found.

        ``near`` are expressions, such as the sizes of the tensors at hand, that a formula may
        combine: sums as they are, and the atoms in them.
        """
        values = tuple(vector)
        found = self._known.get(values)
        if found is None:
            found = self._known[values] = self._fit(values, near)
        return found

    def fit_unrounded(
        self, vector: Sequence[int], near: Iterable[Expression] = ()
    ) -> Expression | None:
        """As `fit`, without atoms."""
        values = tuple(vector)
        return values[0] if _constant(values) else self._in_symbols(values, near)

    def fit_float(self, vector: Sequence[float]) -> Quotient | None:
        """A quotient of formulas that gives these very doubles."""
        if not all(map(math.isfinite, vector)):
            return None
        rational = [Fraction(v).limit_denominator(1 << 24) for v in vector]
        if any(float(r) != v for r, v in zip(rational, vector, strict=True)):
            return None
        for inverse in (False, True):
            if inverse and any(r == 0 for r in rational):
                continue
            wanted = [1 / r for r in rational] if inverse else rational
            scale = reduce(math.lcm, (r.denominator for r in wanted), 1)
            fitted = self.fit([int(r * scale) for r in wanted]) if scale < 1 << 31 else None
            if fitted is not None:
                result = Quotient(scale, fitted) if inverse else Quotient(fitted, scale)
                if self._exact(result, vector):
                    return result
        return None

    def _exact(self, quotient: Quotient, vector: Sequence[float]) -> bool:
        return all(
            evaluate(quotient.numerator, sample) / evaluate(quotient.denominator, sample) == value
            for sample, value in zip(self.samples, vector, strict=True)
        )

    # ---- the ways to a formula -------------------------------------------------------------------
    def _fit(self, values: Vector, near: Iterable[Expression]) -> Expression | None:
        if _constant(values):
            return values[0]
        if all(v <= 0 for v in values):
            found = self._fit(tuple(-v for v in values), near)
            return None if found is None else ("-", 0, found)
        found = self._in_symbols(values, near)
        if found is None:
            found = self._product(values, self._atom_products)
        if found is None:
            found = self._new_atom(values)
        if found is None:
            found = self._in_atoms(values, near)
        return found

    def _in_symbols(self, values: Vector, near: Iterable[Expression]) -> Expression | None:
        found = self._product(values, self._products)
        if found is None:
            found = self._polynomial(values, tuple(self.symbols))
        if found is None:
            found = self._product(values, self._products_near(near, []))
        return found

    def _product(self, values: Vector, products: Mapping[Expression, Vector]) -> Expression | None:
        """One of the products with a rational factor."""
        if any(v == 0 for v in values):
            return None
        for expression, vector in products.items():
            scale = vector[0]
            if values[0] * vector[-1] != values[-1] * scale:
                continue
            if all(values[0] * v == own * scale for own, v in zip(values, vector, strict=True)):
                factor = Fraction(values[0], scale)
                if self._divides(expression, factor.denominator):
                    return divide(multiply(factor.numerator, expression), factor.denominator)
        return None

    def _divides(self, expression: Expression, divisor: int) -> bool:
        """Whether the samples can tell a division without a rest from one that rounds."""
        rests = ({n % divisor for n in self._vectors[s]} for s in symbols_of(expression))
        return divisor == 1 or all(len(found) > 1 for found in rests)

    def _products_near(
        self, near: Iterable[Expression], atoms: list[Expression]
    ) -> dict[Expression, Vector]:
        """Products of symbols, the sums among these expressions, and some atoms."""
        listed = [e for e in dict.fromkeys(near) if isinstance(e, tuple) and e[0] in ("+", "-")]
        if not listed:
            return {}
        factors = (*listed[:_MOST_SUMS], *atoms[:_MOST_SUMS])
        if factors not in self._near_products:
            vectors = self._vectors | {e: self._values(e) for e in factors}
            self._near_products[factors] = _products(vectors, list(vectors), _ATOM_PRODUCT_DEGREE)
        return self._near_products[factors]

    def _values(self, expression: Expression) -> Vector:
        return tuple(evaluate(expression, sample) for sample in self.samples)

    def _in_atoms(self, values: Vector, near: Iterable[Expression]) -> Expression | None:
        nearby = [p for e in near for p in parts(e) if p in self._atoms]
        atoms = list(dict.fromkeys(nearby))
        if not atoms:
            return None
        found = self._product(values, self._products_near(near, atoms))
        return found if found is not None else self._polynomial(values, (*self.symbols, *atoms))

    def _polynomial(self, values: Vector, variables: tuple[Expression, ...]) -> Expression | None:
        if variables not in self._solvers:
            self._solvers[variables] = self._make_solvers(variables)
        for solver in self._solvers[variables]:
            found = solver.solve(values)
            if found is not None and self._divides(*_divided(found)):
                return None if self._by_chance(found, values) else found
        return None

    def _by_chance(self, found: Expression, values: Vector) -> bool:
        """Whether a polynomial is of further symbols than the one that the values follow."""
        used = symbols_of(found)
        return len(used) > 1 and any(self._follow(values, symbol) for symbol in self.symbols)

    def _follow(self, values: Vector, symbol: str) -> bool:
        """Whether the values are a function of this symbol alone."""
        sizes = self._vectors[symbol]
        return len(set(zip(sizes, values, strict=True))) == len(set(sizes))

    def _make_solvers(self, variables: tuple[Expression, ...]) -> list[_Solver]:
        solvers: list[_Solver] = []
        vectors = self._vectors | self._atoms
        for degree in range(1, _POLYNOMIAL_DEGREE + 1):
            terms = {1: (1,) * len(self.samples)} | _products(vectors, variables, degree)
            if len(terms) > _MOST_TERMS or len(terms) >= len(self.samples):
                break
            solvers.append(_Solver(terms))
        return solvers

    def _new_atom(self, values: Vector) -> Expression | None:
        """``(p * s + a) // b`` of one symbol, where the samples leave one choice of ``a``."""
        for symbol in self.symbols:
            if not self._follow(values, symbol):
                continue
            sizes = self._vectors[symbol]
            for factor in _FACTORS:
                for divisor in _DIVISORS:
                    rests = [divisor * v - factor * s for v, s in zip(values, sizes, strict=True)]
                    low, high = max(rests), min(rests) + divisor - 1
                    if low != high or factor * self._minimums[symbol] + low < 0:
                        continue
                    atom = divide(add(multiply(factor, symbol), low), divisor)
                    self._add_atom(atom, values)
                    return atom
        return None

    def _add_atom(self, atom: Expression, values: Vector) -> None:
        self._atoms[atom] = values
        everything = [*self.symbols, *self._atoms]
        vectors = self._vectors | self._atoms
        self._atom_products = _products(vectors, everything, _ATOM_PRODUCT_DEGREE)


class _Solver:
    """Solves for the coefficients of fixed terms, exactly."""

    def __init__(self, terms: dict[Expression, Vector]):
        count = len(next(iter(terms.values())))
        self._terms: list[tuple[Expression, Vector]] = []
        self._rows: list[int] = []
        # Independent terms, each with a sample at which to tell it from those before.
        eliminated: list[list[Fraction]] = []
        for expression, vector in terms.items():
            rest = [Fraction(v) for v in vector]
            for row, other in zip(self._rows, eliminated, strict=True):
                if rest[row]:
                    part = rest[row] / other[row]
                    rest = [r - part * o for r, o in zip(rest, other, strict=True)]
            telling = next((i for i in range(count) if rest[i]), None)
            if telling is not None:
                self._terms.append((expression, vector))
                self._rows.append(telling)
                eliminated.append(rest)
        matrix = [[Fraction(v[row]) for _, v in self._terms] for row in self._rows]
        self._inverse = _inverse(matrix)

    def solve(self, values: Vector) -> Expression | None:
        """The sum of the terms with these values; None where there is none."""
        right = [values[row] for row in self._rows]
        found = [
            sum((a * b for a, b in zip(r, right, strict=True)), Fraction()) for r in self._inverse
        ]
        scale = reduce(math.lcm, (f.denominator for f in found), 1)
        whole = [int(f * scale) for f in found]
        used = [(c, e, v) for c, (e, v) in zip(whole, self._terms, strict=True) if c]
        for i, value in enumerate(values):
            if sum(c * v[i] for c, _, v in used) != scale * value:
                return None
        if scale > 1 and any(v < 0 for v in values):
            return None  # divisions are of natural numbers
        total: Expression = 0
        for coefficient, expression, _ in sorted(used, key=lambda u: u[0] < 0):
            if coefficient < 0 and total != 0:
                total = ("-", total, multiply(-coefficient, expression))
            elif coefficient < 0 and expression != 1:
                total = ("-", 0, multiply(-coefficient, expression))
            else:
                total = add(total, multiply(coefficient, expression))
        return divide(total, scale)


def _constant(values: Vector) -> bool:
    return values.count(values[0]) == len(values)


def _products(
    vectors: Mapping[Expression, Vector], variables: Sequence[Expression], degree: int
) -> dict[Expression, Vector]:
    """Every product of up to ``degree`` variables, with its values."""
    found: dict[Expression, Vector] = {}
    for count in range(1, degree + 1):
        for chosen in combinations_with_replacement(variables, count):
            if count == 1:
                found[chosen[0]] = vectors[chosen[0]]
                continue
            shorter = reduce(multiply, chosen[:-1])
            last = vectors[chosen[-1]]
            values = tuple(a * b for a, b in zip(found[shorter], last, strict=True))
            found[multiply(shorter, chosen[-1])] = values
    return found


def _divided(expression: Expression) -> tuple[Expression, int]:
    """The dividend and the divisor of an expression that a polynomial gave."""
    if isinstance(expression, tuple) and expression[0] == "floordiv":
        return expression[1], expression[2]
    return expression, 1


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """By Gauss and Jordan; the matrix is known to be regular."""
    n = len(matrix)
    rows: list[list[Any]] = [
        [*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)
    ]
    for i in range(n):
        pivot = next(r for r in range(i, n) if rows[r][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        lead = rows[i][i]
        rows[i] = [v / lead for v in rows[i]]
        for r in range(n):
            if r != i and rows[r][i]:
                part = rows[r][i]
                rows[r] = [v - part * w for v, w in zip(rows[r], rows[i], strict=True)]
    return [row[n:] for row in rows]
