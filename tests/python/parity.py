"""One-line parity cases: an expression is evaluated on torch and on wasm_torch and must agree.

In an expression `torch` is the package under test and these make the same inputs for both:

    x(2, 3)             float32, normal, a leaf that gradients are compared for
    x(2, 3, low=1, high=2)   uniform instead; dtype="float64" for another dtype
    c(2, 3)             the same without gradients
    i(2, 3, high=5)     int64 in 0..4
    b(2, 3)             bool

Shapes, dtypes, strides, values, gradients and second gradients are compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import wasm_torch


class Inputs:
    """The factories of one evaluation; the same calls give the same numbers in every package."""

    def __init__(self, package: Any) -> None:
        self.package = package
        self.generator = np.random.default_rng(0)
        self.leaves: list[Any] = []

    def _tensor(self, values: Any, dtype: str) -> Any:
        array = np.ascontiguousarray(values).reshape(np.shape(values))
        return self.package.from_numpy(array).to(getattr(self.package, dtype))

    def c(self, *shape: int, low: Any = None, high: Any = None, dtype: str = "float32") -> Any:
        if low is None:
            values = self.generator.standard_normal(shape)
        else:
            values = self.generator.uniform(low, high, shape)
        return self._tensor(np.asarray(values, dtype=np.float32), dtype)

    def x(self, *shape: int, **options: Any) -> Any:
        leaf = self.c(*shape, **options).requires_grad_()
        self.leaves.append(leaf)
        return leaf

    def i(self, *shape: int, low: int = 0, high: int = 5, dtype: str = "int64") -> Any:
        return self._tensor(np.asarray(self.generator.integers(low, high, shape)), dtype)

    def b(self, *shape: int) -> Any:
        return self._tensor(np.asarray(self.generator.random(shape) < 0.5), "bool")


def evaluate(expression: str, package: Any) -> tuple[Any, list[Any]]:
    """The value of an expression, and the leaves it made."""
    inputs = Inputs(package)
    scope = {
        "torch": package,
        "F": package.nn.functional,
        "nn": package.nn,
        "x": inputs.x,
        "c": inputs.c,
        "i": inputs.i,
        "b": inputs.b,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(expression, scope), inputs.leaves


def flat(value: Any) -> list[Any]:
    """Tensors and numbers of nested results, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)) and not isinstance(value, (torch.Size, wasm_torch.Size)):
        return [item for part in value for item in flat(part)]
    return [value]


def is_tensor(value: Any) -> bool:
    return isinstance(value, (torch.Tensor, wasm_torch.Tensor))


def as_array(value: Any) -> Any:
    value = value.detach()
    return (value.float() if "bfloat16" in str(value.dtype) else value).numpy(force=True)


def assert_equal(
    expected: Any, actual: Any, rtol: float, atol: float, strides: bool = False
) -> None:
    """Same structure, shapes, dtypes, strides, and values within the tolerance."""
    want, have = flat(expected), flat(actual)
    assert len(want) == len(have)
    for a, b in zip(want, have, strict=True):
        assert is_tensor(a) == is_tensor(b)
        if not is_tensor(a):
            assert str(a) == str(b)
            continue
        assert tuple(a.shape) == tuple(b.shape)
        assert str(a.dtype) == str(b.dtype)
        if strides and a.numel():
            kept = [d for d in range(a.ndim) if a.shape[d] > 1]
            assert [a.stride(d) for d in kept] == [b.stride(d) for d in kept]
        np.testing.assert_allclose(as_array(b), as_array(a), rtol=rtol, atol=atol, equal_nan=True)


def weighted(outputs: list[Any], package: Any, shift: int) -> Any:
    """A fixed combination of outputs with a history, as one number; None without any."""
    total = None
    for number, output in enumerate(outputs):
        if output is None or not is_tensor(output) or not output.requires_grad:
            continue
        weights = np.cos(np.arange(output.numel(), dtype=np.float32) + number + shift)
        term = (
            output * package.from_numpy(weights.reshape(tuple(output.shape))).to(output.dtype)
        ).sum()
        total = term if total is None else total + term
    return total


def gradients(
    outputs: list[Any], leaves: list[Any], package: Any, shift: int, create_graph: bool
) -> list[Any]:
    total = weighted(outputs, package, shift)
    if total is None:
        return [None] * len(leaves)
    return list(package.autograd.grad(total, leaves, create_graph=create_graph, allow_unused=True))


def assert_gradients(expected: list[Any], actual: list[Any], rtol: float, atol: float) -> None:
    """None counts as zero."""
    for want, have in zip(expected, actual, strict=True):
        if want is None or have is None:
            present = want if have is None else have
            assert present is None or not as_array(present).any()
        else:
            assert_equal(want, have, rtol, atol)


def check(
    expression: str,
    *,
    second: bool = True,
    strides: bool = True,
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """Evaluates the expression on both packages and compares everything."""
    results = [evaluate(expression, package) for package in (torch, wasm_torch)]
    (expected, _), (actual, leaves) = results
    assert_equal(expected, actual, rtol, atol, strides)
    if not leaves:
        return
    first = [
        gradients(flat(value), made, package, 0, second)
        for (value, made), package in zip(results, (torch, wasm_torch), strict=True)
    ]
    assert_gradients(*first, rtol, atol)
    if second:
        again = [
            gradients(grads, made, package, 1, False)
            for grads, (_, made), package in zip(first, results, (torch, wasm_torch), strict=True)
        ]
        assert_gradients(*again, rtol * 10, atol * 10)


def assert_same_failure(function: Callable[[Any], Any]) -> None:
    """Of both packages the function raises the same type with the same first line of text."""
    caught: list[Exception | None] = []
    for package in (torch, wasm_torch):
        try:
            function(package)
        except Exception as error:
            caught.append(error)
        else:
            caught.append(None)
    want, have = caught
    assert want is not None, "torch accepts this"
    assert have is not None, f"accepted, where torch raises {want!r}"
    assert type(want).__name__ == type(have).__name__, f"{have!r}, where torch raises {want!r}"
    # Anomaly detection, which torch recommends, is not offered.
    text = str(want).split("\n")[0].partition(" Hint: enable anomaly detection")[0]
    assert text.strip() == str(have).split("\n")[0].strip()


def assert_same_error(expression: str) -> None:
    """The same for an expression."""
    assert_same_failure(lambda package: evaluate(expression, package))
