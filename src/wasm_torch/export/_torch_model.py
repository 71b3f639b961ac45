"""A model of torch, through torch.export. With its helpers, all here that imports torch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.utils import _pytree as pytree

from wasm_torch.compiler.expressions import sizes_text
from wasm_torch.compiler.family import Family
from wasm_torch.export._capture import Captured, capture
from wasm_torch.export._examples import resized, split_example, trial_sizes
from wasm_torch.export._record import WeightSet, refuse_unsupported, to_family, to_ours
from wasm_torch.export._versions import check_torch


class TorchModel:
    """What an export asks of a model (see `_traced_model.TracedModel` for the other kind)."""

    source = "torch"

    def __init__(
        self,
        model: torch.nn.Module,
        methods: Mapping[str, tuple[Callable[..., Any] | None, Any]],
        varying: Mapping[str, Any],
    ):
        check_torch()
        self.version = torch.__version__
        self._model, self._methods, self._varying = model, methods, varying
        self._captured: dict[str, Captured] = {}

    def families(self, tell: Callable[[str, float], None]) -> dict[str, Family]:
        """The graphs of all methods. Raises ExportError where torch.export cannot follow one."""
        for i, (name, (function, example)) in enumerate(self._methods.items()):
            tell(f"capturing {name}", i / len(self._methods))
            varying = self._varying.get(name)
            self._captured[name] = capture(self._model, function, example, varying)
        refuse_unsupported(*self._captured.values())
        tell("recording operations", 1.0)
        weights = WeightSet()
        return {name: to_family(method, weights) for name, method in self._captured.items()}

    def labels(self, name: str) -> list[str]:
        """The names of a method's outputs."""
        return [label for label, _ in self._captured[name].outputs]

    def examples(self, name: str) -> Iterator[tuple[str, Any, list[Any]]]:
        """What to call it, the example, and its tensors: as given, and at other sizes."""
        example, captured = self._methods[name][1], self._captured[name]
        yield name, example, captured.example
        for sizes in trial_sizes(captured.sizes.symbols):
            tensors = [
                resized(torch, tensor, captured.sizes.shape(i, sizes), vary=True)
                for i, tensor in enumerate(captured.example)
            ]
            # Each tensor of the example in the place where it stands; one may stand in several.
            left = iter(tensors)
            leaves, form = pytree.tree_flatten(split_example(example))
            new = [next(left) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
            args, kwargs = pytree.tree_unflatten(new, form)
            yield f"{name} at {sizes_text(sizes)}", kwargs or args, tensors

    def expected(self, name: str, example: Any) -> list[Any]:
        """The model's own outputs; buffers that the forward changes are put back afterwards."""
        function = self._methods[name][0] or self._model
        args, kwargs = copy.deepcopy(split_example(example))
        buffers = {key: buffer.clone() for key, buffer in self._model.named_buffers()}
        try:
            with torch.no_grad():
                result = function(*args, **kwargs)
            leaves = pytree.tree_leaves(result)
            return [to_ours(leaf).clone() for leaf in leaves if isinstance(leaf, torch.Tensor)]
        finally:
            with torch.no_grad():
                for key, buffer in self._model.named_buffers():
                    buffer.copy_(buffers[key])
