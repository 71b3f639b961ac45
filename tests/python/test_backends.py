"""Questions for other devices: torch's answers, as of a build without them."""

from __future__ import annotations

import types

import pytest
import torch
from parity import assert_same_error

import wasm_torch

QUESTIONS = [
    "torch.cuda.is_available()",
    "torch.cuda.is_initialized()",
    "torch.cuda.device_count()",
    "torch.cuda.manual_seed(1)",
    "torch.cuda.manual_seed_all(1)",
    "torch.cuda.empty_cache()",
    "torch.backends.mps.is_available()",
    "torch.backends.mps.is_built()",
    "torch.backends.cuda.is_built()",
    "torch.backends.cudnn.is_available()",
    "torch.backends.cudnn.version()",
    "torch.backends.cudnn.enabled",
    "torch.backends.cudnn.benchmark",
    "torch.backends.cudnn.deterministic",
    "torch.are_deterministic_algorithms_enabled()",
    "torch.is_deterministic_algorithms_warn_only_enabled()",
    "str(torch.device('cuda' if torch.cuda.is_available() else 'cpu'))",
]


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch has CUDA here")
@pytest.mark.parametrize("question", QUESTIONS)
def test_answers(question: str) -> None:
    assert eval(question, {"torch": wasm_torch}) == eval(question, {"torch": torch})


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch has CUDA here")
@pytest.mark.parametrize(
    "expression",
    [
        "torch.cuda.synchronize()",
        "torch.cuda.manual_seed('a')",
        "torch.use_deterministic_algorithms(1)",
        "torch.use_deterministic_algorithms('yes')",
    ],
)
def test_refusals(expression: str) -> None:
    assert_same_error(expression)


@pytest.mark.parametrize("package", [torch, wasm_torch])
def test_flags_are_kept(package: types.ModuleType) -> None:
    cudnn = package.backends.cudnn
    try:
        cudnn.benchmark, cudnn.deterministic = True, True
        assert (cudnn.benchmark, cudnn.deterministic) == (True, True)
        package.use_deterministic_algorithms(True, warn_only=True)
        assert package.are_deterministic_algorithms_enabled() is True
        assert package.is_deterministic_algorithms_warn_only_enabled() is True
    finally:
        cudnn.benchmark, cudnn.deterministic = False, False
        package.use_deterministic_algorithms(False)
    assert package.are_deterministic_algorithms_enabled() is False
    assert package.is_deterministic_algorithms_warn_only_enabled() is False
