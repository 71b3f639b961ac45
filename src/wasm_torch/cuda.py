"""There is no CUDA here: who asks is told so, and what torch ignores without it is ignored."""

from __future__ import annotations

from typing import Any

__all__ = [
    "device_count",
    "empty_cache",
    "is_available",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "synchronize",
]


def is_available() -> bool:
    """Whether there is a CUDA device: never."""
    return False


def is_initialized() -> bool:
    """Whether CUDA was started: never."""
    return False


def device_count() -> int:
    """The number of CUDA devices: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing: there is no device to seed. Raises ValueError for what is no number."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """Nothing: there is no device to seed. Raises ValueError for what is no number."""
    int(seed)


def empty_cache() -> None:
    """Nothing: there is no device memory."""


def synchronize(device: Any = None) -> None:
    """Raises AssertionError, as torch does without CUDA."""
    raise AssertionError("Torch not compiled with CUDA enabled")
