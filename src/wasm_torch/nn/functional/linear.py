"""Linear and bilinear maps, and distances."""

from __future__ import annotations

import math

import wasm_torch as torch
from wasm_torch import Tensor
from wasm_torch.ops import PACKETS

_linear = PACKETS["linear"].call


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias: (*, in_features) and (out_features, in_features) to (*, out_features).

    A weight of shape (in_features,) contracts the last dimension.
    """
    return _linear(input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x1 @ weight[k] @ x2 for every k: (*, in1), (*, in2), (out, in1, in2) to (*, out)."""
    if input1.dim() != input2.dim():
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {input1.dim()} and {input2.dim()}"
        )
    for d in range(input1.dim() - 1):
        if input1.shape[d] != input2.shape[d]:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {d}: got "
                f"{input1.shape[d]} and {input2.shape[d]}"
            )
    for number, input in enumerate((input1, input2), 1):
        if input.shape[-1] != weight.shape[number]:
            raise RuntimeError(
                f"bilinear(): input{number} size does not match weight size: got "
                f"{input.shape[-1]} but expected {weight.shape[number]}"
            )
    out_features, in1, in2 = weight.shape
    rows1 = input1.reshape(math.prod(input1.shape[:-1]), in1)
    rows2 = input2.reshape(math.prod(input2.shape[:-1]), in2)
    # (B, in1) @ (in1, out * in2), then the product with x2 summed over in2.
    partial = torch.mm(rows1, weight.permute(1, 0, 2).reshape(in1, out_features * in2))
    partial = partial.reshape(rows1.shape[0], out_features, in2)
    output = (partial * rows2.unsqueeze(1)).sum(-1).reshape(*input1.shape[:-1], out_features)
    return output if bias is None else output + bias


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along `dim`, broadcast."""
    dtype = torch.promote_types(x1.dtype, x2.dtype)
    if not dtype.is_floating_point:
        raise RuntimeError(
            f"expected common dtype to be floating point, yet common dtype is {_scalar_type(dtype)}"
        )
    x1, x2 = torch.broadcast_tensors(x1.to(dtype), x2.to(dtype))
    norms = []
    for x in (x1, x2):
        norm = torch.linalg.vector_norm(x, 2, dim=dim, keepdim=True)
        # The bound takes part in the value and not in the gradient.
        with torch.no_grad():
            missing = norm.clamp_min(eps) - norm
        norms.append(norm + missing)
    return ((x1 / norms[0]) * (x2 / norms[1])).sum(dim)


def _scalar_type(dtype: object) -> str:
    """The dtype as the C++ side of torch prints it."""
    names = {"int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte",
             "bool": "Bool", "float32": "Float", "float64": "Double", "float16": "Half",
             "bfloat16": "BFloat16"}  # fmt: skip
    return names[str(dtype).removeprefix("torch.")]


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension, broadcast."""
    dim = max(x1.dim(), x2.dim()) - 1
    return torch.norm(x1 - x2 + eps, p, dim, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distances of all pairs of rows of (N, M), in the order of the upper triangle."""
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    count = input.shape[0]
    first = [i for i in range(count) for _ in range(i + 1, count)]
    second = [j for i in range(count) for j in range(i + 1, count)]
    pairs = (torch.tensor(positions, dtype=torch.int64) for positions in (first, second))
    left, right = (input.index_select(0, positions) for positions in pairs)
    return torch.linalg.vector_norm(left - right, p, dim=1)


def normalize(
    input: Tensor,
    p: float = 2.0,
    dim: int = 1,
    eps: float = 1e-12,
    out: Tensor | None = None,
) -> Tensor:
    """x / max(|x|_p, eps), the norm taken over `dim`."""
    norm = torch.linalg.vector_norm(input, p, dim=dim, keepdim=True)
    result = input / norm.clamp_min(eps).expand_as(input)
    if out is None:
        return result
    return out.copy_(result)
