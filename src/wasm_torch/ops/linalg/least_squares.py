"""Least squares."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite
from wasm_torch.ops.linalg._operands import check_kernel, check_same_dtype
from wasm_torch.ops.linalg.svd import cutoff
from wasm_torch.return_types import return_type

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")
_made = return_type("linalg_lstsq", ("solution", "residuals", "rank", "singular_values"))


def _check(a: Any, b: Any, driver: str, vector: bool) -> None:
    if driver not in _DRIVERS:
        raise RuntimeError(
            "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
        )
    if a.ndim < 2:
        raise RuntimeError("torch.linalg.lstsq: input must have at least 2 dimensions.")
    if b.ndim < 1:
        raise RuntimeError("torch.linalg.lstsq: other must have at least 1 dimension.")
    rows = b.shape[-1 if vector else -2]
    if rows != a.shape[-2]:
        side = -1 if vector else -2
        raise RuntimeError(f"torch.linalg.lstsq: input.size(-2) should match other.size({side})")
    check_same_dtype(a, b, "torch.linalg.lstsq", ("input", "other"))
    check_kernel(a, "linalg_lstsq_cpu")


@composite()
def linalg_lstsq(
    self: Any, b: Any, rcond: float | None = None, *, driver: str | None = None
) -> Any:
    """X that minimises |A X - B|, the shortest one; residuals, rank and singular values where the
    driver gives them in torch."""
    driver = "gelsy" if driver is None else driver
    vector = b.ndim == 1 or (b.ndim == self.ndim - 1 and b.shape == self.shape[:-1])
    _check(self, b, driver, vector)
    right = b.unsqueeze(-1) if vector else b
    rows, columns = self.shape[-2:]
    rtol = max(rows, columns) * (2.0**-52 if self.dtype is _C.float64 else 2.0**-23)
    rtol = rtol if rcond is None else rcond
    inverse = FUNCTIONS["linalg_pinv"](self.double(), atol=0.0, rtol=rtol)
    solution = (inverse @ right.double()).to(self.dtype)
    values = FUNCTIONS["linalg_svdvals"](self.detach().double())
    rank = (
        (values > cutoff(values.amax(-1, True), self.shape, self.dtype, 0.0, rtol)).sum(-1)
        if values.shape[-1]
        else FUNCTIONS["zeros"](tuple(self.shape[:-2]), dtype=_C.int64)
    )
    residuals = solution.flatten()[:0]
    if rows > columns and driver != "gelsy" and bool((rank == columns).all()):
        residuals = (self @ solution - right).square().sum(-2)
    nothing = k.empty((0,), self.dtype)
    return _made(
        solution.squeeze(-1) if vector else solution,
        residuals,
        k.empty((0,), _C.int64) if driver == "gels" else rank,
        values.to(self.dtype) if driver in ("gelsd", "gelss") else nothing,
    )
