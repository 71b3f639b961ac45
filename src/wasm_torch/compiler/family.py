"""One method at several sizes of its inputs: the same graph, with other numbers in it.

A `Family` traces the method at sample sizes. The graphs must be alike (the same nodes on the same
values), and each number among their arguments and shapes must follow from the sizes by a formula;
then `Family.at` gives the graph at any other sizes without running the model.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.errors import UnsupportedModel
from wasm_torch.compiler.expressions import Expression, Sizes, evaluate, sizes_text
from wasm_torch.compiler.graph import Graph, Node, Raw, Value
from wasm_torch.compiler.interpolate import Interpolator, Quotient

#: Sizes at which to trace, for one symbol, two, three, more: one more than a polynomial of degree
#: 2 has terms. Where a number rounds down, a run of sizes that leaves every rest of a division by
#: 32. The first primes are few, since tracing runs the model.
_TRACED = {1: 4, 2: 7, 3: 11}
_MOST_TRACED, _TRACED_PRIMES, _RUN = 16, 4, 34
#: Sizes at which to lower alone, which is cheap: enough for degree 4, 3, 3, 2.
_LOWERED = {1: 7, 2: 12, 3: 22}
_MOST_LOWERED, _LOWERED_PRIMES = 24, 7
#: Where a range ends later, lowering is tried at this size.
_FAR = 1021


@dataclass(frozen=True, slots=True)
class Symbol:
    """A size that each call chooses, between ``minimum`` and ``maximum``.

    A host reads it from dimension ``dimension`` of input ``input``, whose size is
    ``factor * symbol + offset``.
    """

    name: str
    minimum: int
    maximum: int
    input: int
    dimension: int
    factor: int = 1
    offset: int = 0


class Family:
    """A method's graphs at ``samples`` of its symbols' sizes. ``graphs[0]`` stands for them all.

    ``trace`` gives the graph at given sizes. Without symbols the family is one graph.
    """

    def __init__(self, symbols: list[Symbol], trace: Callable[[Sizes], Graph]):
        self.symbols = symbols
        wanted = _TRACED.get(len(symbols), _MOST_TRACED)
        self.samples = _samples(symbols, wanted, _TRACED_PRIMES)
        self.graphs = [trace(sample) for sample in self.samples]
        if not symbols:
            return
        self._check_alike(0)
        run = self._runs()
        if run:
            count = len(self.graphs)
            self.samples += run
            self.graphs += [trace(sample) for sample in run]
            self._check_alike(count)

    @classmethod
    def of(cls, graph: Graph) -> Family:
        """The family of one graph."""
        return cls([], lambda sizes: graph)

    @property
    def minimums(self) -> Sizes:
        """The smallest size of each symbol."""
        return {symbol.name: symbol.minimum for symbol in self.symbols}

    def interpolator(self, samples: list[Sizes]) -> Interpolator:
        return Interpolator(samples, self.minimums)

    # ---- likeness --------------------------------------------------------------------------------
    def _check_alike(self, start: int) -> None:
        """Raises UnsupportedModel where graphs from ``start`` on do other things than the first."""
        for graph, sizes in zip(
            self.graphs[max(start, 1) :], self.samples[max(start, 1) :], strict=True
        ):
            _Likeness(self.graphs[0], graph, self.samples[0], sizes).check()

    def _runs(self) -> list[Sizes]:
        """Further samples for the symbols of which some number is no polynomial."""
        fitted = self.interpolator(self.samples)
        rounded: set[str] = set()
        near: list[Expression] = []
        for _, vector in self._numbers():
            if all(isinstance(v, int) for v in vector):
                found = fitted.fit_unrounded(vector, near)
                if found is None or _is_divided_sum(found):
                    rounded |= _deciding(vector, self.samples)
                else:
                    near.append(found)
        base = {s.name: min(sample[s.name] for sample in self.samples) for s in self.symbols}
        runs: list[Sizes] = []
        for symbol in self.symbols:
            if symbol.name in rounded:
                low = max(2, symbol.minimum)
                sizes = range(low, min(low + _RUN, symbol.maximum + 1))
                runs += [base | {symbol.name: size} for size in sizes]
        return [sizes for sizes in runs if sizes not in self.samples]

    def _numbers(self) -> Iterator[tuple[Node | None, list[Any]]]:
        """Each number of the graphs, with its values at the samples."""
        for values in zip(*(graph.inputs for graph in self.graphs), strict=True):
            yield from ((None, list(v)) for v in zip(*(v.shape for v in values), strict=True))
        for nodes in zip(*(graph.nodes for graph in self.graphs), strict=True):
            for vector in zip(*(list(_flat(node.values)) for node in nodes), strict=True):
                if _is_number(vector[0]):
                    yield nodes[0], list(vector)
            for outputs in zip(*(node.outputs for node in nodes), strict=True):
                shapes = zip(*(value.shape for value in outputs), strict=True)
                yield from ((nodes[0], list(v)) for v in shapes)

    # ---- other sizes -----------------------------------------------------------------------------
    def settle(self) -> None:
        """Finds the formulas of all numbers. Raises UnsupportedModel where there is none.

        Those of whole numbers are left in ``near``, for others to be made of.
        """
        self._fitted = self.interpolator(self.samples)
        self.near: list[Expression] = []
        for node, vector in self._numbers():
            found = self._formula(vector, node)
            if not isinstance(found, (float, Quotient)):
                self.near.append(found)

    def _formula(self, vector: list[Any], node: Node | None) -> Any:
        if all(v == vector[0] for v in vector):
            return vector[0]
        whole = all(isinstance(v, int) for v in vector)
        fit = self._fitted
        found = fit.fit(vector, self.near) if whole else fit.fit_float(vector)
        if found is None:
            raise no_formula(self, self.samples, vector, "an argument", node)
        return found

    def shape(self, values: list[Value]) -> list[Expression]:
        """The formulas of a value's shape, given the value in each graph."""
        return [self._formula(list(v), None) for v in zip(*(v.shape for v in values), strict=True)]

    def at(self, sizes: Sizes) -> Graph:
        """The graph at these sizes (after `settle`)."""
        made: dict[int, Value] = {}

        def number(vector: tuple[Any, ...]) -> Any:
            if not _is_number(vector[0]):
                return vector[0]
            formula = self._formula(list(vector), None)
            if isinstance(formula, Quotient):
                return evaluate(formula.numerator, sizes) / evaluate(formula.denominator, sizes)
            return formula if isinstance(formula, float) else evaluate(formula, sizes)

        def value(group: tuple[Value, ...]) -> Value:
            first = group[0]
            if first.data is not None:
                return first
            if id(first) not in made:
                shape = tuple(number(v) for v in zip(*(v.shape for v in group), strict=True))
                made[id(first)] = Value(first.name, shape, first.dtype, first.role)
            return made[id(first)]

        def nest(group: tuple[Any, ...]) -> Any:
            first = group[0]
            if isinstance(first, Value):
                return value(group)
            if isinstance(first, (tuple, list)):
                return type(first)([nest(items) for items in zip(*group, strict=True)])
            if isinstance(first, dict):
                return {key: nest(tuple(item[key] for item in group)) for key in first}
            return number(group)

        first = self.graphs[0]
        graph = Graph(output_names=first.output_names)
        graph.inputs = nest(tuple(g.inputs for g in self.graphs))
        for nodes in zip(*(g.nodes for g in self.graphs), strict=True):
            values = nest(tuple(node.values for node in nodes))
            outputs = nest(tuple(node.outputs for node in nodes))
            graph.nodes.append(Node(nodes[0].op, values, outputs, nodes[0].source))
        graph.outputs = nest(tuple(g.outputs for g in self.graphs))
        return graph

    def far(self) -> list[Sizes]:
        """Sizes beyond the samples: more primes, the ends of the ranges, and the middle."""
        wanted = _LOWERED.get(len(self.symbols), _MOST_LOWERED)
        more = _samples(self.symbols, wanted, _LOWERED_PRIMES)
        ends = {s.name: (max(2, s.minimum), max(2, min(s.maximum, _FAR))) for s in self.symbols}
        low, high = ({n: pair[i] for n, pair in ends.items()} for i in (0, 1))
        middle = {n: (a + b) // 2 for n, (a, b) in ends.items()}
        mixed = [low | {n: high[n]} for n in ends] if len(ends) > 1 else []
        found: list[Sizes] = []
        for sizes in (*more, low, middle, *mixed, high):
            if sizes not in self.samples and sizes not in found:
                found.append(sizes)
        return found


def _samples(symbols: list[Symbol], wanted: int, primes: int) -> list[Sizes]:
    """Sizes in the ranges: so many primes of each symbol, differently combined."""
    if not symbols:
        return [{}]
    choices = {s.name: _generic(s, primes) for s in symbols}
    wanted = min(wanted, math.prod(map(len, choices.values())))
    generator = random.Random(0)
    found: list[Sizes] = []
    # The first in each list together, then each value of each symbol, then anything.
    for i in range(max(map(len, choices.values()))):
        found.append(
            {n: values[(i + k) % len(values)] for k, (n, values) in enumerate(choices.items())}
        )
    while len(found) < wanted:
        sizes = {name: generator.choice(values) for name, values in choices.items()}
        if sizes not in found:
            found.append(sizes)
    return found


def _generic(symbol: Symbol, primes: int) -> list[int]:
    """So many primes in the range, an even size and a wide one; others where it has too few.

    The wide one is for what rounds down and is the same at all small sizes, such as the patches of
    a picture. 1 is no sample, since it broadcasts and lies densely in any order. A range with fewer
    than four sizes is left at its upper end, for tracing alone.
    """
    low = max(2, symbol.minimum)
    found: list[int] = []
    for size in range(low, min(symbol.maximum, low + 400) + 1):
        if len(found) < primes and all(size % d for d in range(2, int(size**0.5) + 1)):
            found.append(size)
    if low > 2:
        even = low + low % 2  # for what is halved
        wide = min(symbol.maximum, 4 * low, low + _RUN - 1)
        found = list(dict.fromkeys([*found[: primes - 2], even, wide]))
    for size in range(low, low + 8):
        if len(found) < 4 and size not in found and (size <= symbol.maximum or size < low + 4):
            found.append(size)
    return found


def _is_divided_sum(found: Expression) -> bool:
    """Whether a polynomial has fractions in it: few samples may have made it up."""
    return isinstance(found, tuple) and found[0] == "floordiv" and found[1][0] in ("+", "-")


def _deciding(vector: list[Any], samples: list[Sizes]) -> set[str]:
    """The symbols that a number may depend on: those at which the samples show that it varies.

    Where these do not tell its values apart, whichever others do so in the smallest number.
    """
    shown = {symbol for symbol in samples[0] if _varies(vector, samples, symbol)}
    others = sorted(samples[0].keys() - shown)
    for count in range(len(others) + 1):
        chosen = (shown.union(more) for more in itertools.combinations(others, count))
        found = [symbols for symbols in chosen if _follows(vector, samples, symbols)]
        if found:
            return set().union(*found)
    return set(samples[0])


def _follows(vector: list[Any], samples: list[Sizes], symbols: set[str]) -> bool:
    """Whether a number is the same wherever these symbols are."""
    known: dict[Any, Any] = {}
    return all(
        known.setdefault(tuple(sample[name] for name in sorted(symbols)), value) == value
        for sample, value in zip(samples, vector, strict=True)
    )


def _varies(vector: list[Any], samples: list[Sizes], symbol: str) -> bool:
    """Whether a number depends on a symbol, as far as the samples show."""
    others = [tuple(v for n, v in sample.items() if n != symbol) for sample in samples]
    by_others: dict[Any, set[Any]] = {}
    for rest, value in zip(others, vector, strict=True):
        by_others.setdefault(rest, set()).add(value)
    if any(len(values) > 1 for values in by_others.values()):
        return True
    if len(by_others) < len(samples):
        return False
    by_rest = dict(zip(others, vector, strict=True))
    return len(samples[0]) == 1 or len(set(by_rest.values())) > 1


def no_formula(
    family: Family, samples: list[Sizes], vector: list[Any], what: str, node: Node | None
) -> UnsupportedModel:
    """The error of a number that follows no formula."""
    where = place(node) if node is not None else "an input"
    names = [s.name for s in family.symbols if _varies(vector, samples, s.name)] or list(
        family.minimums
    )
    shown = ", ".join(
        f"{v} at {sizes_text(s)}" for s, v in list(zip(samples, vector, strict=True))[:3]
    )
    return UnsupportedModel(
        f"{where}: {what} depends on {' and '.join(names)} by no formula that is known here "
        f"({shown}). Make {' or '.join(names)} a fixed size in dynamic_shapes"
    )


def place(node: Node) -> str:
    """``convolution at layer1.0``."""
    return f"{node.name} at {node.source}" if node.source else node.name


def _flat(nest: Any) -> Iterator[Any]:
    if isinstance(nest, (tuple, list)):
        for item in nest:
            yield from _flat(item)
    elif isinstance(nest, dict):
        for item in nest.values():
            yield from _flat(item)
    else:
        yield nest


class _Likeness:
    """Compares two graphs; constants of equal elements become the same tensor in both."""

    def __init__(self, first: Graph, other: Graph, sizes: Sizes, other_sizes: Sizes):
        self._graphs = first, other
        self._sizes = f"{sizes_text(sizes)} and at {sizes_text(other_sizes)}"
        self._names = " or ".join(sizes)
        self._partner: dict[int, Value] = {}

    def check(self) -> None:
        first, other = self._graphs
        self._nest(first.inputs, other.inputs, None)
        for node, twin in zip(first.nodes, other.nodes, strict=False):
            if _kind(node.op) != _kind(twin.op) or node.source != twin.source:
                raise self._error(node, f"the model goes on with {place(twin)} there")
            self._nest(node.values, twin.values, node)
            self._nest(node.outputs, twin.outputs, node)
        if len(first.nodes) != len(other.nodes):
            counts = f"{len(first.nodes)} and {len(other.nodes)} operations"
            raise self._error(None, f"the model takes {counts}")
        self._nest(first.outputs, other.outputs, None)

    def _nest(self, a: Any, b: Any, node: Node | None) -> None:
        if isinstance(a, Value) and isinstance(b, Value):
            self._value(a, b, node)
        elif isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)) and len(a) == len(b):
            for x, y in zip(a, b, strict=True):
                self._nest(x, y, node)
        elif isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
            for key in a:
                self._nest(a[key], b[key], node)
        elif type(a) is not type(b) or (not _is_number(a) and a != b):
            raise self._error(node, "it has other arguments")

    def _value(self, a: Value, b: Value, node: Node | None) -> None:
        if self._partner.setdefault(id(a), b) is not b:
            raise self._error(node, "it takes other tensors")
        if len(a.shape) != len(b.shape) or (a.dtype, a.role) != (b.dtype, b.role):
            raise self._error(node, "it has tensors of other kinds")
        if a.data is None or a.data is b.data:
            return
        if not same_elements(a.data, b.data):
            raise self._error(
                node, f"the constant {a.name} differs, which is made where no operation is seen"
            )
        b.data = a.data

    def _error(self, node: Node | None, why: str) -> UnsupportedModel:
        where = f"{place(node)}: " if node is not None else ""
        return UnsupportedModel(
            f"{where}the model is not the same at {self._sizes}: {why}. Make {self._names} a fixed "
            "size in dynamic_shapes"
        )


def _is_number(value: Any) -> bool:
    """Whether formulas may give it: an int or a float, but no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _kind(op: Any) -> Any:
    return (Raw, op.function) if isinstance(op, Raw) else op


def same_elements(a: Any, b: Any) -> bool:
    """Whether two tensors are the same to the bit."""
    if a is b:
        return True
    return (
        tuple(a.shape) == tuple(b.shape)
        and a.dtype is b.dtype
        and bytes(_C.to_bytes(a)) == bytes(_C.to_bytes(b))
    )
