"""Generators: the state of torch's CPU random stream, mt19937 (Matsumoto and Nishimura 1998)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wasm_torch import _C

#: Bytes of a wt_generator (abi.h).
STATE_BYTES = 2528
DEFAULT_SEED = 67280421310721


class Generator:
    """A stream of random numbers with its own state."""

    def __init__(self, device: Any = "cpu"):
        self._state = _C.empty((STATE_BYTES,), _C.uint8)
        self._seed = DEFAULT_SEED
        self.manual_seed(DEFAULT_SEED)

    @property
    def address(self) -> int:
        """Where the engine keeps the state."""
        return self._state.data_ptr()

    @property
    def device(self) -> Any:
        from wasm_torch._formats import cpu

        return cpu

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream of this seed; negative seeds count from 2**64 down."""
        seed = int(seed)
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        self._seed = seed % 2**64
        signed = self._seed - 2**64 if self._seed >= 2**63 else self._seed
        _C.launch("seed", self.address, signed)
        return self

    def seed(self) -> int:
        """Starts a stream from the system's entropy and returns its seed."""
        seed = int.from_bytes(os.urandom(8), "little") & (2**63 - 1)
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed of this stream."""
        return self._seed

    def get_state(self) -> Any:
        """The state as a uint8 tensor."""
        copy = _C.empty((STATE_BYTES,), _C.uint8)
        _C.copy_into(copy, self._state)
        return copy

    def set_state(self, state: Any) -> Generator:
        """Continues from a state that get_state gave."""
        if state.dtype is not _C.uint8 or state.numel() != STATE_BYTES:
            raise RuntimeError("Invalid mt19937 state")
        _C.copy_into(self._state, state)
        return self

    def clone_state(self) -> Generator:
        """A generator at the same point of its stream."""
        return Generator().set_state(self.get_state())


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator and returns it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seeds the default generator from the system's entropy and returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the default generator, as a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Sets the state of the default generator."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: Any = (), enabled: bool = True, **kwargs: Any) -> Iterator[None]:
    """Restores the default generator's state at the end."""
    state = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if state is not None:
            set_rng_state(state)
