"""Compares a model file, run here, with the model that it was exported from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import wasm_torch
from wasm_torch.export._errors import ExportError
from wasm_torch.model import ModelSource, load

if TYPE_CHECKING:
    from wasm_torch.export._torch_model import TorchModel
    from wasm_torch.export._traced_model import TracedModel


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest error that counts as agreement, relative to the largest element of the output.

    ``exact``: outputs that are no floats must be the same; those of rounded weights, such as the
    index of a maximum, may be others. ``advice`` ends the error's message.
    """

    error: float
    exact: bool
    advice: str


EXACT = Tolerance(1e-4, True, "The file was not written.")
#: Of weights kept in 16 bits.
HALF = Tolerance(0.1, False, "Its weights do not bear 16 bits: keep them in float32.")
#: Of layers that compute in 8 bits: how much that does to the results is the model's; half their
#: scale tells a model that does not bear it, or wrong code, from one that does.
QUANTIZED = Tolerance(0.5, False, "The model does not bear 8 bits: export it as it was.")


@dataclass(frozen=True)
class Comparison:
    """The largest differences of a method's outputs from the model's.

    Attributes:
        max_abs_err: the largest absolute difference.
        rel_err: the largest difference in parts of its output's scale, the largest element.
    """

    max_abs_err: float
    rel_err: float


def verify_file(
    file: ModelSource,
    model: TorchModel | TracedModel,
    methods: Iterable[str],
    tolerance: Tolerance = EXACT,
) -> dict[str, Comparison]:
    """Runs every method on its example, and at other sizes where they vary.

    Raises ExportError where an output differs from the model's.
    """
    compared = {}
    with load(file) as loaded:
        for name in methods:
            worst = Comparison(0.0, 0.0)
            for where, given, tensors in model.examples(name):
                wanted = model.expected(name, given)
                loaded.reset_state()
                got = loaded.call_flat(name, *(tensor.detach() for tensor in tensors))
                check = _Check(where, model.source, tolerance)
                result = check.outputs(model.labels(name), wanted, list(got.values()))
                worst = _worse(worst, result)
            compared[name] = worst
    return compared


def _worse(a: Comparison, b: Comparison) -> Comparison:
    return Comparison(max(a.max_abs_err, b.max_abs_err), max(a.rel_err, b.rel_err))


@dataclass(frozen=True, slots=True)
class _Check:
    method: str
    source: str
    tolerance: Tolerance

    def outputs(self, labels: list[str], wanted: list[Any], got: list[Any]) -> Comparison:
        if len(wanted) != len(got):
            raise ExportError(
                f"{self.method}: {len(got)} outputs where {self.source} has {len(wanted)}"
            )
        worst = Comparison(0.0, 0.0)
        for label, expected, result in zip(labels, wanted, got, strict=True):
            worst = _worse(worst, self._output(label, expected, result))
        return worst

    def _output(self, label: str, expected: Any, result: Any) -> Comparison:
        if tuple(expected.shape) != tuple(result.shape):
            raise ExportError(
                f"{self.method}: output {label!r} has shape {list(result.shape)} where "
                f"{self.source} has {list(expected.shape)}"
            )
        if not self.tolerance.exact and not expected.is_floating_point():
            return Comparison(0.0, 0.0)
        difference, relative = _difference(expected, result)
        allowed = self.tolerance.error
        if relative > allowed:
            raise ExportError(
                f"{self.method}: output {label!r} differs from {self.source}'s by "
                f"{difference:.3g}, {relative:.3g} of its scale, where {allowed:.0e} is allowed. "
                f"{self.tolerance.advice}"
            )
        return Comparison(difference, relative)


def _difference(expected: Any, result: Any) -> tuple[float, float]:
    """The largest difference, absolute and relative to the largest finite element."""
    theirs, ours = expected.double(), result.double()
    if theirs.numel() == 0:
        return 0.0, 0.0
    finite = theirs.isfinite()
    same = (theirs == ours) | (theirs.isnan() & ours.isnan())
    if not bool((same | (finite & ours.isfinite())).all()):
        return math.inf, math.inf
    if not bool(finite.any()):
        return 0.0, 0.0
    difference = float(wasm_torch.where(finite, theirs - ours, 0.0).abs().max())
    scale = float(wasm_torch.where(finite, theirs, 0.0).abs().max())
    return difference, difference / scale if scale else difference
