"""What a real model is asked to do, and what torch makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy

#: The most by which an output may differ from torch's.
TOLERANCE = 1e-4


def unchanged(outputs: numpy.ndarray) -> dict[str, Any]:
    """No figures besides the differences."""
    return {"ok": True}


@dataclass(frozen=True)
class Job:
    """Calls of a model's only method, one after another, from its initial state.

    Attributes:
        write: writes the model's file.
        inputs: [calls, ...] each: call i takes row i of all of them.
        wanted: [calls, ...]: what torch gives.
        judge: figures from the outputs, and whether they are ``ok``.
        tolerance: the most by which an output may differ from torch's.
    """

    name: str
    write: Callable[[Path], Any]
    inputs: list[numpy.ndarray]
    wanted: numpy.ndarray
    judge: Callable[[numpy.ndarray], dict[str, Any]] = field(default=unchanged)
    tolerance: float = TOLERANCE
