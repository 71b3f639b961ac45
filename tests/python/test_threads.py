"""The number of threads changes the time, not the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import wasm_torch


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = wasm_torch.get_num_threads()
    yield
    wasm_torch.set_num_threads(before)


CASES = [
    "x(300, 400) + x(400)",
    "(x(400, 300).t() * x(300, 400)).exp()",
    "x(1000, 300).sum(), x(1000, 300).sum(0), x(1000, 300).sum(1), x(1000, 300).mean(0)",
    "x(500, 301).amax(1), x(500, 301).argmax(0), x(500, 301).var(1), x(500, 301).prod(1)",
    "x(700, 301).cumsum(1), x(700, 301).cumsum(0), x(700, 301).logsumexp(1)",
    "x(257, 129) @ x(129, 300), x(8, 65, 66) @ x(8, 66, 67), x(1000, 1000) @ x(1000)",
    "torch.nn.functional.conv2d(x(4, 8, 30, 30), x(16, 8, 3, 3), x(16), padding=1)",
    "torch.nn.functional.conv2d(x(4, 8, 30, 30), x(8, 1, 3, 3), groups=8)",
    "torch.nn.functional.conv_transpose2d(x(2, 8, 15, 15), x(8, 4, 3, 3), stride=2)",
    "torch.nn.functional.max_pool2d(x(4, 8, 32, 32), 2)",
    "torch.nn.functional.avg_pool2d(x(4, 8, 32, 32), 3, stride=2)",
    "torch.nn.functional.batch_norm(x(16, 8, 20, 20), None, None, training=True)",
    "torch.nn.functional.layer_norm(x(300, 200), (200,)), x(300, 200).softmax(1)",
    "torch.nn.functional.cross_entropy(x(2000, 10), torch.arange(2000) % 10)",
    "x(100_000).sort()[0], x(300, 500).sort(0)[0], x(300, 500).topk(5)[0]",
    "x(500, 400)[torch.arange(1000) % 500], x(500, 400)[x(500, 400) > 0]",
    "torch.nn.functional.embedding(torch.arange(3000) % 100, x(100, 64))",
    "torch.zeros(50, 64).index_add(0, torch.arange(3000) % 50, x(3000, 64))",
    "torch.cat((x(300, 200), x(300, 100)), 1), x(300, 200).t().contiguous(), x(300, 200).roll(7)",
    "x(200_000).half().float(), x(200_000).to(torch.int32), torch.randn(200_000)",
]


def outcome(expression: str, threads: int) -> list[Any]:
    wasm_torch.set_num_threads(threads)
    wasm_torch.manual_seed(3)
    leaves: list[Any] = []

    def x(*shape: int) -> Any:
        leaves.append(wasm_torch.randn(*shape).requires_grad_())
        return leaves[-1]

    values = eval(expression, {"torch": wasm_torch, "x": x})
    values = values if isinstance(values, tuple) else (values,)
    total = sum((v * v).sum() for v in values if v.requires_grad)
    gradients: Any = ()
    if any(v.requires_grad for v in values):
        gradients = wasm_torch.autograd.grad(total, leaves, allow_unused=True)
    return [*values, *gradients]


@pytest.mark.parametrize("expression", CASES)
def test_results_do_not_depend_on_threads(expression: str) -> None:
    for one, more in zip(outcome(expression, 1), outcome(expression, 3), strict=True):
        assert (one is None) == (more is None)
        if one is not None:
            wasm_torch.testing.assert_close(one, more, rtol=1e-5, atol=1e-5)


def test_the_number_is_kept() -> None:
    for count in (1, 2, 3, 1):
        wasm_torch.set_num_threads(count)
        assert wasm_torch.get_num_threads() == count


@pytest.mark.parametrize("count", [0, -1])
def test_at_least_one_thread(count: int) -> None:
    with pytest.raises(RuntimeError, match="expects a positive integer"):
        wasm_torch.set_num_threads(count)
