"""What the set-up says, and how it stops."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


class SetupError(RuntimeError):
    """A step cannot be done here; the text says what is missing and what to do."""


def say(text: str) -> None:
    print(f"[set-up] {text}", flush=True)


def run(command: Sequence[str | Path], what: str, **options: object) -> str:
    """Runs a command quietly and returns its output.

    Raises SetupError with the end of the output where it fails.
    """
    result = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    if result.returncode:
        raise SetupError(f"{what} failed:\n{result.stdout[-4000:].strip()}")
    return result.stdout
