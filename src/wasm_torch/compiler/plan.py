"""The memory plan: an arena offset for every buffer, reused once its last reader is done.

Buffers are placed from the largest to the smallest, each at the lowest offset that is free during
its whole life (first fit by size). Where sizes vary from call to call, buffers that do not live at
the same time share *slots* instead: a slot is as large as the largest of its buffers, and slots lie
one behind the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wasm_torch.compiler.expressions import Expression, add, largest
from wasm_torch.compiler.expressions import aligned as aligned_expression
from wasm_torch.compiler.plan_tensor import Buffer
from wasm_torch.compiler.record import Launch
from wasm_torch.compiler.weights import ALIGNMENT, aligned

#: Kernels that read element i of these operands before they write element i of `out`.
_ELEMENTWISE = {
    "unary": ("self",),
    "unary_contiguous": ("self",),
    "binary": ("self", "other"),
    "binary_contiguous": ("self", "other"),
    "conv_packed": ("residual",),
    "conv_int8": ("residual",),
    "ternary": ("a", "b", "c"),
    "pointwise_program": tuple(f"in{k}" for k in range(8)),
}


@dataclass(eq=False, slots=True)
class Block:
    """Memory that holds one or more buffers from launch ``first`` to launch ``last``."""

    bytes: int
    first: int
    last: int
    buffers: list[Buffer]
    offset: int = 0


def plan(launches: list[Launch], in_place: bool = True) -> int:
    """Sets the offset (`index`) of every arena buffer; returns the bytes of the arena."""
    blocks = _lives(launches)
    if in_place:
        _share(launches, blocks)
    placed: list[Block] = []
    distinct = {id(block): block for block in blocks.values()}
    for block in sorted(distinct.values(), key=lambda b: (-b.bytes, b.first)):
        block.offset = _first_fit(block, placed)
        placed.append(block)
        for buffer in block.buffers:
            buffer.index = block.offset
    return max((b.offset + aligned(b.bytes) for b in placed), default=0)


@dataclass(slots=True)
class Slots:
    """Where buffers lie, by their ids, and the bytes of all slots together."""

    places: dict[int, Expression]
    bytes: Expression


def plan_slots(
    launches: list[Launch],
    sizes: Mapping[int, Expression],
    share: Callable[[int, str], bool] | None,
) -> Slots:
    """The plan for sizes that vary: ``sizes`` gives the bytes of each buffer by its id.

    The buffers' own ``bytes`` say which are large. ``share(time, name)`` says whether the result of
    a launch may take the place of its operand ``name``.
    """
    blocks = _lives(launches)
    if share is not None:
        _share(launches, blocks, share)
    slots: list[list[Block]] = []
    distinct = {id(block): block for block in blocks.values()}
    for block in sorted(distinct.values(), key=lambda b: (-b.bytes, b.first)):
        for slot in slots:
            if all(other.last < block.first or block.last < other.first for other in slot):
                slot.append(block)
                break
        else:
            slots.append([block])
    places: dict[int, Expression] = {}
    at: Expression = 0
    for slot in slots:
        buffers = [buffer for block in slot for buffer in block.buffers]
        places |= {id(buffer): at for buffer in buffers}
        size = largest([sizes[id(buffer)] for buffer in buffers])
        at = add(at, aligned_expression(size, ALIGNMENT))
    return Slots(places, at)


def _lives(launches: list[Launch]) -> dict[int, Block]:
    """A block for each arena buffer, by the buffer's id."""
    blocks: dict[int, Block] = {}
    for time, launch in enumerate(launches):
        for _, tensor in launch.tensors():
            buffer = tensor.buffer
            if buffer.kind == "arena":
                block = blocks.setdefault(id(buffer), Block(buffer.bytes, time, time, [buffer]))
                block.last = time
    return blocks


def _share(
    launches: list[Launch],
    blocks: dict[int, Block],
    share: Callable[[int, str], bool] = lambda time, name: True,
) -> None:
    """Lets a pointwise result take the place of an operand that dies with it."""
    for time, launch in enumerate(launches):
        tensors = dict(launch.tensors())
        out = tensors.get("out")
        names = _ELEMENTWISE.get(launch.kernel, ())
        for name in names:
            operand = tensors.get(name)
            if out is None or operand is None or not may_replace(launch, name):
                continue
            own, other = blocks.get(id(out.buffer)), blocks.get(id(operand.buffer))
            if own is None or other is None or own is other:
                continue
            read_later = (t for n, t in tensors.items() if n != "out" and n not in names)
            if any(blocks.get(id(t.buffer)) is other for t in read_later):
                continue
            if own.first == time and other.last == time and share(time, name):
                other.last = own.last
                other.buffers += own.buffers
                for buffer in own.buffers:
                    blocks[id(buffer)] = other
                break


def may_replace(launch: Launch, name: str) -> bool:
    """Whether the result of a launch could lie in the place of its operand ``name``.

    Each fills its buffer, in the same order, and so does every other view of the operand's buffer.
    """
    tensors = dict(launch.tensors())
    out, operand = tensors["out"], tensors[name]
    views = [tensor for tensor in tensors.values() if tensor.buffer is operand.buffer]
    filled = all(t.storage_offset() == 0 and t.nbytes == t.buffer.bytes for t in (out, *views))
    if not filled or out.nbytes != operand.nbytes or out.itemsize != operand.itemsize:
        return False
    layout = (tuple(out.shape), tuple(out.stride()))
    alike = all((tuple(view.shape), tuple(view.stride())) == layout for view in views)
    return alike or all(tensor.dense for tensor in (out, *views))


def _first_fit(block: Block, placed: list[Block]) -> int:
    """The lowest offset whose bytes no block alive at the same time holds."""
    at = 0
    alive = (b for b in placed if b.first <= block.last and block.first <= b.last)
    for other in sorted(alive, key=lambda b: b.offset):
        if at + aligned(block.bytes) <= other.offset:
            break
        at = max(at, other.offset + aligned(other.bytes))
    return at
