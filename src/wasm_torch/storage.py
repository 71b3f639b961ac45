"""The memory that tensors are views of."""

from __future__ import annotations

from typing import Any


class UntypedStorage:
    """The bytes behind a tensor, shared by all of its views."""

    def __init__(self, tensor: Any):
        self._tensor = tensor.detach()

    def data_ptr(self) -> int:
        """The engine's address."""
        return self._tensor._storage_ptr()

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._tensor._storage_nbytes()

    size = __len__ = nbytes

    @property
    def device(self) -> Any:
        """Where it lies: the CPU."""
        return self._tensor.device

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and self.data_ptr() == other.data_ptr()

    def __hash__(self) -> int:
        return hash(self.data_ptr())
