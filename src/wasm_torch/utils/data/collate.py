"""Samples made into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import wasm_torch as torch
from wasm_torch import Tensor


def _is_numpy(value: Any) -> bool:
    """Whether a value is an array or a scalar of numpy, which need not be installed."""
    return type(value).__module__ == "numpy"


def _like(template: Any, values: list[Any]) -> Any:
    """The values in a sequence of the template's type, or else in a list."""
    try:
        if hasattr(template, "__setitem__") and not isinstance(template, list):
            result = copy(template)
            for i, value in enumerate(values):
                result[i] = value
            return result
        return type(template)(values)
    except TypeError:
        return values


def _like_mapping(template: Any, values: dict[Any, Any]) -> Any:
    """The values in a mapping of the template's type, or else in a dictionary."""
    try:
        if type(template) is dict:
            return values
        if hasattr(template, "update"):
            result = copy(template)
            result.update(values)
            return result
        return type(template)(values)
    except TypeError:
        return values


def default_convert(data: Any) -> Any:
    """numpy arrays in nested data made tensors; everything else stays."""
    if isinstance(data, Tensor | str | bytes):
        return data
    if _is_numpy(data):
        if type(data).__name__ in ("str_", "bytes_") or (
            type(data).__name__ == "ndarray" and data.dtype.kind in "SaUO"
        ):
            return data
        return torch.as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence):
        return _like(data, [default_convert(value) for value in data])
    return data


def default_collate(batch: Any) -> Any:
    """A list of samples as one batch: tensors are stacked, numbers become a tensor, and
    containers are collated element by element.

    Raises:
        RuntimeError: samples differ in length.
        TypeError: a sample is of a type that cannot be collated.
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return torch.stack(list(batch), 0)
    if _is_numpy(first) and type(first).__name__ not in ("str_", "bytes_"):
        if type(first).__name__ == "ndarray" and first.shape != ():
            if first.dtype.kind in "SaUO":
                raise TypeError(_cannot_collate(first.dtype))
            return default_collate([torch.as_tensor(item) for item in batch])
        return torch.as_tensor([item.item() for item in batch], dtype=_scalar_dtype(first))
    if isinstance(first, float):
        return torch.tensor(list(batch), dtype=torch.float64)
    if isinstance(first, int):
        return torch.tensor(list(batch))
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        return _like_mapping(
            first, {key: default_collate([item[key] for item in batch]) for key in first}
        )
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(items) for items in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        if any(len(item) != len(first) for item in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(items) for items in zip(*batch, strict=True)]
        return columns if isinstance(first, tuple) else _like(first, columns)
    raise TypeError(_cannot_collate(type(first)))


def _cannot_collate(kind: Any) -> str:
    return (
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {kind}"
    )


def _scalar_dtype(value: Any) -> Any:
    return torch.as_tensor(value).dtype
