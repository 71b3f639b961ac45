"""Attention."""

from __future__ import annotations

import math
import warnings
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor
from wasm_torch.ops import TABLE
from wasm_torch.ops.attention import is_fused

from ._arguments import records_gradient
from .activation import softmax
from .dropout import dropout
from .linear import linear
from .padding import pad


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key.T * scale + mask) @ value.

    Args:
        query, key, value: (*, L, E), (*, S, E), (*, S, V).
        attn_mask: broadcast to (*, L, S): bool, true where attention is allowed, or added.
        dropout_p: applied to the attention weights, always.
        is_causal: each position attends to itself and the ones before.
        scale: 1 / sqrt(E) by default.
        enable_gqa: query has a multiple of the heads of key and value.

    Returns:
        (*, L, V).
    """
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.dim() < 2:
            raise RuntimeError(
                f"scaled_dot_product_attention: Expected {name} to be at least 2 dimensional, but "
                f"got {tensor.dim()}D"
            )
    if is_causal and attn_mask is not None:
        raise RuntimeError(
            "scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )
    recorded = records_gradient(query, key, value, attn_mask)
    if not (recorded or dropout_p) and is_fused(query, key, value, attn_mask, enable_gqa):
        row = TABLE["scaled_dot_product_attention"]
        return row(query, key, value, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa)
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    length, source = query.shape[-2], key.shape[-2]
    if is_causal:
        attn_mask = torch.ones(length, source, dtype=torch.bool).tril()
    # Both factors are scaled by the square root, which keeps the product in range.
    factor = math.sqrt(1.0 / math.sqrt(query.shape[-1]) if scale is None else abs(scale))
    scores = torch.matmul(query * factor, key.transpose(-2, -1) * factor)
    if scale is not None and scale < 0:
        scores = -scores
    hidden = None
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -math.inf)
        else:
            scores = scores + attn_mask
        # A row without any allowed position has no weights; it gives zeros.
        rows = (scores.detach() == -math.inf).all(-1, keepdim=True)
        traced = torch._C.get_mode() is not None  # whose graph holds for other elements, too
        hidden = rows if traced or bool(rows.any()) else None
    if hidden is not None:
        scores = scores.masked_fill(hidden, 0.0)
    weights = torch.softmax(scores, -1)
    if hidden is not None:
        weights = weights.masked_fill(hidden, 0.0)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p)
    return torch.matmul(weights, value)


def _canonical_mask(
    mask: Tensor | None,
    name: str,
    other: Any,
    other_name: str,
    dtype: Any,
    check_other: bool = True,
) -> Tensor | None:
    """The mask as numbers to add: -inf where a bool mask hides a position."""
    if mask is None:
        return None
    if mask.dtype != torch.bool and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if check_other and other is not None and mask.dtype != other:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both "
            "instead.",
            stacklevel=3,
        )
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=dtype).masked_fill(mask, -math.inf)
    return mask


def _project(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packed: Any,
    separate: Any,
    bias: Tensor | None,
) -> list[Tensor]:
    """query, key and value, each led through its part of the input projection."""
    biases = [None] * 3 if bias is None else bias.chunk(3)
    if separate is not None:
        weights = separate
    elif query is key and key is value:
        # One product for all three.
        return list(linear(query, packed, bias).chunk(3, -1))
    else:
        weights = packed.chunk(3)
    inputs = (query, key, value)
    return [linear(x, w, b) for x, w, b in zip(inputs, weights, biases, strict=True)]


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, mask: Any, padding: Any) -> bool:
    """Whether the inputs are batched; raises AssertionError where they do not fit together."""
    if query.dim() not in (2, 3):
        raise AssertionError(
            "query should be unbatched 2D or batched 3D tensor but received "
            f"{query.dim()}-D query tensor"
        )
    ndim = query.dim()
    kind = "3-D" if ndim == 3 else "2-D"
    if key.dim() != ndim or value.dim() != ndim:
        raise AssertionError(
            f"For {'batched (3-D)' if ndim == 3 else 'unbatched (2-D)'} `query`, expected `key` "
            f"and `value` to be {kind} but found {key.dim()}-D and {value.dim()}-D tensors "
            "respectively"
        )
    if padding is not None and padding.dim() != ndim - 1:
        raise AssertionError(
            f"For {'batched (3-D)' if ndim == 3 else 'unbatched (2-D)'} `query`, expected "
            f"`key_padding_mask` to be `None` or {ndim - 1}-D but found {padding.dim()}-D tensor "
            "instead"
        )
    if mask is not None and mask.dim() not in (2, 3):
        raise AssertionError(
            f"For {'batched (3-D)' if ndim == 3 else 'unbatched (2-D)'} `query`, expected "
            f"`attn_mask` to be `None`, 2-D or 3-D but found {mask.dim()}-D tensor instead"
        )
    return ndim == 3


def _mix(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    batch: int,
    mask: Tensor | None,
    padding: Tensor | None,
    is_causal: bool,
) -> Tensor:
    """The heads' values (L, N, E) by weights that nobody asks for.

    Args:
        q, k, v: (N * heads, positions, head).
        mask: (1 or N * heads, L, S), added.
        padding: (N, S), added.
        is_causal: that the mask hides the positions behind each one, and nothing else.
    """
    q, k, v = (t.reshape(batch, -1, *t.shape[1:]) for t in (q, k, v))
    if mask is not None:
        mask = mask.reshape(batch if mask.shape[0] > 1 else 1, -1, *mask.shape[1:])
    if padding is not None:
        padding = padding.reshape(batch, 1, 1, -1)
        mask = padding if mask is None else mask + padding
    elif is_causal:
        mask = None
    mixed = scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal and mask is None)
    return mixed.permute(2, 0, 1, 3).reshape(q.shape[2], batch, -1)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention in `num_heads` subspaces (Vaswani et al. 2017).

    Args:
        query, key, value: (L, N, E), (S, N, E), (S, N, E), or without N.
        key_padding_mask: (N, S): true, or -inf, where a key does not count.
        attn_mask: (L, S) or (N * num_heads, L, S): true, or -inf, where attention is not allowed.

    Returns:
        The output (L, N, E), and the weights (N, L, S) averaged over the heads, (N, heads, L, S)
        if they are not averaged, or None.
    """
    is_batched = _check_shapes(query, key, value, attn_mask, key_padding_mask)
    if not is_batched:
        same = query is key and key is value
        query = query.unsqueeze(1)
        key, value = (query, query) if same else (key.unsqueeze(1), value.unsqueeze(1))
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, embed = query.shape
    source = key.shape[0]
    if embed != embed_dim_to_check:
        raise AssertionError(
            f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed}"
        )
    head = embed // num_heads
    if head * num_heads != embed:
        raise AssertionError(f"embed_dim {embed} not divisible by num_heads {num_heads}")
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    padding_type = None if key_padding_mask is None else key_padding_mask.dtype
    attn_mask = _canonical_mask(
        attn_mask, "attn_mask", padding_type, "key_padding_mask", query.dtype, False
    )
    key_padding_mask = _canonical_mask(
        key_padding_mask, "key_padding_mask", None if attn_mask is None else attn_mask.dtype,
        "attn_mask", query.dtype,
    )  # fmt: skip

    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _project(query, key, value, in_proj_weight, separate, in_proj_bias)
    if attn_mask is not None:
        if attn_mask.dim() == 2:
            expected: tuple[int, ...] = (length, source)
        else:
            expected = (batch * num_heads, length, source)
        if tuple(attn_mask.shape) != expected:
            raise RuntimeError(
                f"The shape of the {attn_mask.dim()}D attn_mask is {attn_mask.shape}, but should "
                f"be {expected}."
            )
        if attn_mask.dim() == 2:
            attn_mask = attn_mask.unsqueeze(0)

    def widen(mask: Tensor | None) -> Tensor | None:
        return None if mask is None else pad(mask, (0, 1))

    if bias_k is not None and bias_v is not None:
        k = torch.cat([k, bias_k.expand(1, batch, -1)])
        v = torch.cat([v, bias_v.expand(1, batch, -1)])
        attn_mask, key_padding_mask = widen(attn_mask), widen(key_padding_mask)

    # (N * heads, positions, head)
    q = q.reshape(length, batch * num_heads, head).transpose(0, 1)
    k = k.reshape(-1, batch * num_heads, head).transpose(0, 1) if static_k is None else static_k
    v = v.reshape(-1, batch * num_heads, head).transpose(0, 1) if static_v is None else static_v
    if add_zero_attn:
        zeros = torch.zeros(batch * num_heads, 1, head, dtype=k.dtype)
        k, v = torch.cat([k, zeros], 1), torch.cat([v, zeros], 1)
        attn_mask, key_padding_mask = widen(attn_mask), widen(key_padding_mask)
    source = k.shape[1]
    if not training:
        dropout_p = 0.0
    fused = not (need_weights or dropout_p > 0.0 or records_gradient(q, k, v, attn_mask))
    if fused and query.dtype is torch.float32:
        mixed = _mix(q, k, v, batch, attn_mask, key_padding_mask, is_causal)
        output = linear(mixed, out_proj_weight, out_proj_bias)
        return (output if is_batched else output.squeeze(1)), None
    if key_padding_mask is not None:
        hidden = key_padding_mask.reshape(batch, 1, 1, source)
        hidden = hidden.expand(-1, num_heads, -1, -1).reshape(batch * num_heads, 1, source)
        attn_mask = hidden if attn_mask is None else attn_mask + hidden

    scores = torch.bmm(q * math.sqrt(1.0 / head), k.transpose(1, 2))
    if attn_mask is not None:
        scores = scores + attn_mask
    weights = softmax(scores, dim=-1)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p)
    mixed = torch.bmm(weights, v).transpose(0, 1).reshape(length * batch, embed)
    output = linear(mixed, out_proj_weight, out_proj_bias)
    output = output.reshape(length, batch, output.shape[1])
    if not is_batched:
        output = output.squeeze(1)
    if not need_weights:
        return output, None
    weights = weights.reshape(batch, num_heads, length, source)
    if average_attn_weights:
        weights = weights.mean(1)
    return output, weights if is_batched else weights.squeeze(0)
