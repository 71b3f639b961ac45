"""Functions that ask about tensors and dtypes, and settings of printing."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch._tensor_str import get_printoptions, set_printoptions
from wasm_torch.ops._convert import check_tensor
from wasm_torch.ops._dtypes import can_cast

__all__ = [
    "can_cast",
    "get_printoptions",
    "is_floating_point",
    "is_nonzero",
    "is_storage",
    "is_tensor",
    "numel",
    "result_type",
    "set_printoptions",
    "typename",
]


def is_tensor(obj: Any) -> bool:
    """Whether an object is a tensor."""
    return isinstance(obj, _C.TensorBase)


def is_storage(obj: Any) -> bool:
    """Whether an object is a storage."""
    from wasm_torch.storage import UntypedStorage

    return isinstance(obj, UntypedStorage)


def is_floating_point(input: Any) -> bool:
    """Whether a tensor's dtype is a float."""
    check_tensor("is_floating_point", "input", 1, input)
    return input.dtype.is_floating_point


def is_nonzero(input: Any) -> bool:
    """Whether the only element is not zero."""
    check_tensor("is_nonzero", "input", 1, input)
    return input.is_nonzero()


def numel(input: Any) -> int:
    """The number of elements."""
    check_tensor("numel", "input", 1, input)
    return input.numel()


def result_type(tensor1: Any, tensor2: Any) -> Any:
    """The dtype of an arithmetic operation on two tensors or numbers."""
    return _C.result_type(tensor1, tensor2)


def typename(obj: Any) -> str:
    """The name of an object's type."""
    if isinstance(obj, _C.TensorBase):
        return obj.type()
    kind = obj if isinstance(obj, type) else type(obj)
    return f"{kind.__module__}.{kind.__qualname__}"
