"""Rows of a matrix by their numbers."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS, op
from wasm_torch.ops.along_dim import index_select, scatter_along


@op(
    "embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, "
    "bool sparse=False) -> Tensor",
    family="indexing",
    method=False,
    vjp={
        "weight": lambda grad, indices, weight_size, padding_idx, scale_grad_by_freq: FUNCTIONS[
            "embedding_backward"
        ](grad, indices, weight_size[0], padding_idx, scale_grad_by_freq)
    },
)
def embedding(
    weight: Any, indices: Any, padding_idx: int, scale_grad_by_freq: bool, sparse: bool
) -> Any:
    """The rows of ``weight`` (count, width) at ``indices`` (integers, any shape). The row
    ``padding_idx`` gets no gradient.
    """
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if indices.dtype not in (_C.int64, _C.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got torch.{_legacy(indices.dtype)} instead (while checking arguments "
            "for embedding)"
        )
    flat = k.reshaped(k.contiguous(k.cast(indices, _C.int64)), (indices.numel(),))
    rows = index_select.kernel(weight, 0, flat)
    return k.reshaped(rows, (*indices.shape, weight.shape[1]))


def _legacy(dtype: Any) -> str:
    return f"{scalar_name(dtype)}Tensor"


@op(
    "embedding_backward(Tensor grad_output, Tensor indices, int num_weights, int padding_idx, bool "
    "scale_grad_by_freq) -> Tensor",
    family="indexing",
    method=False,
    vjp={
        "grad_output": lambda grad, indices, padding_idx, scale_grad_by_freq: _embedding_double(
            grad, indices, padding_idx, scale_grad_by_freq
        )
    },
)
def embedding_backward(
    grad_output: Any, indices: Any, num_weights: int, padding_idx: int, scale_grad_by_freq: bool
) -> Any:
    """The gradient of `embedding`: (num_weights, width), with the rows of ``grad_output`` summed by
    index.
    """
    columns = grad_output.shape[-1]
    flat = k.reshaped(k.contiguous(k.cast(indices, _C.int64)), (indices.numel(),))
    grads = k.reshaped(k.contiguous(grad_output), (indices.numel(), columns))
    if scale_grad_by_freq:
        counts = scatter_along(
            k.full((num_weights,), 0, grads.dtype),
            0,
            flat,
            k.full((flat.shape[0],), 1, grads.dtype),
            "add",
        )
        weights = index_select.kernel(counts, 0, flat)
        grads = k.binary("div", grads, k.reshaped(weights, (flat.shape[0], 1)))
    result = scatter_along(k.full((num_weights, columns), 0, grads.dtype), 0, flat, grads, "add")
    if padding_idx >= 0:
        k.fill(_C.as_strided(result, (columns,), (1,), padding_idx * columns), 0)
    return result


def _embedding_double(grad: Any, indices: Any, padding_idx: int, scale: bool) -> Any:
    result = FUNCTIONS["embedding"](grad, indices)
    if padding_idx >= 0:
        result = result.masked_fill((indices == padding_idx).unsqueeze(-1), 0)
    if scale:
        ones = FUNCTIONS["ones"](indices.numel(), dtype=grad.dtype)
        zeros = FUNCTIONS["zeros"](grad.shape[0], dtype=grad.dtype)
        counts = zeros.index_add(0, indices.reshape(-1), ones)
        result = result / counts[indices].unsqueeze(-1)
    return result
