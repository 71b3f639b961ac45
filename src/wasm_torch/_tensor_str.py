"""Tensors as text, exactly as torch prints them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import wasm_torch as torch


@dataclasses.dataclass
class _PrintOptions:
    precision: int = 4  # digits after the point
    threshold: float = 1000  # elements above which a tensor is summarised
    edgeitems: int = 3  # elements shown at each end of a summarised dimension
    linewidth: int = 80  # characters
    sci_mode: bool | None = None  # scientific notation; None: where the values ask for it


_options = _PrintOptions()

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors print.

    Args:
        precision: digits after the point (4).
        threshold: the number of elements above which a tensor is summarised (1000).
        edgeitems: elements shown at each end of a summarised dimension (3).
        linewidth: characters in a line (80).
        profile: "default", "short" or "full", which set all of these.
        sci_mode: whether to use scientific notation; None: where the values ask for it.
    """
    values: dict[str, Any] = {}
    if profile is not None:
        values.update(_PROFILES.get(profile.lower(), {}))
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    values.update((name, value) for name, value in given.items() if value is not None)
    for name, value in values.items():
        setattr(_options, name, value)
    _options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """How tensors print, by the names that `set_printoptions` takes."""
    return dataclasses.asdict(_options)


class _Formatter:
    """Formats all elements of a tensor in one width."""

    def __init__(self, values: list[Any], floating: bool) -> None:
        self.floating = floating
        self.int_mode = True
        self.sci_mode = False
        self.width = 1
        if not floating:
            self.width = max((len(str(value)) for value in values), default=1)
            return
        finite = [value for value in values if math.isfinite(value) and value != 0]
        if finite:
            self._choose(finite)

    def _choose(self, values: list[float]) -> None:
        """Picks the notation, and the width of the longest of these values."""
        largest = max(abs(value) for value in values)
        smallest = min(abs(value) for value in values)
        self.int_mode = all(value == math.ceil(value) for value in values)
        wide = largest / smallest > 1000.0 or largest > 1.0e8
        self.sci_mode = wide if self.int_mode else wide or smallest < 1.0e-4
        if _options.sci_mode is not None:
            self.sci_mode = _options.sci_mode
        if self.sci_mode:
            texts = [f"{value:.{_options.precision}e}" for value in values]
        elif self.int_mode:
            texts = [f"{value:.0f}." for value in values]
        else:
            texts = [f"{value:.{_options.precision}f}" for value in values]
        self.width = max(self.width, *map(len, texts))

    def __call__(self, value: Any) -> str:
        if not self.floating:
            text = str(value)
        elif self.sci_mode:
            text = f"{value:{self.width}.{_options.precision}e}"
        elif self.int_mode:
            text = f"{value:.0f}" + ("." if math.isfinite(value) else "")
        else:
            text = f"{value:.{_options.precision}f}"
        return text.rjust(self.width)


def _nested(tensor: Any, summarize: bool) -> Any:
    """The elements as nested lists, with `...` where elements are left out."""
    edge = _options.edgeitems
    if not summarize or tensor.dim() == 0:
        return tensor.tolist()
    size = tensor.shape[0]
    if tensor.dim() == 1:
        if edge == 0:
            return [...]
        if size <= 2 * edge:
            return tensor.tolist()
        return [*tensor[:edge].tolist(), ..., *tensor[size - edge :].tolist()]
    if size <= 2 * edge:
        return [_nested(tensor[i], True) for i in range(size)]
    first = [_nested(tensor[i], True) for i in range(edge)]
    return [*first, ..., *(_nested(tensor[i], True) for i in range(size - edge, size))]


def _leaves(nested: Any) -> Iterator[Any]:
    """All elements of nested lists."""
    if isinstance(nested, list):
        for item in nested:
            yield from _leaves(item)
    elif nested is not ...:
        yield nested


def _vector(items: list[Any], indent: int, formatter: _Formatter) -> str:
    """One dimension, broken into lines."""
    per_line = max(1, (_options.linewidth - indent) // (formatter.width + 2))
    if items == [...]:
        texts = ["..."]
    else:
        texts = [" ..." if item is ... else formatter(item) for item in items]
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _array(nested: Any, dim: int, indent: int, formatter: _Formatter) -> str:
    """`dim` dimensions, in brackets."""
    if dim == 0:
        return formatter(nested)
    if dim == 1:
        return _vector(nested, indent, formatter)
    parts = [
        "..." if item is ... else _array(item, dim - 1, indent + 1, formatter) for item in nested
    ]
    return "[" + ("," + "\n" * (dim - 1) + " " * (indent + 1)).join(parts) + "]"


def _contents(tensor: Any, indent: int) -> str:
    """The elements."""
    nested = _nested(tensor, tensor.numel() > _options.threshold)
    formatter = _Formatter(list(_leaves(nested)), tensor.dtype.is_floating_point)
    return _array(nested, tensor.dim(), indent, formatter)


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """Adds what follows the elements, in new lines where it does not fit."""
    parts = [text]
    used = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if used + len(suffix) + 2 > _options.linewidth:
            parts.append(",\n" + " " * indent + suffix)
            used = indent + len(suffix)
        else:
            parts.append(", " + suffix)
            used += len(suffix) + 2
    return "".join(parts) + ")"


def tensor_str(tensor: Any) -> str:
    """What `repr(tensor)` gives."""
    plain = type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter
    prefix = "tensor(" if plain else f"{type(tensor).__name__}("
    values = tensor.detach()
    suffixes = []
    dtype = str(tensor.dtype)
    if values.numel() == 0:
        contents = "[]"
        if values.dim() != 1:
            suffixes.append(f"size={tuple(values.shape)}")
        # Without elements nothing tells integers from floats.
        if tensor.dtype != torch.get_default_dtype():
            suffixes.append(f"dtype={dtype}")
    else:
        if _options.edgeitems == 0:
            suffixes.append(f"size={tuple(values.shape)}")
        if tensor.dtype not in (torch.get_default_dtype(), torch.int64, torch.bool):
            suffixes.append(f"dtype={dtype}")
        contents = _contents(values, len(prefix))
    if tensor.grad_fn is not None:
        name = tensor.grad_fn.name().removeprefix("torch::autograd::")
        suffixes.append(f"grad_fn=<{name}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(prefix + contents, suffixes, len(prefix))
