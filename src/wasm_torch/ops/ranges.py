"""Ranges, identity matrices and triangles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._convert import check
from wasm_torch.ops._table import FUNCTIONS, op
from wasm_torch.ops.creation import factory_options, finished


# ---- ranges --------------------------------------------------------------------------------------
def arange(*args: Any, **kwargs: Any) -> Any:
    """``arange(end)``, ``arange(start, end, step=1)``: numbers from start (included) to end."""
    start, end, step = 0, None, 1
    if len(args) == 1:
        end = args[0]
    elif len(args) >= 2:
        start, end = args[:2]
        step = args[2] if len(args) > 2 else 1
    start, step = kwargs.pop("start", start), kwargs.pop("step", step)
    end = kwargs.pop("end", end)
    dtype, requires_grad, out, _ = factory_options(kwargs, "arange")
    if end is None:
        raise TypeError('arange() missing 1 required positional arguments: "end"')
    if len(args) > 3:
        raise TypeError(f"arange() takes at most 3 positional arguments but {len(args)} were given")
    place = 1 if len(args) < 2 else 2
    end = check("Scalar", "arange", "end", place, end)
    start, step = (
        check("Scalar", "arange", name, position, v)
        for name, position, v in (("start", 1, start), ("step", 3, step))
    )
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if any(isinstance(v, float) and not math.isfinite(v) for v in (start, end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype is None and out is not None:
        dtype = out.dtype
    if dtype is None:
        floating = any(isinstance(v, float) for v in (start, end, step))
        dtype = _C.get_default_dtype() if floating else _C.int64
    if not dtype.is_floating_point:
        start, end, step = int(start), int(end), int(step)
        count = max(-(-(end - start) // step), 0)
    else:
        count = max(math.ceil((end - start) / step), 0)
    result = _C.empty((count,), dtype)
    if count:
        _C.launch("arange", result, start, step)
    return finished(result, requires_grad, out)


def range_(start: Any = 0, end: Any = None, step: Any = 1, **kwargs: Any) -> Any:
    """Like arange with the end included (deprecated in torch)."""
    if end is None:
        start, end = 0, start
    dtype, requires_grad, out, _ = factory_options(kwargs, "range")
    count = int((end - start) / step) + 1
    result = _C.empty((count,), dtype or _C.get_default_dtype())
    _C.launch("arange", result, start, step)
    return finished(result, requires_grad, out)


def _ends(function: str, start: Any, end: Any) -> tuple[Any, ...]:
    """Both as numbers; a tensor may require a gradient, which stops here."""
    ends = (v.detach() if isinstance(v, _C.TensorBase) else v for v in (start, end))
    names = enumerate(zip(("start", "end"), ends, strict=True), 1)
    return tuple(check("Scalar", function, name, place, v) for place, (name, v) in names)


def linspace(start: Any, end: Any, steps: int, **kwargs: Any) -> Any:
    """``steps`` evenly spaced numbers from start to end, both included."""
    dtype, requires_grad, out, _ = factory_options(kwargs, "linspace")
    steps = check("int", "linspace", "steps", 3, steps)
    start, end = _ends("linspace", start, end)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if dtype is None:
        dtype = out.dtype if out is not None else _C.get_default_dtype()
    result = _C.empty((steps,), dtype)
    if steps:
        _C.launch("linspace", result, float(start), float(end))
    return finished(result, requires_grad, out)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, **kwargs: Any) -> Any:
    """``base`` to the powers of ``linspace``."""
    dtype, requires_grad, out, _ = factory_options(kwargs, "logspace")
    steps = check("int", "logspace", "steps", 3, steps)
    start, end = _ends("logspace", start, end)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if dtype is None:
        dtype = out.dtype if out is not None else _C.get_default_dtype()
    start, end = float(start), float(end)
    exponents = _C.empty((steps,), _C.float64)
    if steps:
        if dtype.is_floating_point:
            _C.launch("linspace", exponents, start, end)
        else:
            step = (end - start) / (steps - 1) if steps > 1 else 0.0
            _C.launch("arange", exponents, start, step)
    powers = k.binary("pow", _C.from_data(float(base), _C.float64), exponents)
    return finished(k.cast(powers, dtype), requires_grad, out)


def eye(n: int, m: int | None = None, **kwargs: Any) -> Any:
    """Ones on the diagonal of an (n, m) tensor of zeros."""
    dtype, requires_grad, out, _ = factory_options(kwargs, "eye")
    n = check("int", "eye", "n", 1, n)
    columns = n if m is None else check("int", "eye", "m", 2, m)
    if n < 0 or columns < 0:
        which = "n" if n < 0 else "m"
        raise RuntimeError(f"{which} must be greater or equal to 0, got {n if n < 0 else columns}")
    result = k.full((n, columns), 0, dtype or _C.get_default_dtype())
    length = min(n, columns)
    if length:
        k.fill(_C.as_strided(result, (length,), (columns + 1,), 0), 1)
    return finished(result, requires_grad, out)


def tril_indices(row: int, col: int, offset: int = 0, **kwargs: Any) -> Any:
    """Indices (2, N) of the lower triangle."""
    return _triangle_indices(row, col, kwargs, lambda i, j: j - i <= offset)


def triu_indices(row: int, col: int, offset: int = 0, **kwargs: Any) -> Any:
    """Indices (2, N) of the upper triangle."""
    return _triangle_indices(row, col, kwargs, lambda i, j: j - i >= offset)


def _triangle_indices(
    row: int, col: int, kwargs: dict[str, Any], inside: Callable[[int, int], bool]
) -> Any:
    dtype, requires_grad, _, _ = factory_options(kwargs, "tril_indices")
    pairs = [(i, j) for i in range(row) for j in range(col) if inside(i, j)]
    flat = [p[0] for p in pairs] + [p[1] for p in pairs]
    result = _C.from_data(flat, dtype or _C.int64) if flat else _C.empty((0,), dtype or _C.int64)
    return finished(result.view(2, len(pairs)), requires_grad, None)


FUNCTIONS.update(
    arange=arange,
    range=range_,
    linspace=linspace,
    logspace=logspace,
    eye=eye,
    tril_indices=tril_indices,
    triu_indices=triu_indices,
)


# ---- triangles -----------------------------------------------------------------------------------
def _triangle_row(name: str, upper: bool) -> None:
    side = "on and above" if upper else "on and below"

    @op(
        f"{name}(Tensor self, int diagonal=0) -> Tensor",
        doc=f"A copy of matrices with what is not {side} the given diagonal set to 0.",
        family="copy",
        inplace=True,
        vjp=lambda grad, diagonal: FUNCTIONS[name](grad, diagonal),
    )
    def kernel(self: Any, diagonal: int) -> Any:
        if self.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        out = _C.empty(tuple(self.shape), self.dtype)
        if out.numel():
            _C.launch("triangle", out, self, diagonal, upper)
        return out


_triangle_row("tril", False)
_triangle_row("triu", True)
