"""Everything public says what it is."""

from __future__ import annotations

import importlib

import pytest

import wasm_torch as torch

MODULES = [
    "nn",
    "nn.functional",
    "nn.init",
    "nn.utils",
    "optim",
    "optim.lr_scheduler",
    "utils.data",
    "autograd",
    "autograd.graph",
    "linalg",
    "special",
    "masked",
    "signal.windows",
    "random",
    "testing",
    "safetensors",
]


def undocumented(owner: object) -> list[str]:
    found = []
    for name in dir(owner):
        value = getattr(owner, name)
        public = not name.startswith("_") and (callable(value) or isinstance(value, property))
        public &= getattr(value, "__module__", None) not in ("collections.abc", "typing")
        if public and not (value.__doc__ or "").strip():
            found.append(name)
    return found


def test_functions_have_docstrings() -> None:
    assert undocumented(torch) == []


def test_methods_have_docstrings() -> None:
    assert undocumented(torch.Tensor) == []


@pytest.mark.parametrize("module", MODULES)
def test_modules_have_docstrings(module: str) -> None:
    assert undocumented(importlib.import_module(f"wasm_torch.{module}")) == []


@pytest.mark.parametrize("owner", [torch, torch.Tensor], ids=["function", "method"])
def test_a_docstring_shows_the_schema_and_what_is_computed(owner: object) -> None:
    schema, blank, words = owner.add.__doc__.split("\n")
    assert schema == "add(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor"
    assert blank == ""
    assert words.startswith("self + alpha * other")


def test_overloads_and_in_place_forms_are_shown() -> None:
    assert torch.max.__doc__.count("max(Tensor self") == 2
    assert torch.Tensor.add_.__doc__.startswith("add_(Tensor self, ")
    assert "Writes into ``self``" in torch.Tensor.add_.__doc__
    assert torch.Tensor.view.__doc__.startswith("view(Tensor self, int[] size) -> Tensor")


def test_a_row_without_a_docstring_is_refused() -> None:
    def kernel(self: object) -> object:
        return self

    with pytest.raises(ValueError, match="nameless has no docstring"):
        torch.ops.op("nameless(Tensor self) -> Tensor")(kernel)
