"""What an export may refuse, each with the cause and the remedy in its message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ExportError(RuntimeError):
    """A model that cannot be exported, or whose exported file does not agree with torch."""


@dataclass(frozen=True)
class Unsupported:
    """An operation of the model that wasm_torch lacks.

    Attributes:
        target: the ATen operation, such as ``aten.fft_rfft.default``.
        places: for each use, the module's path and the source line, as far as they are known.
        suggestion: what to do instead, as a sentence.
    """

    target: str
    places: tuple[str, ...]
    suggestion: str


class UnsupportedOperations(ExportError):
    """Lists every unsupported operation of a model at once, in ``operations``."""

    #: Uses of one operation that the message shows; the others are counted.
    SHOWN = 3

    def __init__(self, operations: Sequence[Unsupported]):
        self.operations = tuple(operations)
        uses = sum(len(o.places) for o in operations)
        kinds = "operation" if len(operations) == 1 else "operations"
        lines = [
            f"this model uses {len(operations)} {kinds} ({uses} times in all) that wasm_torch "
            "cannot export:"
        ]
        for operation in operations:
            count = len(operation.places)
            lines.append(f"  {operation.target}, {count} {'use' if count == 1 else 'uses'}")
            lines += [f"    at {place}" for place in operation.places[: self.SHOWN]]
            if count > self.SHOWN:
                lines.append(f"    and {count - self.SHOWN} more")
            lines.append(f"    {operation.suggestion}")
        super().__init__("\n".join(lines))
