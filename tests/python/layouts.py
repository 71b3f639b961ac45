"""Hypothesis strategies: tensors of any dtype and layout, described so that packages agree on them.

A layout is a shape and steps that view it: ("permute", order), ("slice", dim, start, stop, step),
("select", dim, index), ("expand", dim, size), ("unsqueeze", dim).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

DTYPES = ["uint8", "int8", "int16", "int32", "int64", "bool", "float16", "bfloat16", "float32"]
ALL_DTYPES = [*DTYPES, "float64"]


@dataclass(frozen=True)
class Described:
    """A tensor that `make` makes: the same values in every package."""

    shape: tuple[int, ...]
    steps: tuple[tuple[Any, ...], ...]
    dtype: str
    seed: int

    def base(self, package: Any) -> Any:
        generator = np.random.default_rng(self.seed)
        if "float" in self.dtype:
            values = generator.integers(-16, 17, self.shape) / 8  # exact in every float dtype
            tensor = package.from_numpy(np.asarray(values, dtype=np.float32))
        else:
            tensor = package.from_numpy(np.asarray(generator.integers(0, 9, self.shape)))
        return tensor.to(getattr(package, self.dtype))

    def view(self, tensor: Any) -> Any:
        for kind, *arguments in self.steps:
            if kind == "slice":
                dim, start, stop, step = arguments
                tensor = tensor[(slice(None),) * dim + (slice(start, stop, step),)]
            elif kind == "expand":
                dim, size = arguments
                tensor = tensor.expand(*tensor.shape[:dim], size, *tensor.shape[dim + 1 :])
            elif kind == "permute":
                tensor = tensor.permute(*arguments[0])
            else:
                tensor = getattr(tensor, kind)(*arguments)
        return tensor

    def make(self, package: Any) -> Any:
        return self.view(self.base(package))


@st.composite
def viewed(draw: Any, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """A base shape and steps that end in `shape`, found by undoing random steps."""
    steps: list[tuple[Any, ...]] = []
    size = list(shape)
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["permute", "slice", "select", "expand", "unsqueeze"]))
        if kind == "permute" and size:
            order = draw(st.permutations(range(len(size))))
            before = [0] * len(size)
            for new, old in enumerate(order):
                before[old] = size[new]
            steps.append((kind, tuple(order)))
            size = before
        elif kind == "slice" and size:
            dim = draw(st.integers(0, len(size) - 1))
            start, step = draw(st.integers(0, 2)), draw(st.integers(1, 3))
            stop = start + size[dim] * step
            steps.append((kind, dim, start, stop, step))
            size[dim] = stop + draw(st.integers(0, 1))
        elif kind == "select" and len(size) < 5:
            dim, length = draw(st.integers(0, len(size))), draw(st.integers(1, 3))
            steps.append((kind, dim, draw(st.integers(0, length - 1))))
            size.insert(dim, length)
        elif kind == "expand" and size:
            dim = draw(st.integers(0, len(size) - 1))
            steps.append((kind, dim, size[dim]))
            size[dim] = 1
        elif kind == "unsqueeze" and 1 in size:
            dim = size.index(1)
            steps.append((kind, dim))
            del size[dim]
    return tuple(size), tuple(reversed(steps))


@st.composite
def tensors(
    draw: Any, shape: tuple[int, ...] | None = None, dtypes: list[str] | None = None
) -> Described:
    if shape is None:
        shape = draw(shapes())
    base, steps = draw(viewed(shape))
    dtype = draw(st.sampled_from(dtypes or ALL_DTYPES))
    return Described(base, steps, dtype, draw(st.integers(0, 1000)))


def shapes(least: int = 0, most: int = 4) -> Any:
    return st.lists(st.integers(0, 5), min_size=least, max_size=most).map(tuple)


@st.composite
def broadcast_pairs(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that usually broadcast together."""
    whole = draw(shapes())
    pair = []
    for _ in range(2):
        shape = [1 if draw(st.integers(0, 4)) == 0 else n for n in whole]
        pair.append(tuple(shape[draw(st.integers(0, len(shape))) :]))
    if draw(st.integers(0, 9)) == 0:
        pair[1] = draw(shapes())
    return pair[0], pair[1]
