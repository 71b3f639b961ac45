"""Embeddings and one-hot vectors: rows by their numbers."""

from __future__ import annotations

import wasm_torch as torch
from wasm_torch import Tensor


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 (*) to int64 (*, num_classes): 1 at each class number, else 0."""
    if tensor.dtype not in (torch.int64, torch.int32, torch.uint8):
        raise RuntimeError("one_hot is only applicable to index tensor.")
    if tensor.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return torch.empty(*tensor.shape, num_classes, dtype=torch.int64)
    if int(tensor.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = int(tensor.max())
    if num_classes == -1:
        num_classes = largest + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif num_classes <= largest:
        raise RuntimeError("Class values must be smaller than num_classes.")
    zeros = torch.zeros(*tensor.shape, num_classes, dtype=torch.int64)
    return zeros.scatter_(-1, tensor.to(torch.int64).unsqueeze(-1), 1)


def _renormalize(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """Scales the rows in use whose norm exceeds `max_norm`, in place."""
    with torch.no_grad():
        rows = input.reshape(-1).unique()
        used = weight.index_select(0, rows)
        norms = torch.linalg.vector_norm(used, norm_type, dim=1, keepdim=True)
        scale = torch.where(norms > max_norm, max_norm / (norms + 1e-7), torch.ones_like(norms))
        weight.index_copy_(0, rows, used * scale)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of weight (V, D) by the numbers in (*): (*, D).

    Args:
        padding_idx: the row which gets no gradient.
        max_norm: rows in use are scaled down, in place, to this `norm_type`-norm.
        scale_grad_by_freq: divide gradients by how often a row is used in the batch.
        sparse: accepted; gradients are dense.
    """
    if padding_idx is None:
        padding_idx = -1
    else:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    if max_norm is not None:
        _renormalize(weight, input, max_norm, norm_type)
    return torch.embedding(weight, input, padding_idx, scale_grad_by_freq, False)


def _bags(
    input: Tensor, offsets: Tensor | None, include_last_offset: bool
) -> tuple[Tensor, Tensor, int]:
    """The flat indices, the bag of each, and the number of bags."""
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                f"of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        count, length = input.shape
        return input.reshape(-1), torch.arange(count).repeat_interleave(length), count
    if input.dim() != 1:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}"
        )
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.dim() != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    starts = offsets.tolist()
    total = input.shape[0]
    if starts and starts[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
            f"position 0. However, got {starts[0]}"
        )
    if starts and starts[-1] > total:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length({total}), but got offsets[-1] of "
            f"{starts[-1]}"
        )
    ends = starts[1:] if include_last_offset else [*starts[1:], total]
    bags = [bag for bag, end in enumerate(ends) for _ in range(starts[bag], end)]
    used = input[: len(bags)]
    return used, torch.tensor(bags, dtype=torch.int64), len(ends)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of bags of rows of weight (V, D): (bags, D).

    `input` (B, L) holds B bags of L numbers; `input` (N) is cut into bags at `offsets`.
    Numbers equal to `padding_idx` do not count.
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None:
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                "embedding_bag: If per_sample_weights is not None, then it must have the same "
                f"shape as the input (got {per_sample_weights.shape} and {input.shape})"
            )
        if mode != "sum":
            raise NotImplementedError(
                "embedding_bag: per_sample_weights was not None. per_sample_weights is only "
                f"supported for mode='sum' (got mode='{mode}'). Please open a feature request on "
                "GitHub."
            )
    if max_norm is not None:
        _renormalize(weight, input, max_norm, norm_type)
    numbers, bags, count = _bags(input, offsets, include_last_offset)
    scales = None
    if per_sample_weights is not None:
        scales = per_sample_weights.reshape(-1)[: numbers.shape[0]]
    if padding_idx is not None:
        kept = (numbers != padding_idx % weight.shape[0]).nonzero().squeeze(-1)
        numbers, bags = numbers.index_select(0, kept), bags.index_select(0, kept)
        scales = None if scales is None else scales.index_select(0, kept)
    rows = torch.embedding(weight, numbers.to(torch.int64), -1, scale_grad_by_freq, False)
    width = weight.shape[1]
    zeros = torch.zeros(count, width, dtype=weight.dtype)
    if mode == "max":
        index = bags.unsqueeze(-1).expand(-1, width)
        return _bag_maxima(zeros, index, rows)
    if scales is not None:
        rows = rows * scales.unsqueeze(-1)
    sums = zeros.index_add(0, bags, rows)
    if mode == "sum":
        return sums
    sizes = torch.zeros(count, dtype=weight.dtype).index_add(
        0, bags, torch.ones(bags.shape[0], dtype=weight.dtype)
    )
    return sums / sizes.clamp_min(1).unsqueeze(-1)


def _bag_maxima(zeros: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    """Maxima by bag, 0 for empty bags; the gradient goes to the first row that has the maximum."""
    if rows.shape[0] == 0:
        return zeros + rows.sum()
    with torch.no_grad():
        low = torch.full_like(zeros, -torch.inf).scatter_reduce(0, index, rows, "amax")
        positions = torch.arange(rows.shape[0]).unsqueeze(-1).expand_as(rows)
        hit = rows == low.gather(0, index)
        candidates = torch.where(hit, positions, torch.full_like(positions, rows.shape[0]))
        first = torch.full_like(low, rows.shape[0], dtype=torch.int64).scatter_reduce(
            0, index, candidates, "amin"
        )
        filled = first < rows.shape[0]
    chosen = rows.gather(0, torch.where(filled, first, torch.zeros_like(first)))
    return torch.where(filled, chosen, zeros)
