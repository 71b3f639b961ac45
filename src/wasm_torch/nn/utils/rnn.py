"""Sequences of different lengths in one batch."""

from __future__ import annotations

import itertools
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

_Fields = namedtuple("_Fields", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"])


class PackedSequence(_Fields):
    """The steps of a batch of sequences one after the other, without padding.

    Attributes:
        data: (sum of batch_sizes, *): all first elements, all second ones, and so on.
        batch_sizes: int64, how many sequences have each step.
        sorted_indices: the order, longest first, in which the sequences lie; None: as given.
        unsorted_indices: the way back.
    """

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            data, batch_sizes = data
        if sorted_indices is not None and unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with converted data."""
        return type(self)(self.data.to(*args, **kwargs), *self[1:])

    @property
    def is_cuda(self) -> bool:
        """False."""
        return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation which undoes this one."""
    if permutation is None:
        return None
    output = torch.empty_like(permutation)
    output.scatter_(0, permutation, torch.arange(permutation.numel()))
    return output


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Packs (T, B, *), or (B, T, *) with `batch_first`, of the given lengths.

    Raises:
        RuntimeError: a length is not positive or, with `enforce_sorted`, exceeds the one before.
    """
    sizes = torch.as_tensor(lengths, dtype=torch.int64)
    if enforce_sorted:
        order = None
    else:
        sizes, order = torch.sort(sizes, descending=True)
        input = input.index_select(0 if batch_first else 1, order)
    if batch_first:
        input = input.transpose(0, 1)
    values = sizes.tolist()
    if len(values) != input.shape[1]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(values)} "
            f"(batch_size={input.shape[1]})"
        )
    if not values or values[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if any(a < b for a, b in itertools.pairwise(values)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    batch_sizes = [sum(1 for n in values if n > t) for t in range(values[0])]
    data = torch.cat([input[t, :size] for t, size in enumerate(batch_sizes)])
    return PackedSequence(data, torch.tensor(batch_sizes, dtype=torch.int64), order, None)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Undoes `pack_padded_sequence`: (T, B, *) and the lengths (B)."""
    sizes = sequence.batch_sizes.tolist()
    steps = len(sizes)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, "
                f"but got total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    batch = sizes[0]
    rows = []
    for piece in sequence.data.split(sizes):
        missing = batch - piece.shape[0]
        if missing:
            shape = (missing, *piece.shape[1:])
            filler = torch.full(shape, padding_value, dtype=piece.dtype)
            piece = torch.cat([piece, filler])
        rows.append(piece)
    output = torch.stack(rows)
    if steps > len(sizes):
        shape = (steps - len(sizes), *output.shape[1:])
        output = torch.cat([output, torch.full(shape, padding_value, dtype=output.dtype)])
    lengths = torch.tensor([sum(1 for s in sizes if s > b) for b in range(batch)])
    if sequence.unsorted_indices is not None:
        output = output.index_select(1, sequence.unsorted_indices)
        lengths = lengths.index_select(0, sequence.unsorted_indices)
    return (output.transpose(0, 1) if batch_first else output), lengths


def pad_sequence(
    sequences: Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Tensors (L, *) of different L as one (T, B, *), or (B, T, *) with `batch_first`."""
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"padding_side must be 'left' or 'right', not {padding_side!r}")
    steps = max(s.shape[0] for s in sequences)
    rows = []
    for sequence in sequences:
        missing = steps - sequence.shape[0]
        if missing:
            shape = (missing, *sequence.shape[1:])
            filler = torch.full(shape, padding_value, dtype=sequence.dtype)
            parts = [sequence, filler] if padding_side == "right" else [filler, sequence]
            sequence = torch.cat(parts)
        rows.append(sequence)
    return torch.stack(rows, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of (T, B, *), or (B, T, *), each cut to its length."""
    batch = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:length] for row, length in zip(batch, lengths.tolist(), strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs tensors (L, *) of different L."""
    lengths = [s.shape[0] for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a PackedSequence."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
