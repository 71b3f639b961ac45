"""Example inputs, nests of outputs and sizes that vary, for models of torch and of wasm_torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wasm_torch.compiler.expressions import Sizes
from wasm_torch.compiler.family import Symbol


@dataclass(frozen=True, slots=True)
class Dim:
    """A size that varies from call to call, between ``min`` and ``max``: torch.export's, for models
    of wasm_torch. ``max=None`` is no maximum.
    """

    __name__: str
    min: int = 1
    max: int | None = None

    def __post_init__(self) -> None:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"Dim {self.__name__!r}: max {self.max} is below min {self.min}")


def split_example(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of an example: a tensor, a tuple, or a dict by name."""
    if isinstance(example, Mapping):
        return (), dict(example)
    if isinstance(example, (tuple, list)):
        return tuple(example), {}
    return (example,), {}


def output_names(tree: Any, count: int) -> list[str]:
    """Names by the keys that lead to each output: ``output``, ``output_0``, ``past_0_1``."""
    names = [""] * count

    def walk(tree: Any, path: str) -> None:
        if isinstance(tree, dict):
            for key, value in tree.items():
                walk(value, f"{path}_{key}" if path else key)
        elif isinstance(tree, list):
            for i, value in enumerate(tree):
                walk(value, f"{path or 'output'}_{i}")
        elif tree is not None:
            names[tree] = path or "output"

    walk(tree, "")
    return names


#: How far beyond the smallest sizes a file is tried.
_STEPS = (3, 5, 8)


def trial_sizes(symbols: list[Symbol]) -> Iterator[Sizes]:
    """Sizes at which a file is compared: the smallest, at which a size of 1 may broadcast, and some
    that were no sample.
    """
    if symbols:
        for further in (0, 1):
            yield {
                s.name: min(s.minimum + further * _STEPS[i % len(_STEPS)], s.maximum)
                for i, s in enumerate(symbols)
            }


def resized(torch: Any, tensor: Any, shape: tuple[int, ...], vary: bool = False) -> Any:
    """A tensor of another shape with the elements of this one, over and over.

    ``torch`` is the module that it comes from, torch or wasm_torch. ``vary`` changes floats by up
    to a tenth, so that what is repeated is not the same.
    """
    result = tensor.detach()
    for dim, size in enumerate(shape):
        index = torch.arange(size) % result.shape[dim]
        result = result.index_select(dim, index)
    if vary and result.is_floating_point():
        generator = torch.Generator().manual_seed(0)
        factors = 0.9 + 0.2 * torch.rand(tuple(shape), generator=generator)
        result = result * factors.to(result.dtype)
    return result.contiguous()
