"""The launches of a method at several sizes, as one sequence with formulas in it.

Lowering knows a method at one size: rows' kernels run on plan tensors and choose by their sizes and
strides what to launch. So a method of varying sizes is lowered at every sample of its `Family` and
at sizes far from them. All must give the same launches over the same buffers; each number in which
they differ becomes a formula, which holds at all of them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

from wasm_torch.compiler.errors import ModelError, UnsupportedModel
from wasm_torch.compiler.expressions import Expression, Sizes, largest, parts, sizes_text
from wasm_torch.compiler.family import Family, no_formula, place, same_elements
from wasm_torch.compiler.graph import Graph, Node
from wasm_torch.compiler.interpolate import Quotient
from wasm_torch.compiler.lower import Lowered, Patch, Varying, lower
from wasm_torch.compiler.passes import LaunchPass
from wasm_torch.compiler.plan import may_replace, plan_slots
from wasm_torch.compiler.plan_tensor import Buffer, PlanTensor
from wasm_torch.compiler.structs import numbers
from wasm_torch.compiler.weights import Weights


def unify(
    family: Family, weights: Weights, passes: Iterable[LaunchPass], in_place: bool
) -> Lowered:
    """Lowers a method of varying sizes, with its memory plan, and runs passes over its launches.

    Raises UnsupportedModel or DataDependent, naming the node, where that cannot be.
    """
    return _Union(family, weights).lowered(passes, in_place)


class _Union:
    def __init__(self, family: Family, weights: Weights):
        self._family = family
        family.settle()
        far = family.far()
        self._samples: list[Sizes] = [*family.samples, *far]
        self._weights = [weights, *(Weights() for _ in self._samples[1:])]
        self._all: list[Lowered] = []
        graphs = [*family.graphs, *(family.at(sizes) for sizes in far)]
        for graph, sizes, own in zip(graphs, self._samples, self._weights, strict=True):
            self._all.append(_lowered_at(graph, sizes, own))
        self._first = self._all[0]
        self._fitted = family.interpolator(self._samples)
        self._buffers: list[list[Buffer]] = []
        self._numbers: list[Expression] = []
        #: What was found in the launches that take a buffer, by the buffer's id.
        self._near: dict[int, list[Expression]] = {}

    def lowered(self, passes: Iterable[LaunchPass], in_place: bool) -> Lowered:
        self._check_launches()
        self._pair_buffers()
        for run in passes:
            run([lowered.launches for lowered in self._all], self._weights)
            self._pair_buffers()
        offsets: dict[int, Expression] = {}
        patches = [self._patches(i, offsets) for i in range(len(self._first.launches))]
        sizes = {id(buffers[0]): self._bytes(buffers) for buffers in self._buffers}
        # The plan puts large buffers first, as they are at the largest sample.
        at = max(range(len(self._all)), key=lambda i: math.prod(self._samples[i].values()))
        own = {id(b[at]): sizes[id(b[0])] for b in self._buffers}
        slots = plan_slots(self._all[at].launches, own, self._may_share if in_place else None)
        places = {id(b[0]): slots.places.get(id(b[at]), 0) for b in self._buffers}
        family = self._family
        result = self._first
        result.arena_bytes = slots.bytes
        result.varying = Varying(
            family.symbols,
            patches,
            offsets,
            places,
            sizes,
            [family.shape(list(v)) for v in zip(*(g.inputs for g in family.graphs), strict=True)],
            [family.shape(list(v)) for v in zip(*(g.outputs for g in family.graphs), strict=True)],
            largest(self._numbers),
        )
        return result

    # ---- likeness --------------------------------------------------------------------------------
    def _check_launches(self) -> None:
        first = self._first.launches
        for lowered, sizes in zip(self._all[1:], self._samples[1:], strict=True):
            for a, b in zip(first, lowered.launches, strict=False):
                if (a.kernel, a.node) != (b.kernel, b.node):
                    theirs = "goes on" if a.node != b.node else f"calls {b.kernel}"
                    raise self._differing(a.node, sizes, f"calls {a.kernel}", theirs)
                kinds = [type(x) for x in a.fields], [type(x) for x in b.fields]
                if kinds[0] != kinds[1]:
                    raise self._differing(a.node, sizes, "passes these arguments", "others")
            if len(first) != len(lowered.launches):
                longer = max(first, lowered.launches, key=len)[-1]
                counts = (f"takes {len(x)} kernel calls" for x in (first, lowered.launches))
                raise self._differing(longer.node, sizes, *counts)

    def _differing(self, node: int, sizes: Sizes, ours: str, theirs: str) -> UnsupportedModel:
        names = " or ".join(self._family.minimums)
        return UnsupportedModel(
            f"{self._place(node)}: the model {ours} at {sizes_text(self._samples[0])}, and "
            f"{theirs} at {sizes_text(sizes)}: one file cannot do both. Make {names} a fixed size "
            "in dynamic_shapes"
        )

    def _place(self, node: int) -> str:
        found = self._node(node)
        return "copying the outputs" if found is None else place(found)

    def _node(self, number: int) -> Node | None:
        nodes = self._first.graph.nodes
        return nodes[number] if number < len(nodes) else None

    def _pair_buffers(self) -> None:
        """Which buffers are the same at all samples; weights must have the same elements."""
        partners: list[dict[int, Buffer]] = [{} for _ in self._all]
        seen: dict[int, Buffer] = {}
        for at, launch in enumerate(self._first.launches):
            for k, field in enumerate(launch.fields):
                if not isinstance(field, PlanTensor):
                    continue
                mine = field.buffer
                new = id(mine) not in seen
                seen[id(mine)] = mine
                for i, lowered in enumerate(self._all):
                    theirs = lowered.launches[at].fields[k].buffer
                    if partners[i].setdefault(id(mine), theirs) is not theirs:
                        raise self._other_memory(launch.node, i)
                    if new and not self._same_buffer(mine, theirs, i):
                        raise self._other_memory(launch.node, i)
        self._buffers = [[p[key] for p in partners] for key in seen]

    def _same_buffer(self, mine: Buffer, theirs: Buffer, sample: int) -> bool:
        if mine.kind != theirs.kind:
            return False
        if mine.kind == "weight":
            ours = self._weights[0].all[mine.index].tensor
            return same_elements(ours, self._weights[sample].all[theirs.index].tensor)
        return mine.kind == "arena" or mine.index == theirs.index

    def _other_memory(self, node: int, sample: int) -> UnsupportedModel:
        sizes = self._samples[sample]
        return self._differing(node, sizes, "takes this memory", "other memory or constants")

    def _may_share(self, time: int, name: str) -> bool:
        return all(may_replace(lowered.launches[time], name) for lowered in self._all)

    # ---- formulas --------------------------------------------------------------------------------
    def _patches(self, at: int, offsets: dict[int, Expression]) -> list[Patch]:
        """What varies in one launch; the offsets of its tensors go to ``offsets``."""
        launches = [lowered.launches[at] for lowered in self._all]
        first = launches[0]
        found: list[Patch] = []
        near = self._shapes(first.node)
        columns = zip(*(list(numbers(x.kernel, x.fields)) for x in launches), strict=True)
        for column in columns:
            offset, kind, value = column[0]
            if any(entry[:2] != (offset, kind) for entry in column):
                raise UnsupportedModel(f"{self._place(first.node)}: tensors of varying rank")
            vector = [number for _, _, number in column]
            if kind == "f64":
                if len({struct.pack("<d", number) for number in vector}) > 1:
                    found.append(Patch(offset, kind, self._quotient(vector, first.node)))
            elif any(number != value for number in vector):
                formula = self._formula(vector, f"an argument of {first.kernel}", first.node, near)
                near.append(formula)
                found.append(Patch(offset, kind, formula))
        for k, field in enumerate(first.fields):
            if isinstance(field, PlanTensor):
                self._near.setdefault(id(field.buffer), []).extend(near)
                fields = [launch.fields[k] for launch in launches]
                vector = [t.storage_offset() * t.itemsize for t in fields]
                offsets[id(field)] = self._formula(vector, "an offset", first.node, near)
        return found

    def _shapes(self, number: int) -> list[Expression]:
        """The formulas of the sizes of a node's tensors, of which its kernels take products."""
        if self._node(number) is None:
            return []
        nodes = [lowered.graph.nodes[number] for lowered in self._all]
        found: list[Expression] = []
        for values in zip(*([*n.outputs, *n.inputs()] for n in nodes), strict=True):
            for vector in zip(*(value.shape for value in values), strict=True):
                if len(set(vector)) > 1:
                    size = self._fitted.fit(vector, [*found, *self._family.near])
                    found += [] if size is None else [size]
        return found

    def _bytes(self, buffers: list[Buffer]) -> Expression:
        """The size of a buffer, from its size at each sample."""
        near = self._near.get(id(buffers[0]), [])
        return self._formula([buffer.bytes for buffer in buffers], "memory", None, near)

    def _formula(
        self, vector: list[int], what: str, node: int | None, near: Iterable[Expression] = ()
    ) -> Expression:
        found = self._fitted.fit(vector, near)
        if found is None:
            where = None if node is None else self._node(node)
            raise no_formula(self._family, self._samples, vector, what, where)
        # Differences and quotients are no larger than what they are made of.
        self._numbers += [p for p in parts(found) if isinstance(p, tuple) and p[0] in ("+", "*")]
        return found

    def _quotient(self, vector: list[float], node: int) -> Quotient:
        whole = [int(v) for v in vector] if all(float(v).is_integer() for v in vector) else None
        fitted = None if whole is None else self._fitted.fit(whole)
        found = self._fitted.fit_float(vector) if fitted is None else Quotient(fitted, 1)
        if found is None:
            what = "a number that a kernel takes"
            raise no_formula(self._family, self._samples, vector, what, self._node(node))
        return found


def _lowered_at(graph: Graph, sizes: Sizes, weights: Weights) -> Lowered:
    try:
        return lower(graph, weights)
    except ModelError as error:
        error.args = (f"at {sizes_text(sizes)}: {error}",)
        raise
