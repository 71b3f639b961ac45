"""The tensors that lie in the file, each once, for all methods together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.graph import Value
from wasm_torch.compiler.plan_tensor import Buffer, PlanTensor
from wasm_torch.compiler.record import Launch

ALIGNMENT = 64


@dataclass(eq=False, slots=True)
class Weight:
    """A tensor of the file; ``offset`` is known once all methods are lowered.

    ``groups``: of a weight that is packed when the model is loaded, the groups of its convolution.
    """

    name: str
    role: str
    tensor: Any
    buffer: Buffer
    used: bool = False
    offset: int = -1
    groups: int = 0

    @property
    def bytes(self) -> int:
        return self.buffer.bytes


class Weights:
    """Finds tensors by their memory, so that tied weights are stored once."""

    def __init__(self) -> None:
        self.all: list[Weight] = []
        self._by_memory: dict[Any, Weight] = {}
        self._names: set[str] = set()
        self._literals: dict[tuple[str, str], PlanTensor] = {}

    def value(self, value: Value) -> Weight:
        """The weight behind a parameter, constant or state."""
        return self._find(value.data, value.name, value.role)

    def constant(self, tensor: Any) -> PlanTensor:
        """A tensor that a kernel made of numbers, or keeps."""
        weight = self._find(tensor, "", "constant")
        return PlanTensor(weight.buffer, tuple(tensor.shape), tensor.dtype)

    def literal(self, values: list[Any], dtype: Any) -> PlanTensor:
        """A constant of these numbers, which launches read: each is there once."""
        key = (dtype.name, repr(values))
        if key not in self._literals:
            self._literals[key] = self.constant(_C.from_data(values, dtype))
        tensor = self._literals[key]
        self.all[tensor.buffer.index].used = True
        return tensor

    def _find(self, tensor: Any, name: str, role: str) -> Weight:
        geometry = (tuple(tensor.shape), tensor.stride(), tensor.dtype)
        key: Any = (tensor.data_ptr(), *geometry, role == "state") if tensor.numel() else id(tensor)
        weight = self._by_memory.get(key)
        if weight is None:
            name = self._unused(name or "constant")
            nbytes = tensor.numel() * tensor.itemsize
            buffer = Buffer("weight", nbytes, len(self.all))
            weight = self._by_memory[key] = Weight(name, role, tensor, buffer)
            self.all.append(weight)
        return weight

    def packing(self) -> list[Launch]:
        """The launches that pack weights in their places."""
        packed = [weight for weight in self.all if weight.used and weight.groups]
        return [
            Launch("pack_weight", [PlanTensor(w.buffer, _taps(w), w.tensor.dtype), w.groups], i)
            for i, w in enumerate(packed)
        ]

    def _unused(self, name: str) -> str:
        """The name, with a number where another tensor of the file has it."""
        unused, number = name, 1
        while unused in self._names:
            unused, number = f"{name}.{number}", number + 1
        self._names.add(unused)
        return unused

    def place(self) -> int:
        """Gives the weights in use their offsets; returns the bytes they take."""
        at = 0
        for weight in self.all:
            if weight.used:
                weight.offset = at
                at += aligned(weight.bytes)
        return at


def _taps(weight: Weight) -> tuple[int, ...]:
    """The shape of a weight with three spatial dimensions, as the kernels take it."""
    shape = tuple(weight.tensor.shape)
    return (*shape[:2], *(1,) * (5 - len(shape)), *shape[2:])


def aligned(size: int) -> int:
    """The next multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT
