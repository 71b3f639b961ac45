"""Random layouts and dtypes: the C fast paths, the op table's rows and torch agree.

Shapes, dtypes, strides, values, gradients, and the types and texts of errors are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layouts import ALL_DTYPES, Described, broadcast_pairs, shapes, tensors
from parity import as_array, assert_equal

import wasm_torch
from wasm_torch.ops import FUNCTIONS, METHODS

settings.register_profile("layouts", deadline=None, derandomize=True, max_examples=150)
settings.load_profile("layouts")

FLOATS = ["float16", "bfloat16", "float32", "float64"]
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2}


def slow(name: str) -> Any:
    """The op table's callable of a name that has a fast path."""
    return FUNCTIONS.get(name, METHODS.get(name))


def fast(name: str) -> Callable[..., Any]:
    return lambda first, *rest, **options: getattr(first, name)(*rest, **options)


def outcome(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        return error


def assert_same(expected: Any, actual: Any, strides: bool = True) -> None:
    if isinstance(expected, Exception) or isinstance(actual, Exception):
        assert type(expected).__name__ == type(actual).__name__, (expected, actual)
        assert str(expected).split("\n")[0] == str(actual).split("\n")[0]
        return
    dtype = str(getattr(expected, "dtype", "")).removeprefix("torch.")
    tolerance = TOLERANCE.get(dtype, 1e-5)
    assert_equal(expected, actual, tolerance, tolerance, strides)


def compare(
    name: str, operands: list[Any], options: dict[str, Any], with_grad: bool, strides: bool = True
) -> None:
    """Runs fast path, row and torch's method on the same operands, with gradients if asked."""
    paths = [
        (torch, fast(name)),
        (wasm_torch, fast(name)),
        (wasm_torch, slow(name)),
    ]
    results, gradients = [], []
    for package, function in paths:
        leaves: list[Any] = []
        arguments = []
        for operand in operands:
            if not isinstance(operand, Described):
                arguments.append(operand)
                continue
            leaf = operand.base(package)
            if with_grad and operand.dtype in FLOATS:
                leaves.append(leaf.requires_grad_())
            arguments.append(operand.view(leaf))
        result = outcome(lambda f=function, a=arguments: f(*a, **options))
        results.append(result)
        if not isinstance(result, Exception) and result.requires_grad:
            weights = package.arange(result.numel()).view(result.shape).to(result.dtype) % 3
            gradients.append(package.autograd.grad((result * weights).sum(), leaves))
    expected, by_path, by_row = results
    assert_same(expected, by_path, strides)
    assert_same(by_path, by_row)
    if gradients:
        assert len(gradients) == 3
        dtypes = {str(g.dtype).removeprefix("torch.") for g in gradients[0]}
        tolerance = 10 * max(TOLERANCE.get(dtype, 1e-6) for dtype in dtypes)
        assert_equal(gradients[0], gradients[1], tolerance, tolerance)
        assert_equal(gradients[1], gradients[2], 0, 0)


NUMBERS = st.sampled_from([0, 1, 2, -3, 2.5, 0.0, True, False, 300, float("inf")])
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge"]


@pytest.mark.parametrize("name", BINARY)
@given(data=st.data())
def test_binary(name: str, data: Any) -> None:
    first, second = data.draw(broadcast_pairs())
    left: Any = data.draw(tensors(first))
    right: Any = data.draw(tensors(second))
    if name not in ("maximum", "minimum") and data.draw(st.integers(0, 3)) == 0:
        right = data.draw(NUMBERS)
    smooth = name in ("add", "sub", "mul")
    compare(name, [left, right], {}, with_grad=smooth and data.draw(st.booleans()))


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "<", "==", "//", "%", "**"])
@given(data=st.data())
def test_operators_with_numbers(symbol: str, data: Any) -> None:
    described = data.draw(tensors())
    number = data.draw(st.sampled_from([1, 2, 3, 2.5, True]))
    source = data.draw(st.sampled_from([f"t {symbol} n", f"n {symbol} t"]))
    results = [
        outcome(lambda p=package: eval(source, {"t": described.make(p), "n": number}))
        for package in (torch, wasm_torch)
    ]
    if symbol == "**" and described.dtype in ("int8", "uint8", "int16"):
        assume("n **" not in source)  # overflows, as C leaves it open
    assert_same(*results)


UNARY = ["neg", "abs", "exp", "sqrt", "square", "sin", "cos", "tanh", "sigmoid", "relu"]


@pytest.mark.parametrize("name", [*UNARY, "log", "rsqrt", "reciprocal"])
@given(described=tensors(), with_grad=st.booleans())
def test_unary(name: str, described: Described, with_grad: bool) -> None:
    smooth = name in ("neg", "square", "sin", "cos", "tanh", "sigmoid", "exp")
    compare(name, [described], {}, with_grad and smooth)


@pytest.mark.parametrize("name", ["sum", "mean"])
@given(data=st.data())
def test_reductions(name: str, data: Any) -> None:
    described = data.draw(tensors())
    arguments: list[Any] = []
    options = {}
    if data.draw(st.booleans()):
        dim = st.integers(-4, 4)
        arguments.append(data.draw(dim | st.lists(dim, max_size=3).map(tuple)))
        if data.draw(st.booleans()):
            options["keepdim"] = data.draw(st.booleans())
    if data.draw(st.integers(0, 4)) == 0:
        options["dtype"] = "dtype"
    for package in (wasm_torch,):
        if "dtype" in options:
            options["dtype"] = package.float64
    if "dtype" in options:
        results = []
        for package, function in ((torch, fast(name)), (wasm_torch, fast(name))):
            keywords = {**options, "dtype": package.float64}
            tensor = described.make(package)
            results.append(outcome(lambda f=function, t=tensor, k=keywords: f(t, *arguments, **k)))
        assert_same(*results)
        return
    compare(name, [described, *arguments], options, data.draw(st.booleans()))


@pytest.mark.parametrize("name", ["matmul", "mm"])
@given(data=st.data())
def test_products(name: str, data: Any) -> None:
    m, k, n = (data.draw(st.integers(0, 5)) for _ in range(3))
    left, right = data.draw(
        st.sampled_from([((m, k), (k, n))] * 4 + [((k,), (k, n)), ((m, k), (k,)), ((k,), (k,))])
    )
    batches = data.draw(broadcast_pairs())
    if name == "matmul" and data.draw(st.booleans()):
        left = (*batches[0][:2], *left) if len(left) == 2 else left
        right = (*batches[1][:2], *right) if len(right) == 2 else right
    dtype = data.draw(st.sampled_from(["float32", "float64", "int64", "float32"]))
    operands = [data.draw(tensors(left, [dtype])), data.draw(tensors(right, [dtype]))]
    # How torch lays out a batched product depends on the library that computes it.
    compare(name, operands, {}, data.draw(st.booleans()), strides=max(map(len, (left, right))) < 3)


@given(data=st.data())
def test_views(data: Any) -> None:
    described = data.draw(tensors(dtypes=["float32", "int64"]))
    ndim = len(described.make(wasm_torch).shape)
    dim = st.integers(-ndim - 1, ndim)
    name = data.draw(
        st.sampled_from(
            ["view", "reshape", "transpose", "permute", "unsqueeze", "expand", "select", "t"]
        )
    )
    arguments: list[Any] = []
    if name in ("view", "reshape", "expand"):
        sizes = [*described.make(wasm_torch).shape]
        kind = data.draw(st.integers(0, 3))
        if kind == 0:
            sizes = list(data.draw(shapes()))
        elif kind == 1 and len(sizes) > 1 and name != "expand":
            sizes[:2] = [sizes[0] * sizes[1]]
        elif kind == 2:
            sizes.insert(data.draw(st.integers(0, len(sizes))), 1)
        if sizes and data.draw(st.booleans()):
            sizes[data.draw(st.integers(0, len(sizes) - 1))] = -1
        arguments = [tuple(sizes)] if data.draw(st.booleans()) or not sizes else sizes
    elif name == "transpose":
        arguments = [data.draw(dim), data.draw(dim)]
    elif name == "permute":
        arguments = data.draw(st.permutations(range(ndim))) or [()]
    elif name == "unsqueeze":
        arguments = [data.draw(dim)]
    elif name == "select":
        arguments = [data.draw(dim), data.draw(st.integers(-4, 4))]
    compare(name, [described, *arguments], {}, data.draw(st.booleans()))


@st.composite
def indexes(draw: Any, shape: tuple[int, ...]) -> list[Any]:
    """An index of slices, ints, None, Ellipsis, ("tensor", integers) and ("mask", bools)."""
    index: list[Any] = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        kind = draw(st.integers(0, 9))
        if kind <= 3:
            bound = st.none() | st.integers(-size - 1, size + 1)
            index.append(slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3))))
        elif kind <= 5:
            index.append(draw(st.integers(-size, max(size - 1, 0))))
        elif kind == 6 and size > 0:
            count = draw(st.sampled_from([1, 3]))
            values = draw(st.lists(st.integers(-size, size - 1), min_size=count, max_size=count))
            index.append(("tensor", values))
        elif kind == 7 and not any(isinstance(i, tuple) for i in index):
            index.append(("mask", draw(st.lists(st.booleans(), min_size=size, max_size=size))))
        else:
            index.append(slice(None))
    for extra in (None, Ellipsis):
        if draw(st.integers(0, 3)) == 0:
            index.insert(draw(st.integers(0, len(index))), extra)
    return index


def real(index: list[Any], package: Any) -> Any:
    made = tuple(
        package.tensor(i[1], dtype=package.bool if i[0] == "mask" else package.int64)
        if isinstance(i, tuple)
        else i
        for i in index
    )
    return made[0] if len(made) == 1 else made


@given(data=st.data())
@settings(max_examples=400)
def test_indexing(data: Any) -> None:
    described = data.draw(tensors(dtypes=["float32", "int64", "uint8"]))
    index = data.draw(indexes(tuple(described.make(wasm_torch).shape)))
    results, gradients = [], []
    for package in (torch, wasm_torch):
        leaf = described.base(package)
        if described.dtype == "float32":
            leaf.requires_grad_()
        result = outcome(lambda p=package, d=leaf: described.view(d)[real(index, p)])
        results.append(result)
        if not isinstance(result, Exception) and result.requires_grad:
            gradients += package.autograd.grad((result * result).sum(), leaf)
    assert_same(*results)
    if gradients:
        assert_equal(*gradients, 1e-5, 1e-5)


@given(data=st.data())
@settings(max_examples=400)
def test_assignment(data: Any) -> None:
    described = data.draw(tensors(dtypes=["float32", "int64", "bool"]))
    assume(all(step[0] != "expand" for step in described.steps))
    index = data.draw(indexes(tuple(described.make(wasm_torch).shape)))
    target = outcome(lambda: described.make(torch)[real(index, torch)].shape)
    assume(not isinstance(target, Exception))
    value: Any = data.draw(st.sampled_from([3, 0.5, True]))
    if data.draw(st.booleans()):
        shape = tuple(1 if data.draw(st.integers(0, 5)) == 0 else n for n in target)
        value = data.draw(tensors(shape[data.draw(st.integers(0, len(shape))) :], ["float32"]))
    if any(isinstance(i, tuple) and len(set(i[1])) < len(i[1]) for i in index):
        value = 2  # which of several values for one place is kept is left open
    results = []
    for package in (torch, wasm_torch):
        base = described.base(package)

        def assign(p: Any = package, b: Any = base) -> Any:
            described.view(b)[real(index, p)] = (
                value.make(p) if isinstance(value, Described) else value
            )
            return b

        results.append(outcome(assign))
    assert_same(*results)


@pytest.mark.parametrize("name", ["add_", "sub_", "mul_", "div_", "copy_", "maximum"])
@given(data=st.data())
def test_changes_in_place(name: str, data: Any) -> None:
    first, second = data.draw(broadcast_pairs())
    left, right = data.draw(tensors(first)), data.draw(tensors(second))
    results = []
    for package in (torch, wasm_torch):
        base = left.base(package)

        def change(p: Any = package, b: Any = base) -> Any:
            getattr(left.view(b), name)(right.make(p))
            return b

        results.append(outcome(change))
    assert_same(*results)


@given(described=tensors(), dtype=st.sampled_from(ALL_DTYPES))
@settings(max_examples=400)
def test_casts(described: Described, dtype: str) -> None:
    source = described.make(torch)
    if dtype == "uint8" and source.is_floating_point():
        assume(not (source < 0).any())  # left open by C
    results = [described.make(p).to(getattr(p, dtype)) for p in (torch, wasm_torch)]
    assert_same(*results)


@given(data=st.data())
@settings(max_examples=400)
def test_copies_keep_or_change_the_layout(data: Any) -> None:
    described = data.draw(tensors(dtypes=["float32", "uint8"]))
    name = data.draw(st.sampled_from(["clone", "contiguous", "flatten", "zeros_like", "double"]))
    results = []
    for package in (torch, wasm_torch):
        tensor = described.make(package)
        made = package.zeros_like(tensor) if name == "zeros_like" else getattr(tensor, name)()
        results.append(made)
    assert_same(*results)
    assert as_array(results[0]).tobytes() == as_array(results[1]).tobytes()
