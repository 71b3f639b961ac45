"""Orthogonal polynomials by their three-term recurrences (DLMF 18.9), in double precision.

Each takes x and the degree n, tensors or numbers, broadcast; a negative degree gives 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite

#: step(j, x, p_j, p_(j-1)) = p_(j+1)
Step = Callable[[int, Any, Any, Any], Any]


def _chebyshev(j: int, x: Any, p: Any, before: Any) -> Any:
    return 2 * x * p - before


def _hermite_h(j: int, x: Any, p: Any, before: Any) -> Any:
    return 2 * x * p - 2 * j * before


def _hermite_he(j: int, x: Any, p: Any, before: Any) -> Any:
    return x * p - j * before


def _laguerre(j: int, x: Any, p: Any, before: Any) -> Any:
    return ((2 * j + 1 - x) * p - j * before) / (j + 1)


def _legendre(j: int, x: Any, p: Any, before: Any) -> Any:
    return ((2 * j + 1) * x * p - j * before) / (j + 1)


def _evaluate(x: Any, n: Any, first: Callable[[Any], Any], step: Step) -> Any:
    operands = [v if isinstance(v, _C.TensorBase) else FUNCTIONS["tensor"](v) for v in (x, n)]
    dtype = k.float_result_type(x, n)
    argument = operands[0].double()
    degree = operands[1].trunc() if operands[1].dtype.is_floating_point else operands[1]
    argument, degree = FUNCTIONS["broadcast_tensors"](argument, degree)
    if argument.numel() == 0:
        return argument.to(dtype)
    before, p = argument * 0 + 1, first(argument)
    result = FUNCTIONS["where"](degree == 0, before, FUNCTIONS["where"](degree == 1, p, 0.0))
    for j in range(1, int(degree.amax().item())):
        before, p = p, step(j, argument, p, before)
        result = FUNCTIONS["where"](degree == j + 1, p, result)
    return result.to(dtype)


def _declare(name: str, first: Callable[[Any], Any], step: Step, shifted: bool = False) -> None:
    def polynomial(x: Any, n: Any) -> Any:
        return _evaluate(x, n, first, step)

    def on_the_unit_interval(x: Any, n: Any) -> Any:
        return _evaluate(
            x, n, lambda t: first(2 * t - 1), lambda j, t, p, before: step(j, 2 * t - 1, p, before)
        )

    body = on_the_unit_interval if shifted else polynomial
    body.__doc__ = f"{name.removeprefix('special_').replace('_', ' ')}, of x and the degree n."
    composite(name)(body)


_CHEBYSHEV: dict[str, Callable[[Any], Any]] = {
    "t": lambda x: x,
    "u": lambda x: 2 * x,
    "v": lambda x: 2 * x - 1,
    "w": lambda x: 2 * x + 1,
}

for _kind, _first in _CHEBYSHEV.items():
    _declare(f"special_chebyshev_polynomial_{_kind}", _first, _chebyshev)
    _declare(f"special_shifted_chebyshev_polynomial_{_kind}", _first, _chebyshev, shifted=True)
_declare("special_hermite_polynomial_h", lambda x: 2 * x, _hermite_h)
_declare("special_hermite_polynomial_he", lambda x: x, _hermite_he)
_declare("special_laguerre_polynomial_l", lambda x: 1 - x, _laguerre)
_declare("special_legendre_polynomial_p", lambda x: x, _legendre)
