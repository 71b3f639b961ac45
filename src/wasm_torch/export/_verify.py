"""Compares a model file, run by wasmtime, with torch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from torch.utils import _pytree as pytree

from wasm_torch.compiler.expressions import sizes_text
from wasm_torch.export._capture import Captured, split_example
from wasm_torch.export._errors import ExportError
from wasm_torch.export._sizes import resized

#: The largest error that counts as agreement, relative to the largest element of the output.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Comparison:
    """The largest differences of a method's outputs from torch's.

    Attributes:
        max_abs_err: the largest absolute difference.
        rel_err: the largest difference in parts of its output's scale, the largest element.
    """

    max_abs_err: float
    rel_err: float


def verify_file(
    path: Path,
    model: torch.nn.Module,
    methods: Mapping[str, tuple[Callable[..., Any] | None, Any]],
    captured: Mapping[str, Captured],
) -> dict[str, Comparison]:
    """Runs every method on its example, and at other sizes where they vary.

    Raises ExportError where an output differs from torch's.
    """
    from wasm_torch.model import load

    compared = {}
    with load(path) as loaded:
        for name, (function, example) in methods.items():
            labels = [label for label, _ in captured[name].outputs]
            worst = Comparison(0.0, 0.0)
            for where, given, tensors in _examples(name, example, captured[name]):
                wanted = _expected(model, function, given)
                loaded.reset_state()
                got = loaded.call_flat(name, *(tensor.detach() for tensor in tensors))
                result = _compare(where, labels, wanted, list(got.values()))
                worst = Comparison(
                    max(worst.max_abs_err, result.max_abs_err), max(worst.rel_err, result.rel_err)
                )
            compared[name] = worst
    return compared


def _examples(
    name: str, example: Any, captured: Captured
) -> Iterator[tuple[str, Any, list[torch.Tensor]]]:
    """What to call it, the example, and its tensors: as given, and at other sizes in their range.

    These are the smallest, at which a size of 1 may broadcast, and sizes that were no sample.
    """
    yield name, example, captured.example
    symbols = captured.sizes.symbols
    if not symbols:
        return
    for further in (0, 1):
        sizes = {
            s.name: min(s.minimum + further * _STEPS[i % len(_STEPS)], s.maximum)
            for i, s in enumerate(symbols)
        }
        tensors = [
            resized(tensor, captured.sizes.shape(i, sizes), vary=True)
            for i, tensor in enumerate(captured.example)
        ]
        # Each tensor of the example in the place where it stands; one may stand in several.
        left = iter(tensors)
        leaves, form = pytree.tree_flatten(split_example(example))
        new = [next(left) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        args, kwargs = pytree.tree_unflatten(new, form)
        yield f"{name} at {sizes_text(sizes)}", kwargs or args, tensors


#: How far beyond the smallest sizes the file is tried.
_STEPS = (3, 5, 8)


def _expected(
    model: torch.nn.Module, function: Callable[..., Any] | None, example: Any
) -> list[torch.Tensor]:
    """torch's outputs; buffers which the forward changes are put back afterwards."""
    args, kwargs = copy.deepcopy(split_example(example))
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.no_grad():
            result = (model if function is None else function)(*args, **kwargs)
        leaves = pytree.tree_leaves(result)
        return [leaf.detach().clone() for leaf in leaves if isinstance(leaf, torch.Tensor)]
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in _leaves(value)]
    if isinstance(tree, list):
        return [leaf for value in tree for leaf in _leaves(value)]
    return [] if tree is None else [tree]


def _compare(
    method: str, labels: list[str], wanted: list[torch.Tensor], got: list[Any]
) -> Comparison:
    if len(wanted) != len(got):
        raise ExportError(f"{method}: {len(got)} outputs where torch has {len(wanted)}")
    worst = Comparison(0.0, 0.0)
    for label, expected, result in zip(labels, wanted, got, strict=True):
        if tuple(expected.shape) != tuple(result.shape):
            raise ExportError(
                f"{method}: output {label!r} has shape {list(result.shape)} where torch has "
                f"{list(expected.shape)}"
            )
        difference, relative = _difference(expected, result)
        if relative > TOLERANCE:
            raise ExportError(
                f"{method}: output {label!r} differs from torch's by {difference:.3g}, "
                f"{relative:.3g} of its scale, where {TOLERANCE:.0e} is allowed. The file was "
                "not written."
            )
        worst = Comparison(max(worst.max_abs_err, difference), max(worst.rel_err, relative))
    return worst


def _difference(expected: torch.Tensor, result: Any) -> tuple[float, float]:
    """The largest difference, absolute and relative to the largest finite element."""
    theirs = expected.to(torch.float64).numpy()
    ours = result.double().numpy()
    if theirs.size == 0:
        return 0.0, 0.0
    finite = numpy.isfinite(theirs)
    same = (theirs == ours) | (numpy.isnan(theirs) & numpy.isnan(ours))
    if not numpy.all(same | (finite & numpy.isfinite(ours))):
        return float("inf"), float("inf")
    if not finite.any():
        return 0.0, 0.0
    difference = float(numpy.abs(theirs[finite] - ours[finite]).max())
    scale = float(numpy.abs(theirs[finite]).max())
    return difference, difference / scale if scale else difference
