"""Positions of nonzero elements."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite, op


@op("nonzero(Tensor self) -> Tensor", family="indexing", function=False, method=False)
def nonzero_row(self: Any) -> Any:
    """The indices (N, ndim) of the elements that are not zero, int64, in row-major order."""
    count = int(_C.reduce(self, _C.REDUCE["count_nonzero"], None, False, 0.0, _C.int64).item())
    out = k.empty((count, self.ndim), _C.int64)
    if out.numel():
        k.launch("nonzero", out, self)
    return out


@composite(method=True)
def nonzero(self: Any, *, as_tuple: bool = False) -> Any:
    """Indices of the nonzero elements: (count, ndim), or a tuple of ndim vectors."""
    result = nonzero_row(self)
    if not as_tuple:
        return result
    return (nonzero_row(self.reshape(1)) if self.ndim == 0 else result).unbind(1)


@composite(method=True)
def argwhere(self: Any) -> Any:
    """Indices of the nonzero elements, (count, ndim)."""
    return nonzero_row(self)


@composite()
def nonzero_static(self: Any, *, size: int, fill_value: int = -1) -> Any:
    """nonzero with a fixed number of rows, cut or filled."""
    found = nonzero_row(self)[:size]
    rest = size - found.shape[0]
    if rest <= 0:
        return found
    return FUNCTIONS["cat"]((found, FUNCTIONS["full"]((rest, self.ndim), fill_value)))


METHODS["nonzero_static"] = FUNCTIONS["nonzero_static"]


def nonzero_columns(mask: Any) -> list[Any]:
    indices = nonzero_row.kernel(mask)
    count = indices.shape[0]
    return [_C.as_strided(indices, (count,), (mask.ndim,), d) for d in range(mask.ndim)]
