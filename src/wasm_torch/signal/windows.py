"""Window functions: M float values, symmetric, or one period of a periodic window (``sym=False``).

Formulas: Harris, On the use of windows for harmonic analysis with the discrete Fourier transform,
1978; Nuttall, Some windows with very good sidelobe behavior, 1981.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import wasm_torch as torch

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _window(
    name: str,
    length: int,
    dtype: Any,
    layout: Any,
    device: Any,
    requires_grad: bool,
    values: Callable[[Any], Any],
) -> Any:
    """Checks the arguments; ``values`` computes the window in a dtype."""
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if length < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={length}")
    if layout is not torch.strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    if length == 0:
        window = torch.empty((0,), dtype=dtype, device=device)
    else:
        with torch.no_grad():
            window = values(dtype)
    return window.requires_grad_(requires_grad)


def _grid(start: float, step: float, length: int, dtype: Any) -> Any:
    """start, start + step, ..."""
    return torch.linspace(start, start + (length - 1) * step, length, dtype=dtype)


def _period(length: int, sym: bool) -> int:
    """Samples from one end to the other: a periodic window lacks its last one."""
    return max(length - 1 if sym else length, 1)


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """exp(-|n - center| / tau)."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    middle = _period(M, sym) / 2 if center is None else center
    if M == 1 and center is None:
        middle = 0

    def values(dtype: Any) -> Any:
        return (-_grid(-middle / tau, 1 / tau, M, dtype).abs()).exp()

    return _window("exponential", M, dtype, layout, device, requires_grad, values)


def cosine(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """sin(pi (n + 1/2) / N)."""
    step = math.pi / (M if sym or M == 1 else M + 1) if M > 0 else 0.0

    def values(dtype: Any) -> Any:
        return _grid(step / 2, step, M, dtype).sin()

    return _window("cosine", M, dtype, layout, device, requires_grad, values)


def gaussian(
    M: int,
    *,
    std: float = 1.0,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """exp(-((n - center) / std)^2 / 2)."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    step = 1 / (std * math.sqrt(2))
    middle = 0 if M == 1 else _period(M, sym) / 2

    def values(dtype: Any) -> Any:
        return (-_grid(-middle * step, step, M, dtype).square()).exp()

    return _window("gaussian", M, dtype, layout, device, requires_grad, values)


def kaiser(
    M: int,
    *,
    beta: float = 12.0,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """I0(beta sqrt(1 - x^2)) / I0(beta), x from -1 to 1."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")

    def values(dtype: Any) -> Any:
        if M == 1:
            return torch.ones((1,), dtype=dtype)
        x = _grid(-1, 2 / _period(M, sym), M, dtype)
        scale = torch.tensor(beta, dtype=dtype)
        return torch.i0(beta * (1 - x.square()).clamp(min=0).sqrt()) / torch.i0(scale)

    return _window("kaiser", M, dtype, layout, device, requires_grad, values)


def general_cosine(
    M: int,
    *,
    a: Iterable[float],
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Sum of (-1)^i a_i cos(2 pi i n / N)."""
    if M > 0 and not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    coefficients = list(a) if isinstance(a, Iterable) else []
    if M > 0 and not coefficients:
        raise ValueError("Coefficients cannot be empty")

    def values(dtype: Any) -> Any:
        if M == 1:
            return torch.ones((1,), dtype=dtype)
        angle = _grid(0, 2 * math.pi / _period(M, sym), M, dtype)
        terms = [(-1) ** i * c * (angle * i).cos() for i, c in enumerate(coefficients)]
        return torch.stack(terms).sum(0)

    return _window("general_cosine", M, dtype, layout, device, requires_grad, values)


def general_hamming(
    M: int,
    *,
    alpha: float = 0.54,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """alpha - (1 - alpha) cos(2 pi n / N)."""
    return general_cosine(
        M,
        a=[alpha, 1.0 - alpha],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def hamming(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """0.54 - 0.46 cos(2 pi n / N)."""
    return general_hamming(
        M, sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
    )


def hann(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """0.5 - 0.5 cos(2 pi n / N)."""
    return general_hamming(
        M,
        alpha=0.5,
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def blackman(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N)."""
    return general_cosine(
        M,
        a=[0.42, 0.5, 0.08],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def bartlett(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A triangle: 1 - |2 n / N - 1|."""

    def values(dtype: Any) -> Any:
        if M == 1:
            return torch.ones((1,), dtype=dtype)
        return 1 - _grid(-1, 2 / _period(M, sym), M, dtype).abs()

    return _window("bartlett", M, dtype, layout, device, requires_grad, values)


def nuttall(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = torch.strided,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Nuttall's window of four terms with the least sidelobes."""
    return general_cosine(
        M,
        a=[0.3635819, 0.4891775, 0.1365995, 0.0106411],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )
