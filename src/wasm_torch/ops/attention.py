"""Scaled dot-product attention as one kernel, without the matrix of scores and without a gradient.

`nn.functional.scaled_dot_product_attention` is the public function; it is composed of products and
a softmax where this row does not apply.
"""

from __future__ import annotations

import math
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import op

_DTYPES = (_C.float32, _C.float16, _C.bfloat16)


def _outer_size(query: Any, key: Any, value: Any, enable_gqa: bool) -> tuple[int, ...]:
    """The broadcast size of all but the last two dims. Raises RuntimeError where there is none."""
    if not enable_gqa:
        outer = [tuple(t.shape[:-2]) for t in (query, key, value)]
        return tuple(_C.broadcast_shapes(*outer))
    outer = [tuple(t.shape[:-3]) for t in (query, key, value)]
    return (*_C.broadcast_shapes(*outer), query.shape[-3])


def is_fused(query: Any, key: Any, value: Any, attn_mask: Any, enable_gqa: bool) -> bool:
    """Whether the row takes these operands, all of at least two dims."""
    dtype = query.dtype
    if dtype not in _DTYPES or key.dtype is not dtype or value.dtype is not dtype:
        return False
    length, source = query.shape[-2], key.shape[-2]
    if key.shape[-1] != query.shape[-1] or value.shape[-2] != source:
        return False
    if enable_gqa:
        if min(query.ndim, key.ndim, value.ndim) < 3 or key.shape[-3] != value.shape[-3]:
            return False
        if key.shape[-3] == 0 or query.shape[-3] % key.shape[-3]:
            return False
    try:
        size = (*_outer_size(query, key, value, enable_gqa), length, source)
        if attn_mask is None:
            return True
        if attn_mask.dtype not in (_C.bool, _C.float32, dtype):
            return False
        return tuple(_C.broadcast_shapes(tuple(attn_mask.shape), size)) == size
    except RuntimeError:
        return False


def _operand(t: Any, size: tuple[int, ...]) -> Any:
    """Expanded to a size of at least three dims."""
    t = k.expand_to(t, size)
    if t.ndim >= 3:
        return t
    return _C.as_strided(t, (1, *size), (0, *t.stride()), t.storage_offset())


@op(
    "scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, "
    "float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> "
    "Tensor",
    family="attention",
    function=False,
    method=False,
)
def attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
) -> Any:
    """softmax(query key^T * scale + mask) value by one kernel, without the matrix of scores."""
    if dropout_p or not is_fused(query, key, value, attn_mask, enable_gqa):
        raise RuntimeError("scaled_dot_product_attention: no kernel takes these arguments")
    dtype, (length, width), source = query.dtype, query.shape[-2:], key.shape[-2]
    outer = _outer_size(query, key, value, enable_gqa)
    shared = (*outer[:-1], key.shape[-3]) if enable_gqa else outer
    size = (*outer, length, value.shape[-1])
    # Heads are mostly views of (N, L, heads * E), and then so is torch's result.
    alike = len(size) == 4 and size == tuple(query.shape)
    alike = alike and all(t.stride(-1) == 1 for t in (query, key, value))
    out = k.empty_like(query, _C.float32) if alike else k.empty(size, _C.float32)
    if not out.numel():
        return k.cast(out, dtype)
    query, key, value = (k.cast(t, _C.float32) for t in (query, key, value))
    if attn_mask is not None:
        if attn_mask.dtype is not _C.bool:
            attn_mask = k.cast(attn_mask, _C.float32)
        attn_mask = _operand(attn_mask, (*outer, length, source))
    k.launch(
        "attention",
        _operand(out, size),
        _operand(query, (*outer, length, width)),
        _operand(key, (*shared, source, width)),
        _operand(value, (*shared, source, value.shape[-1])),
        attn_mask,
        1.0 / math.sqrt(max(width, 1)) if scale is None else float(scale),
        int(is_causal),
    )
    return k.cast(out, dtype)
