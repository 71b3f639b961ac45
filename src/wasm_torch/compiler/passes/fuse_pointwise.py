"""Joins pointwise launches into programs, which one kernel runs over chunks that stay in the cache.

This pass works on launches, after lowering: whatever rows and composites a model is made of, what
they launch is recognised here by its kernel and operator. A *group* is a launch whose result is
read elsewhere (the root) and launches before it whose results nothing but the group reads, all over
one shape, the *frame*. It runs where the root stood, as one `pointwise_program`, and its results
are those of the launches to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.plan_tensor import PlanTensor
from wasm_torch.compiler.program import INPUTS, STEPS, Program, Registers, Step, step_of
from wasm_torch.compiler.record import Launch
from wasm_torch.compiler.weights import Weights

#: Fields that kernels only read, with one exception; any other one may be written.
_READ = frozenset(
    (
        *("self", "other", "a", "b", "c", "input", "weight", "bias", "index", "src", "sorted"),
        *("query", "key", "value", "mask", "projected", "hidden", "cell", "offsets", "residual"),
        *("scale", "weight_sums"),
        *(f"in{k}" for k in range(INPUTS)),
    )
)
_WRITTEN = frozenset({("scatter_offsets", "self")})


def run(methods: list[list[Launch]], weights: list[Weights]) -> None:
    """Rewrites the launches of one method at several sizes, which are alike and stay so.

    ``weights`` are those that each was lowered with; programs are constants among them.
    """
    fusion = _Fusion(methods)
    groups = fusion.groups()
    replaced = {group[-1]: group for group in groups}
    gone = {time for group in groups for time in group[:-1]}
    for sample, (launches, own) in enumerate(zip(methods, weights, strict=True)):
        kept: list[Launch] = []
        for time, launch in enumerate(launches):
            if time in replaced:
                kept.append(fusion.launch(replaced[time], sample, own, launch.node))
            elif time not in gone:
                kept.append(launch)
        launches[:] = kept


# ---- groups --------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Uses:
    """The launches that touch a buffer, by their times."""

    reads: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)


class _Fusion:
    def __init__(self, methods: list[list[Launch]]):
        # By time, the step at every size; None where there is no step or not the same one.
        self._steps: list[list[Step] | None] = []
        for launches in zip(*methods, strict=True):
            steps = [step for step in map(step_of, launches) if step is not None]
            alike = len(steps) == len(launches) and len({s.signature for s in steps}) == 1
            self._steps.append(steps if alike else None)
        self._samples = range(len(methods))
        self._uses: dict[int, _Uses] = {}
        for time, launch in enumerate(methods[0]):
            for name, tensor in launch.tensors():
                uses = self._uses.setdefault(id(tensor.buffer), _Uses())
                read = name in _READ and (launch.kernel, name) not in _WRITTEN
                (uses.reads if read else uses.writes).append(time)

    def groups(self) -> list[list[int]]:
        """The groups of two launches or more, each in order of time; the last is the root."""
        taken: set[int] = set()
        found: list[list[int]] = []
        for root in reversed(range(len(self._steps))):
            if self._steps[root] is None or root in taken:
                continue
            group = self._grown(root, taken)
            if len(group) > 1:
                found.append(group)
                taken.update(group)
        return found

    def _grown(self, root: int, taken: set[int]) -> list[int]:
        """The root and what can be computed within it."""
        group = [root]
        grown = True
        while grown:
            grown = False
            for time in sorted(self._producers(group) - taken, reverse=True):
                if self._joins(time, group):
                    group = sorted([time, *group])
                    grown = True
                    break
        return group

    def _at(self, time: int, sample: int = 0) -> Step:
        steps = self._steps[time]
        assert steps is not None
        return steps[sample]

    def _producers(self, group: list[int]) -> set[int]:
        """Steps outside of the group that alone write what it reads."""
        found: set[int] = set()
        for time in group:
            for tensor in self._at(time).tensors():
                uses = self._uses[id(tensor.buffer)]
                if tensor.buffer.kind == "arena" and len(uses.writes) == 1:
                    found.add(uses.writes[0])
        return {time for time in found - set(group) if self._steps[time] is not None}

    def _joins(self, time: int, group: list[int]) -> bool:
        uses = self._uses[id(self._at(time).out.buffer)]
        larger = sorted([time, *group])
        return (
            min(uses.reads) > time
            and set(uses.reads) <= set(group)
            and not self._overtaken(time, larger)
            and all(self._is_read_alike(time, group, sample) for sample in self._samples)
            and all(self._frame(larger, sample) is not None for sample in self._samples)
            and not any(self._transposes(larger, sample) for sample in self._samples)
            and self._program(larger) is not None
        )

    def _overtaken(self, time: int, group: list[int]) -> bool:
        """Whether something is written that the step reads before the group's root runs."""
        root = group[-1]
        inside = {id(self._at(t).out.buffer) for t in group}
        return any(
            time < write <= root
            for tensor in self._at(time).tensors()
            if id(tensor.buffer) not in inside or tensor.buffer is self._at(root).out.buffer
            for write in self._uses[id(tensor.buffer)].writes
        )

    def _is_read_alike(self, time: int, group: list[int], sample: int) -> bool:
        """Whether all readers see the elements of the result in their order."""
        out = self._at(time, sample).out
        return all(
            _same_order(out, tensor)
            for reader in group
            for tensor in self._at(reader, sample).tensors()
            if tensor.buffer is out.buffer
        )

    def _frame(self, group: list[int], sample: int) -> tuple[int, ...] | None:
        """The one shape of all steps; None where they have no common one."""
        steps = [self._at(time, sample) for time in group]
        counts = {step.out.numel() for step in steps}
        shapes = {tuple(step.out.shape) for step in steps if not step.flat}
        if len(counts) > 1 or len(shapes) > 1:
            return None
        return shapes.pop() if shapes else (counts.pop(),)

    def _transposes(self, group: list[int], sample: int) -> bool:
        """Whether the group reads a tensor across the order of its output.

        That goes through small blocks, in which a program is slower than its steps are apart.
        """
        out = self._view(group, self._at(group[-1], sample).out, sample)
        inputs = (
            self._view(group, self._at(time, sample).operands[k], sample)
            for time, k in self._inputs(group).values()
        )
        return any(_fastest(t) not in (None, _fastest(out)) for t in inputs)

    # ---- programs --------------------------------------------------------------------------------
    def _inputs(self, group: list[int]) -> dict[Any, tuple[int, int]]:
        """Where each tensor that the group reads from memory first stands: (time, operand)."""
        made = {id(self._at(time).out.buffer) for time in group}
        found: dict[Any, tuple[int, int]] = {}
        for time in group:
            for k, operand in enumerate(self._at(time).operands):
                if isinstance(operand, PlanTensor) and id(operand.buffer) not in made:
                    found.setdefault(self._key(group, time, k), (time, k))
        return found

    def _key(self, group: list[int], time: int, k: int) -> Any:
        """Equal for operands that are the same tensor within the frame, at every size."""
        views = [self._view(group, self._at(time, s).operands[k], s) for s in self._samples]
        return tuple((id(v.buffer), v.storage_offset(), tuple(v.stride())) for v in views)

    def _view(self, group: list[int], tensor: Any, sample: int) -> PlanTensor:
        """The tensor in the shape of the frame."""
        frame = self._frame(group, sample)
        assert frame is not None
        if tuple(tensor.shape) == frame:
            return tensor
        return PlanTensor(tensor.buffer, frame, tensor.dtype, None, tensor.storage_offset())

    def _program(self, group: list[int]) -> Program | None:
        """The program of a group; None where it exceeds the kernel's limits."""
        inputs = {key: number for number, key in enumerate(self._inputs(group))}
        if len(inputs) > INPUTS or len(group) > STEPS:
            return None
        program, registers = Program(), Registers([self._at(time) for time in group])
        for time in group:
            step = self._at(time)
            codes: list[int] = []
            for k, operand in enumerate(step.operands):
                if not isinstance(operand, PlanTensor):
                    codes.append(-1 - program.parameter(operand))
                elif (register := registers.holding(operand)) is not None:
                    codes.append(INPUTS + register)
                else:
                    codes.append(inputs[self._key(group, time, k)])
            result = -1 if time == group[-1] else registers.take(step)
            if result is None:
                return None
            program.add(step, result, codes)
        return program

    def launch(self, group: list[int], sample: int, weights: Weights, node: int) -> Launch:
        """The group's launch at one of the sizes."""
        program = self._program(group)
        assert program is not None
        inputs: list[PlanTensor | None] = [
            self._view(group, self._at(time, sample).operands[k], sample)
            for time, k in self._inputs(group).values()
        ]
        inputs += [None] * (INPUTS - len(inputs))
        out = self._view(group, self._at(group[-1], sample).out, sample)
        code = weights.literal(program.rows, _C.int32)
        parameters = weights.literal(program.parameters, _C.float64)
        return Launch("pointwise_program", [out, *inputs, code, parameters], node)


def _fastest(tensor: PlanTensor) -> int | None:
    """The dimension along which elements lie closest; None where the tensor repeats some."""
    dims = enumerate(zip(tensor.shape, tensor.stride(), strict=True))
    steps = [(abs(step), d) for d, (n, step) in dims if n != 1]
    return min(steps)[1] if steps and min(steps)[0] > 0 else None


def _same_order(a: PlanTensor, b: PlanTensor) -> bool:
    """Whether element i of one is element i of the other, in row-major order."""
    if a.numel() != b.numel() or a.storage_offset() != b.storage_offset():
        return False
    if tuple(a.shape) != tuple(b.shape):
        return a.dense and b.dense
    return all(n == 1 or s == t for n, s, t in zip(a.shape, a.stride(), b.stride(), strict=True))
