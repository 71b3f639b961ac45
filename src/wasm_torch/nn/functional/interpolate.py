"""Resizing by interpolation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor

from .pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d


def _sources(size: int, output: int, scale: float | None, align_corners: bool) -> list[float]:
    """The position in the input of the centre of each output element."""
    if align_corners:
        step = (size - 1) / (output - 1) if output > 1 else 0.0
        return [i * step for i in range(output)]
    step = 1.0 / scale if scale is not None and scale > 0 else size / output
    return [step * (i + 0.5) - 0.5 for i in range(output)]


def _select(input: Tensor, dim: int, positions: Sequence[int]) -> Tensor:
    return input.index_select(dim, torch.tensor(list(positions), dtype=torch.int64))


def _weights(input: Tensor, dim: int, values: Sequence[float]) -> Tensor:
    """A vector along `dim`, to multiply the input with."""
    shape = [1] * input.dim()
    shape[dim] = len(values)
    return torch.tensor(list(values), dtype=input.dtype).reshape(shape)


# Each method resizes one dimension: (input, dim, output size, scale or None, align_corners).
def _nearest(
    input: Tensor, dim: int, output: int, scale: float | None, exact: bool = False
) -> Tensor:
    """The element whose cell the output's position falls into, found in float32 as torch does."""
    size = input.shape[dim]
    step = 1.0 / scale if scale is not None and scale > 0 else size / output
    positions = torch.arange(output, dtype=torch.float32)
    if exact:
        positions = positions + 0.5
    chosen = (positions * step).floor().clamp_max(size - 1)
    return input.index_select(dim, chosen.to(torch.int64))


def _linear(
    input: Tensor, dim: int, output: int, scale: float | None, align_corners: bool
) -> Tensor:
    """Between the two nearest elements."""
    size = input.shape[dim]
    if size == output and (align_corners or scale is None):
        return input
    sources = [max(s, 0.0) for s in _sources(size, output, scale, align_corners)]
    low = [min(int(s), size - 1) for s in sources]
    high = [min(i + 1, size - 1) for i in low]
    fractions = [s - i for s, i in zip(sources, low, strict=True)]
    first = _select(input, dim, low) * _weights(input, dim, [1 - f for f in fractions])
    return first + _select(input, dim, high) * _weights(input, dim, fractions)


def cubic_coefficients(t: Any, a: float = -0.75) -> list[Any]:
    """Weights of the elements at -1, 0, 1, 2 for a position t in [0, 1) (Keys 1981)."""

    def near(x: Any) -> Any:  # |x| <= 1
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:  # 1 < |x| < 2
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _cubic(
    input: Tensor, dim: int, output: int, scale: float | None, align_corners: bool
) -> Tensor:
    """By the cubic through the four nearest elements."""
    size = input.shape[dim]
    sources = _sources(size, output, scale, align_corners)
    bases = [math.floor(s) for s in sources]
    coefficients = [cubic_coefficients(s - b) for s, b in zip(sources, bases, strict=True)]
    result: Any = None
    for tap in range(4):
        positions = [min(max(b + tap - 1, 0), size - 1) for b in bases]
        weights = _weights(input, dim, [c[tap] for c in coefficients])
        term = _select(input, dim, positions) * weights
        result = term if result is None else result + term
    return result


def _triangle_filter(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _cubic_filter(x: float, a: float = -0.5) -> float:
    x = abs(x)
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    return ((x - 5.0) * x + 8.0) * x * a - 4.0 * a if x < 2.0 else 0.0


def _antialiased(taps: int, filter_at: Callable[[float], float]) -> Callable:
    """A method which widens the filter by the scale when shrinking."""

    def resize(
        input: Tensor, dim: int, output: int, scale: float | None, align_corners: bool
    ) -> Tensor:
        size = input.shape[dim]
        if align_corners:
            step = (size - 1) / (output - 1) if output > 1 else 0.0
        else:
            step = 1.0 / scale if scale is not None and scale > 0 else size / output
        widened = max(step, 1.0)
        support = taps / 2 * widened
        matrix = []
        for i in range(output):
            center = step * (i + 0.5)
            first = max(int(center - support + 0.5), 0)
            last = min(int(center + support + 0.5), size)
            row = [0.0] * size
            for j in range(first, last):
                row[j] = filter_at((j - center + 0.5) / widened)
            total = sum(row)
            matrix.append([w / total if total else w for w in row])
        weights = torch.tensor(matrix, dtype=input.dtype)  # (output, size)
        return torch.matmul(input.transpose(dim, -1), weights.t()).transpose(dim, -1)

    return resize


_SEPARABLE = {
    "linear": (1, _linear),
    "bilinear": (2, _linear),
    "trilinear": (3, _linear),
    "bicubic": (2, _cubic),
}
_ANTIALIASED = {
    "bilinear": _antialiased(2, _triangle_filter),
    "bicubic": _antialiased(4, _cubic_filter),
}
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def _sizes(
    input: Tensor, size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[list[int], list[float | None]]:
    """The output size, and the scales by which positions are computed (None: by the sizes)."""
    spatial = input.dim() - 2
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    given = size if size is not None else scale_factor
    name = "output size" if size is not None else "scale_factor"
    if isinstance(given, list | tuple):
        if len(given) != spatial:
            kind = "output size" if size is not None else "scale_factor"
            shown = given
            raise ValueError(
                f"Input and {kind} must have the same number of spatial dimensions, but got input "
                f"with spatial dimensions of {list(input.shape[2:])} and {name} of {shown}. "
                "Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                + (
                    "output size in (o1, o2, ...,oK) format."
                    if size is not None
                    else "scale_factor in (s1, s2, ...,sK) format."
                )
            )
        values = list(given)
    else:
        values = [given] * spatial
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return [int(v) for v in values], [None] * spatial
    output = [math.floor(float(input.shape[d + 2]) * values[d]) for d in range(spatial)]
    return output, [None] * spatial if recompute else [float(v) for v in values]


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resizes the spatial dimensions of (N, C, *).

    Args:
        size, scale_factor: the output's size, or by what to multiply the input's.
        mode: "nearest", "nearest-exact", "linear" (3-d input), "bilinear" and "bicubic" (4-d),
            "trilinear" (5-d) or "area".
        align_corners: whether the centres of the corner elements stay where they are.
        recompute_scale_factor: derive the scale from the sizes, which `scale_factor` rounds.
        antialias: widen the filter when shrinking; "bilinear" and "bicubic" only.
    """
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | "
            "bilinear | bicubic | trilinear"
        )
    align = bool(align_corners)
    output, scales = _sizes(input, size, scale_factor, recompute_scale_factor)
    if antialias and not (mode in _ANTIALIASED and input.dim() == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D "
            "tensor as input"
        )
    if min(output) < 1 or 0 in input.shape[2:]:
        raise RuntimeError(
            "Input and output sizes should be greater than 0, but got input "
            f"({', '.join(f'{s}' for s in input.shape[2:])}) output "
            f"({', '.join(f'{s}' for s in output)})"
        )
    spatial = input.dim() - 2
    if mode in ("nearest", "nearest-exact") and spatial in (1, 2, 3):
        for d in range(spatial):
            input = _nearest(input, d + 2, output[d], scales[d], mode == "nearest-exact")
        return input
    if mode == "area" and spatial in _AREA:
        return _AREA[spatial](input, output)
    if mode in _SEPARABLE and spatial == _SEPARABLE[mode][0]:
        method = _ANTIALIASED[mode] if antialias else _SEPARABLE[mode][1]
        for d in reversed(range(spatial)):
            input = method(input, d + 2, output[d], scales[d], align)
        return input
    if mode in _SEPARABLE and spatial in (1, 2, 3):
        needed = "4D" if mode == "bicubic" else f"{_SEPARABLE[mode][0] + 2}D"
        raise NotImplementedError(f"Got {input.dim()}D input, but {mode} mode needs {needed} input")
    raise NotImplementedError(
        "Input Error: Only 3D, 4D and 5D input Tensors supported "
        f"(got {input.dim()}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | "
        f"area | nearest-exact (got {mode})"
    )


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate`, under its former name."""
    warnings.warn(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "nearest"."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "bilinear" and aligned corners."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
