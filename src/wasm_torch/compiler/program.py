"""Programs of pointwise steps: launches read as steps, and the rows that the kernel is given.

abi.h describes the rows (`pointwise_program`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.plan_tensor import PlanTensor
from wasm_torch.compiler.record import Launch

# Limits of the kernel (abi.h), and its kinds of steps.
INPUTS, REGISTERS, STEPS = 8, 16, 32
_UNARY, _BINARY, _TERNARY = range(3)

#: Operators that give bool, and those that take bool operands as they are.
_UNARY_PREDICATES = {
    _C.UNARY[name]
    for name in ("logical_not", "isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit")
}
_BINARY_PREDICATES = {
    _C.BINARY[name]
    for name in ("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor")
}
_BOOL_UNARY = {_C.UNARY[name] for name in ("bitwise_not", "logical_not")}
_BOOL_BINARY = {
    _C.BINARY[name]
    for name in (
        *("bitwise_and", "bitwise_or", "bitwise_xor", "eq", "ne"),
        *("logical_and", "logical_or", "logical_xor"),
    )
}
_WHERE = _C.TERNARY["where"]
_POSITIVE = _C.UNARY["positive"]  # in place of a copy


@dataclass(eq=False, slots=True)
class Step:
    """A launch as a step: operands are plan tensors or numbers."""

    kind: int
    op: int
    operands: tuple[PlanTensor | float, ...]
    out: PlanTensor
    p0: float
    p1: float
    #: All its tensors lie densely in row-major order, so that any shape of as many elements does.
    flat: bool

    @property
    def signature(self) -> Any:
        """What must not differ where sizes do."""
        operands = tuple(
            x.dtype if isinstance(x, PlanTensor) else struct.pack("<d", x) for x in self.operands
        )
        return self.kind, self.op, operands, struct.pack("<2d", self.p0, self.p1), self.flat

    def tensors(self) -> Iterator[PlanTensor]:
        for operand in self.operands:
            if isinstance(operand, PlanTensor):
                yield operand


def step_of(launch: Launch) -> Step | None:
    """The launch as a step, where it is pointwise over float32 or bool without a cast."""
    fields = dict(zip((n for n, _ in _C.KERNEL_FIELDS[launch.kernel]), launch.fields, strict=True))
    flat = launch.kernel.endswith("_contiguous")
    kernel = launch.kernel.removesuffix("_contiguous")
    operands: tuple[Any, ...]
    if kernel == "unary":
        operands, p0, p1 = (fields["self"],), fields["p0"], fields["p1"]
    elif kernel == "binary":
        number, mode = float(fields["scalar"]), fields["mode"]
        operands = (
            number if mode == 2 else fields["self"],
            number if mode == 1 else fields["other"],
        )
        p0, p1 = fields["alpha"], 0.0
    elif kernel == "ternary":
        operands, p0, p1 = (fields["a"], fields["b"], fields["c"]), fields["value"], 0.0
    elif kernel == "copy":
        operands, p0, p1 = (fields["self"],), 0.0, 0.0
    else:
        return None
    kind, op = len(operands) - 1, fields.get("op", _POSITIVE)
    step = Step(kind, op, operands, fields["out"], float(p0), float(p1), flat)
    return step if _is_known(step) else None


def _is_known(step: Step) -> bool:
    """Whether the kernel takes these dtypes for the operator as they are."""
    dtypes = [t.dtype for t in step.tensors()]
    out = step.out.dtype
    if not _is_apart(step.out) or any(t.buffer is step.out.buffer for t in step.tensors()):
        return False
    if step.kind == _TERNARY:
        first = _C.bool if step.op == _WHERE else _C.float32
        return dtypes == [first, _C.float32, _C.float32] and out is _C.float32
    if any(dtype is not dtypes[0] for dtype in dtypes):
        return False
    if dtypes[0] is _C.bool:
        known = _BOOL_UNARY if step.kind == _UNARY else _BOOL_BINARY
        return step.op in known and len(dtypes) == len(step.operands) and out is _C.bool
    predicates = _UNARY_PREDICATES if step.kind == _UNARY else _BINARY_PREDICATES
    return dtypes[0] is _C.float32 and out is (_C.bool if step.op in predicates else _C.float32)


def _is_apart(tensor: PlanTensor) -> bool:
    """Whether each element has a place of its own, as copies into windows have not."""
    reach = 0
    steps = zip(tensor.stride(), tensor.shape, strict=True)
    for step, count in sorted((step, count) for step, count in steps if count > 1):
        if step <= reach:
            return False
        reach += step * (count - 1)
    return True


class Program:
    """The rows and parameters of a program, as abi.h describes them."""

    def __init__(self) -> None:
        self.rows: list[list[int]] = []
        self.parameters: list[float] = []

    def parameter(self, number: float) -> int:
        """The position of a number among the parameters, each of which is there once."""
        bits = struct.pack("<d", number)
        for position, known in enumerate(self.parameters):
            if struct.pack("<d", known) == bits:
                return position
        self.parameters.append(number)
        return len(self.parameters) - 1

    def add(self, step: Step, result: int, codes: list[int]) -> None:
        """Appends a step."""
        operands = [*codes, *(0,) * (3 - len(codes))]
        numbers = [self.parameter(step.p0), self.parameter(step.p1)]
        self.rows.append([step.kind, step.op, result, *operands, *numbers])


class Registers:
    """Which results lie in which registers while the steps run in order."""

    def __init__(self, steps: list[Step]):
        self._last = {id(t.buffer): step for step in steps for t in step.tensors()}
        self._held: dict[int, int] = {}
        self._free = list(range(REGISTERS))

    def holding(self, tensor: PlanTensor) -> int | None:
        """The register with the elements of the tensor."""
        return self._held.get(id(tensor.buffer))

    def take(self, step: Step) -> int | None:
        """A register for the step's result: that of an operand of its dtype which is read no more,
        or the lowest one that is free, if any. The others that are read no more become free.
        """
        dying = {
            self._held[id(t.buffer)]: t.dtype
            for t in step.tensors()
            if id(t.buffer) in self._held and self._last[id(t.buffer)] is step
        }
        # A row may write over an operand, but only element by element.
        over = sorted(r for r, dtype in dying.items() if dtype is step.out.dtype)
        if not over and not self._free:
            return None
        taken = over[0] if over else self._free[0]
        self._free = sorted({*self._free, *dying} - {taken})
        self._held[id(step.out.buffer)] = taken
        return taken
