"""What a real model is asked to do, and what torch makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy

#: The most by which an output may differ from torch's, in parts of its largest element.
TOLERANCE = 1e-4

#: Outputs by name.
Outputs = dict[str, numpy.ndarray]


def unchanged(outputs: Outputs) -> dict[str, Any]:
    """No figures besides the differences."""
    return {"ok": True}


@dataclass(frozen=True)
class Job:
    """A model and what torch gives for the same inputs.

    Attributes:
        write: writes the model's file.
        wanted: torch's outputs.
        judge: figures from the outputs, and whether they are ``ok``.
    """

    name: str
    write: Callable[[Path], Any]
    wanted: Outputs
    judge: Callable[[Outputs], dict[str, Any]] = field(default=unchanged, kw_only=True)

    @property
    def inputs(self) -> list[numpy.ndarray]:
        """Arrays that hosts take."""
        raise NotImplementedError


@dataclass(frozen=True)
class Calls(Job):
    """Calls of the only method, one after another, from its initial state.

    Attributes:
        rows: [calls, ...] each: call i takes row i of all of them, and gives row i of ``output``.
    """

    rows: list[numpy.ndarray]

    @property
    def inputs(self) -> list[numpy.ndarray]:
        return self.rows


@dataclass(frozen=True)
class Transcription(Job):
    """Speech to tokens, twice, by the methods ``mel``, ``encode`` and ``step``.

    Attributes:
        samples: one input of ``mel``.
        prompt: the tokens that begin every transcript.
        end: the token that ends it.
        most: tokens at which a host gives up.
    """

    samples: numpy.ndarray
    prompt: list[int]
    end: int
    most: int

    @property
    def inputs(self) -> list[numpy.ndarray]:
        return [self.samples]
