"""The random stream against torch's, after the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import wasm_torch

SHAPES = [
    (1,),
    (5,),
    (15,),
    (16,),
    (17,),
    (31,),
    (100,),
    (1001,),
    (3, 5),
    (4, 4),
    (7, 9, 11),
    (0,),
    (),
]
SEEDS = [0, 1, 12345, 2**40]


def both(function: Any, seed: int) -> tuple[Any, Any]:
    results = []
    for package in (torch, wasm_torch):
        package.manual_seed(seed)
        results.append(function(package))
    return results[0], results[1]


def assert_bits(function: Any, seed: int = 0) -> None:
    expected, actual = both(function, seed)
    assert str(expected.dtype) == str(actual.dtype)
    np.testing.assert_array_equal(actual.detach().numpy(), expected.detach().numpy())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_uniform_and_integers(shape: tuple[int, ...], seed: int) -> None:
    assert_bits(lambda t: t.rand(shape), seed)
    assert_bits(lambda t: t.rand(shape, dtype=t.float64), seed)
    assert_bits(lambda t: t.randint(10, shape), seed)
    assert_bits(lambda t: t.randint(-5, 2**33, shape), seed)
    assert_bits(lambda t: t.randint(high=9, size=shape), seed)
    assert_bits(lambda t: t.randint(2, high=9, size=shape), seed)
    assert_bits(lambda t: t.randint_like(t.empty(shape), high=9), seed)
    assert_bits(lambda t: t.empty(shape).uniform_(-2, 3), seed)
    assert_bits(lambda t: t.empty(shape, dtype=t.int32).random_(7), seed)


@pytest.mark.parametrize("n", [0, 1, 2, 10, 1000, 5001])
def test_permutations(n: int) -> None:
    assert_bits(lambda t: t.randperm(n), 3)


def ulps(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    return np.abs(actual - expected) / np.spacing(np.abs(expected))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", [*SHAPES, (200_000,)])
@pytest.mark.parametrize("draw", ["randn", "normal_"])
def test_normal(shape: tuple[int, ...], seed: int, draw: str) -> None:
    """torch's AVX2 stream; its default build differs from it by more."""
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("this torch runs its default stream, not the AVX2 one")

    def function(t: Any) -> Any:
        return t.randn(shape) if draw == "randn" else t.empty(shape).normal_(0, 1)

    expected, actual = (v.numpy() for v in both(function, seed))
    assert np.abs(actual - expected).max(initial=0) <= 4e-6
    if expected.size >= 1000:
        assert (ulps(expected, actual) <= 4).mean() >= 0.995


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.nn.Linear(7, 5),
        lambda t: t.nn.Conv2d(3, 8, 3),
        lambda t: t.nn.Conv1d(4, 6, 5),
        lambda t: t.nn.LSTM(3, 4, 2),
        lambda t: t.nn.ConvTranspose2d(3, 4, 3),
        lambda t: t.nn.GRU(5, 3),
        lambda t: t.nn.Sequential(t.nn.Linear(3, 4), t.nn.ReLU(), t.nn.Linear(4, 2)),
        lambda t: t.nn.Bilinear(3, 4, 5),
    ],
)
def test_initial_weights(make: Any) -> None:
    expected, actual = both(make, 0)
    for (name, want), (other, have) in zip(
        expected.state_dict().items(), actual.state_dict().items(), strict=True
    ):
        assert name == other
        np.testing.assert_array_equal(have.numpy(), want.numpy())


def test_a_stream_of_mixed_draws() -> None:
    def function(t: Any) -> Any:
        parts = [
            t.rand(3),
            t.randn(5),
            t.randint(9, (4,)).float(),
            t.randn(20),
            t.rand(2, 2).view(-1),
            t.randperm(6).float(),
            t.randn(3, dtype=t.float64).float(),
            t.rand(1),
        ]
        return t.cat(parts)

    expected, actual = both(function, 7)
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), atol=4e-6)


def test_generators_and_states() -> None:
    generator = wasm_torch.Generator().manual_seed(5)
    reference = torch.Generator().manual_seed(5)
    first = wasm_torch.rand(4, generator=generator)
    np.testing.assert_array_equal(first.numpy(), torch.rand(4, generator=reference).numpy())
    state = generator.get_state()
    again = wasm_torch.rand(4, generator=generator)
    generator.set_state(state)
    assert wasm_torch.equal(again, wasm_torch.rand(4, generator=generator))
    wasm_torch.manual_seed(1)
    with wasm_torch.random.fork_rng():
        inside = wasm_torch.rand(2)
    assert wasm_torch.equal(inside, wasm_torch.rand(2))
    assert wasm_torch.initial_seed() == 1


@pytest.mark.parametrize(
    ("draw", "mean", "deviation"),
    [
        (lambda t: t.empty(40_000).bernoulli_(0.3), 0.3, 0.4583),
        (lambda t: t.bernoulli(t.full((40_000,), 0.7)), 0.7, 0.4583),
        (lambda t: t.empty(40_000).exponential_(2.0), 0.5, 0.5),
        (lambda t: t.poisson(t.full((40_000,), 3.0)), 3.0, 1.732),
        (lambda t: t.empty(40_000).geometric_(0.25), 4.0, 3.464),
        (lambda t: t.nn.functional.dropout(t.ones(40_000), 0.25), 1.0, 0.5774),
        (lambda t: t.normal(2.0, 3.0, (40_000,)), 2.0, 3.0),
        (lambda t: t.multinomial(t.tensor([1.0, 3.0]), 40_000, True).float(), 0.75, 0.433),
    ],
)
def test_distributions(draw: Any, mean: float, deviation: float) -> None:
    wasm_torch.manual_seed(0)
    values = draw(wasm_torch).double()
    error = 6 * deviation / len(values) ** 0.5
    assert abs(values.mean().item() - mean) < error
    assert abs(values.std().item() - deviation) < 6 * error
