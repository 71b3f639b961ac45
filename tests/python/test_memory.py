"""Running out of memory is an ordinary exception; the engine counts what it holds."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import wasm_torch


def in_use() -> int:
    gc.collect()
    return wasm_torch.memory_stats()["current"]


@pytest.mark.parametrize(
    "allocate",
    [
        lambda t: t.empty(1 << 50),
        lambda t: t.zeros(1 << 28, 1 << 28),
        lambda t: t.ones(1 << 20).expand(1 << 40, 1 << 20).contiguous(),
        lambda t: t.ones(1).expand(1 << 50) + 1,
        lambda t: t.ones(1).expand(1 << 50).exp(),
        lambda t: t.ones(1 << 25, 1) @ t.ones(1, 1 << 25),
        lambda t: t.cat([t.ones(1).expand(1 << 50)] * 2),
        lambda t: t.arange(1 << 50),
        lambda t: t.rand(1 << 50),
        lambda t: t.randperm(1 << 50),
        lambda t: t.eye(1 << 25),
        lambda t: t.ones(1).repeat(1 << 50),
        lambda t: t.ones(1).expand(1 << 50).to(t.float64),
        lambda t: t.full((1 << 50,), 1.0),
        lambda t: t.nn.Linear(1 << 25, 1 << 25),
        lambda t: t.nn.functional.one_hot(t.tensor([1 << 50])),
        lambda t: t.nn.functional.pad(t.ones(1), (0, 1 << 50)),
        lambda t: t.ones(1).resize_(1 << 50),
    ],
)
def test_absurd_sizes_are_memory_errors(allocate: Any) -> None:
    before = in_use()
    with pytest.raises(MemoryError, match=r"could not allocate \d+ bytes.* in use"):
        allocate(wasm_torch)
    assert in_use() == before
    assert (wasm_torch.ones(1000) * 2).sum().item() == 2000


@pytest.mark.parametrize(
    "allocate",
    [
        lambda t: t.empty(1 << 62, 1 << 62),
        lambda t: t.empty(1 << 40, 1 << 40),
        lambda t: t.zeros((1 << 31, 1 << 31, 1 << 31)),
        lambda t: t.ones(1).expand(1 << 40, 1 << 40),
        lambda t: t.empty_strided((1 << 40, 2), (1 << 40, 1)),
        lambda t: t.ones(4).as_strided((2, 2), (1 << 62, 1 << 62)),
        lambda t: t.empty(1 << 70),
        lambda t: t.ones(2).view(1 << 62, 1 << 62),
    ],
)
def test_sizes_beyond_the_address_space_are_errors(allocate: Any) -> None:
    before = in_use()
    with pytest.raises((RuntimeError, MemoryError, OverflowError, ValueError)):
        allocate(wasm_torch)
    assert in_use() == before
    assert wasm_torch.ones(2).sum().item() == 2


def test_statistics_follow_tensors() -> None:
    before = in_use()
    tensor = wasm_torch.zeros(1 << 20)
    assert in_use() - before >= 4 << 20
    assert wasm_torch.memory_stats()["peak"] >= in_use()
    assert wasm_torch.memory_stats()["reserved"] >= in_use()
    view = tensor[10:]
    del tensor
    assert in_use() - before >= 4 << 20
    del view
    assert in_use() - before < 1 << 20


def test_the_peak_is_reset() -> None:
    tensor = wasm_torch.zeros(1 << 22)
    del tensor
    gc.collect()
    wasm_torch.reset_peak_memory_stats()
    stats = wasm_torch.memory_stats()
    assert stats["peak"] == stats["current"]


def test_memory_is_reused() -> None:
    for _ in range(3):
        wasm_torch.zeros(1 << 20) + 1
    reserved = wasm_torch.memory_stats()["reserved"]
    for _ in range(100):
        wasm_torch.zeros(1 << 20) + 1
    assert wasm_torch.memory_stats()["reserved"] == reserved


def test_the_cache_can_be_emptied() -> None:
    kept = wasm_torch.arange(100)
    for size in range(1, 50):
        wasm_torch.zeros(size * 100)
    assert wasm_torch.empty_cache() >= 0
    assert wasm_torch.empty_cache() == 0
    assert kept.sum().item() == 4950


def test_a_training_step_leaves_nothing_behind() -> None:
    model = wasm_torch.nn.Sequential(
        wasm_torch.nn.Conv2d(1, 4, 3), wasm_torch.nn.BatchNorm2d(4), wasm_torch.nn.ReLU()
    )
    optimizer = wasm_torch.optim.Adam(model.parameters())
    sizes = []
    for _ in range(4):
        optimizer.zero_grad()
        (model(wasm_torch.rand(2, 1, 8, 8)) ** 2).mean().backward()
        optimizer.step()
        sizes.append(in_use())
    assert sizes[1] == sizes[2] == sizes[3]
