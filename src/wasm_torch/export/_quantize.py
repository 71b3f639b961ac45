"""quantize_for_wasm: a model whose file keeps weights in 8 bits and computes with them."""

from __future__ import annotations

import copy
import sys
from typing import Any

import wasm_torch
from wasm_torch.compiler.quantized import can_be_quantized

#: The attribute that marks a quantized model.
MARK = "wasm_quantization"
_CONVOLUTIONS = ("Conv1d", "Conv2d", "Conv3d")


def quantize_for_wasm(model: Any, quantization_type: str = "dynamic") -> Any:
    """A copy of a model whose exported file computes in 8 bits.

    The weights of linear layers, embeddings and convolutions of one group, whose channels are a
    multiple of 4, become whole numbers from -127 to 127 and a scale for each row. A file keeps them
    as such, and the inputs of these layers are quantized as they come, by their largest magnitude:
    each row of a linear layer's, each point of a convolution's with one tap, and each entry of the
    batch of other convolutions'. Sums are exact. Everything else stays float32. Batch
    norms behind convolutions are folded into them as in any export.

    The copy itself computes in float32 with the rounded weights, so that it shows what rounding
    weights does to the results, but not what rounding inputs does.

    Args:
        model: a module of torch or of wasm_torch, which is not changed.
        quantization_type: "dynamic" is what there is.

    Returns:
        A module of the same class, to be given to `export_to_wasm`.

    Raises:
        TypeError: the model is no module.
        ValueError: there is no such quantization type, or no layer that it applies to.
    """
    if quantization_type != "dynamic":
        raise ValueError(f"quantization_type must be 'dynamic', not {quantization_type!r}")
    torch = _torch_of(model)
    quantized = copy.deepcopy(model)
    found = {id(weight): weight for weight in _weights(quantized, torch)}
    if not found:
        raise ValueError("the model has no layer whose weights can be kept in 8 bits")
    with torch.no_grad():
        for weight in found.values():
            weight.copy_(_rounded(weight))
    setattr(quantized, MARK, quantization_type)
    return quantized


def is_quantized(model: Any) -> bool:
    """Whether `quantize_for_wasm` has made the model."""
    return getattr(model, MARK, None) is not None


def _torch_of(model: Any) -> Any:
    """The torch that a module belongs to."""
    torch = sys.modules.get("torch")
    for package in (wasm_torch, torch):
        if package is not None and isinstance(model, package.nn.Module):
            return package
    raise TypeError(
        f"model must be a torch.nn.Module, of torch or of wasm_torch, not {type(model).__name__}"
    )


def _weights(model: Any, torch: Any) -> list[Any]:
    """The weights that the compiler will keep in 8 bits."""
    convolutions = tuple(getattr(torch.nn, name) for name in _CONVOLUTIONS)
    found = []
    for module in model.modules():
        if isinstance(module, convolutions):
            kind, groups = "convolution", module.groups
        elif isinstance(module, torch.nn.Linear):
            kind, groups = "linear", 1
        elif isinstance(module, torch.nn.Embedding):
            kind, groups = "embedding", 1
        else:
            continue
        weight = module.weight
        is_float = weight.dtype is torch.float32
        if is_float and can_be_quantized(kind, tuple(weight.shape), groups):
            found.append(weight)
    return found


def _rounded(weight: Any) -> Any:
    """The nearest weight that 8 bits hold."""
    rows = weight.detach().reshape(weight.shape[0], -1)
    scale = rows.abs().amax(1, keepdim=True) / 127
    scale[scale == 0] = 1
    return ((rows / scale).round().clamp(-127, 127) * scale).reshape(weight.shape)
