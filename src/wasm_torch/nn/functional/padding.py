"""Padding at the borders."""

from __future__ import annotations

from collections.abc import Sequence

import wasm_torch as torch
from wasm_torch import Tensor


def _reflected(size: int, left: int, right: int) -> list[int]:
    """Source positions of a dimension padded by its mirror image, the border not repeated."""
    positions = []
    for p in range(-left, size + right):
        p = abs(p)
        positions.append(p if p < size else 2 * (size - 1) - p)
    return positions


def _replicated(size: int, left: int, right: int) -> list[int]:
    """Source positions of a dimension padded by its border elements."""
    return [min(max(p, 0), size - 1) for p in range(-left, size + right)]


def _circular(size: int, left: int, right: int) -> list[int]:
    """Source positions of a dimension continued periodically, after negative padding has
    cropped it."""
    kept = range(max(-left, 0), size - max(-right, 0))
    return [kept[p % len(kept)] for p in range(-max(left, 0), len(kept) + max(right, 0))]


_POSITIONS = {"reflect": _reflected, "replicate": _replicated, "circular": _circular}


def _check(input: Tensor, pad: Sequence[int], mode: str) -> None:
    """Raises torch's errors for a padding that the mode does not allow."""
    spatial = len(pad) // 2
    if not (input.dim() in (spatial + 1, spatial + 2) and spatial <= 3):
        raise NotImplementedError(
            "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now"
        )
    for i in range(spatial):
        size, left, right = input.shape[-1 - i], pad[2 * i], pad[2 * i + 1]
        if mode == "reflect" and (left >= size or right >= size):
            raise RuntimeError(
                "Argument #4: Padding size should be less than the corresponding input dimension, "
                f"but got: padding ({left}, {right}) at dimension {input.dim() - 1 - i} of input "
                f"{list(input.shape)}"
            )
        if mode == "circular":
            if left > size or right > size:
                raise RuntimeError("Padding value causes wrapping around more than once.")
            cropped = size + min(left, 0) + min(right, 0)
            if left + right + size < 0 or (cropped <= 0 and max(left, right) > 0):
                raise RuntimeError("Negative padding value is resulting in an empty dimension")
    results = [input.shape[-1 - i] + pad[2 * i] + pad[2 * i + 1] for i in range(spatial)]
    if mode != "circular" and max(results) < 1:
        have, want = (
            [f"{letter}: {n}" for letter, n in zip("WHD", sizes, strict=False)][::-1]
            for sizes in (input.shape[::-1], results)
        )
        separator = " " if spatial == 3 else ", "
        raise RuntimeError(
            f"input ({separator.join(have[-spatial:])}) is too small. "
            f"Calculated output {' '.join(want)}"
        )
    minimum = input.dim() - spatial
    if mode != "circular" and 0 in input.shape[minimum:]:
        raise RuntimeError(
            f"Expected {spatial + 1}D or {spatial + 2}D (batch mode) tensor with possibly 0 batch "
            f"size and other non-zero dimensions for input, but got: {list(input.shape)}"
        )


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Pads the last `len(pad) / 2` dimensions.

    Args:
        pad: elements to add before and after, for the last dimension first; negative ones crop.
        mode: "constant", "reflect", "replicate" or "circular".
        value: what "constant" fills in; 0 by default.
    """
    pad = list(pad)
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > input.dim() * 2:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(pad)} and input of dimension {input.dim()}"
        )
    if mode == "constant":
        return torch.constant_pad_nd(input, pad, 0 if value is None else value)
    if value is not None and value != 0:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in _POSITIONS:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    _check(input, pad, mode)
    for i in range(len(pad) // 2):
        left, right = pad[2 * i], pad[2 * i + 1]
        if left or right:
            dim = input.dim() - 1 - i
            positions = _POSITIONS[mode](input.shape[dim], left, right)
            input = input.index_select(dim, torch.tensor(positions, dtype=torch.int64))
    return input
