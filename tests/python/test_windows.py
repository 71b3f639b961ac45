"""Random geometry of convolutions, pooling, padding and interpolation, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from parity import assert_equal

import wasm_torch

settings.register_profile("windows", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("windows")


def made(package: Any, seed: int, shape: tuple[int, ...], channels_last: bool = False) -> Any:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    tensor = package.from_numpy(values)
    if channels_last:
        kind = package.channels_last_3d if len(shape) == 5 else package.channels_last
        tensor = tensor.contiguous(memory_format=kind)
    return tensor.requires_grad_()


def compare(function: Any, shapes: list[tuple[int, ...]], channels_last: bool) -> None:
    """Values and gradients; or both packages refuse. Errors of geometry have one type."""
    outcomes = []
    for package in (torch, wasm_torch):
        leaves = [
            made(package, i, shape, channels_last and i == 0) for i, shape in enumerate(shapes)
        ]
        try:
            result = function(package.nn.functional, *leaves)
        except Exception as error:
            outcomes.append(error)
            continue
        parts = list(result) if isinstance(result, tuple) else [result]
        total = sum((p * p.cos()).sum() for p in parts if p.requires_grad)
        outcomes.append([parts, package.autograd.grad(total, leaves)])
    expected, actual = outcomes
    if isinstance(expected, Exception):
        assert type(actual) is type(expected), (expected, actual)
        return
    assert not isinstance(actual, Exception), actual
    assert_equal(expected, actual, 1e-3, 1e-4)


def per_dim(draw: Any, dims: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(draw(st.integers(low, high)) for _ in range(dims))


@pytest.mark.parametrize("dims", [1, 2, 3])
@given(data=st.data())
def test_convolution(dims: int, data: Any) -> None:
    draw = data.draw
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    inputs = groups * draw(st.integers(1, 3))
    outputs = groups * draw(st.integers(1, 3))
    kernel = per_dim(draw, dims, 1, 3)
    stride, padding = per_dim(draw, dims, 1, 3), per_dim(draw, dims, 0, 2)
    dilation = per_dim(draw, dims, 1, 2)
    size = per_dim(draw, dims, 1, 7 if dims < 3 else 5)
    batch = (draw(st.integers(1, 3)),) if draw(st.booleans()) else ()
    shapes = [(*batch, inputs, *size), (outputs, inputs // groups, *kernel)]
    if draw(st.booleans()):
        shapes.append((outputs,))

    def function(f: Any, x: Any, w: Any, b: Any = None) -> Any:
        return getattr(f, f"conv{dims}d")(x, w, b, stride, padding, dilation, groups)

    compare(function, shapes, batch != () and dims > 1 and draw(st.booleans()))


@pytest.mark.parametrize("dims", [1, 2, 3])
@given(data=st.data())
def test_transposed_convolution(dims: int, data: Any) -> None:
    draw = data.draw
    groups = draw(st.sampled_from([1, 1, 2]))
    inputs = groups * draw(st.integers(1, 3))
    outputs = draw(st.integers(1, 3))
    kernel = per_dim(draw, dims, 1, 3)
    stride, padding = per_dim(draw, dims, 1, 3), per_dim(draw, dims, 0, 2)
    dilation, extra = per_dim(draw, dims, 1, 2), per_dim(draw, dims, 0, 1)
    size = per_dim(draw, dims, 1, 5 if dims < 3 else 3)
    batch = (draw(st.integers(1, 2)),) if draw(st.booleans()) else ()
    shapes = [(*batch, inputs, *size), (inputs, outputs, *kernel), (outputs * groups,)]
    for n, k, s, p, d, e in zip(size, kernel, stride, padding, dilation, extra, strict=True):
        # Whether torch refuses an empty result depends on the library that computes it.
        assume((n - 1) * s - 2 * p + d * (k - 1) + e + 1 > 0)

    def function(f: Any, x: Any, w: Any, b: Any) -> Any:
        return getattr(f, f"conv_transpose{dims}d")(
            x, w, b, stride, padding, extra, groups, dilation
        )

    compare(function, shapes, batch != () and dims > 1 and draw(st.booleans()))


@pytest.mark.parametrize("dims", [1, 2, 3])
@given(data=st.data())
def test_max_pooling(dims: int, data: Any) -> None:
    draw = data.draw
    kernel = per_dim(draw, dims, 1, 3)
    options = {
        "stride": draw(st.none() | st.just(per_dim(draw, dims, 1, 3))),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "dilation": per_dim(draw, dims, 1, 2),
        "ceil_mode": draw(st.booleans()),
        "return_indices": draw(st.booleans()),
    }
    size = per_dim(draw, dims, 2, 7 if dims < 3 else 5)
    batch = (draw(st.integers(1, 3)),) if draw(st.booleans()) else ()

    def function(f: Any, x: Any) -> Any:
        return getattr(f, f"max_pool{dims}d")(x, kernel, **options)

    channels_last = batch != () and dims > 1 and draw(st.booleans())
    compare(function, [(*batch, 3, *size)], channels_last)


@pytest.mark.parametrize("dims", [1, 2, 3])
@given(data=st.data())
def test_average_pooling(dims: int, data: Any) -> None:
    draw = data.draw
    kernel = per_dim(draw, dims, 1, 3)
    options = {
        "stride": draw(st.none() | st.just(per_dim(draw, dims, 1, 3))),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
        "count_include_pad": draw(st.booleans()),
    }
    if dims > 1 and draw(st.booleans()):
        options["divisor_override"] = draw(st.integers(1, 5))
    size = per_dim(draw, dims, 2, 7 if dims < 3 else 5)
    batch = (draw(st.integers(1, 3)),) if draw(st.booleans()) else ()

    def function(f: Any, x: Any) -> Any:
        return getattr(f, f"avg_pool{dims}d")(x, kernel, **options)

    channels_last = batch != () and dims > 1 and draw(st.booleans())
    compare(function, [(*batch, 3, *size)], channels_last)


@pytest.mark.parametrize("name", ["adaptive_avg_pool", "adaptive_max_pool"])
@pytest.mark.parametrize("dims", [1, 2, 3])
@given(data=st.data())
def test_adaptive_pooling(dims: int, name: str, data: Any) -> None:
    draw = data.draw
    size, target = per_dim(draw, dims, 1, 7), per_dim(draw, dims, 1, 5)
    batch = (draw(st.integers(1, 3)),) if draw(st.booleans()) else ()

    def function(f: Any, x: Any) -> Any:
        return getattr(f, f"{name}{dims}d")(x, target)

    channels_last = batch != () and dims > 1 and draw(st.booleans())
    compare(function, [(*batch, 2, *size)], channels_last)


@given(data=st.data())
@settings(max_examples=200)
def test_padding(data: Any) -> None:
    draw = data.draw
    ndim = draw(st.integers(2, 5))
    shape = per_dim(draw, ndim, 1, 5)
    mode = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    dims = ndim if mode == "constant" else max(ndim - 2, 1)
    amounts = per_dim(draw, 2 * draw(st.integers(1, dims)), -2, 3)

    def function(f: Any, x: Any) -> Any:
        return f.pad(x, amounts, mode=mode)

    if mode != "constant":
        # torch does not agree with itself on what is cropped away entirely, nor on repeating more
        # than was left.
        for n, left, right in zip(reversed(shape), amounts[::2], amounts[1::2], strict=False):
            kept = n + min(left, 0) + min(right, 0)
            assume(kept > 0 and (mode != "circular" or max(left, right) <= kept))
    compare(function, [shape], ndim > 3 and draw(st.booleans()))


@given(data=st.data())
@settings(max_examples=200)
def test_interpolation(data: Any) -> None:
    draw = data.draw
    dims = draw(st.integers(1, 3))
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[dims]
    modes = ["nearest", "nearest-exact", "area", linear] + (["bicubic"] if dims == 2 else [])
    mode = draw(st.sampled_from(modes))
    options: dict[str, Any] = {"mode": mode}
    if mode in (linear, "bicubic"):
        options["align_corners"] = draw(st.booleans())
    if draw(st.booleans()):
        options["size"] = per_dim(draw, dims, 1, 7)
    else:
        options["scale_factor"] = draw(st.sampled_from([0.5, 1.5, 2.0, 2.6, 0.7]))
    shape = (draw(st.integers(1, 2)), 2, *per_dim(draw, dims, 2, 5))

    def function(f: Any, x: Any) -> Any:
        return f.interpolate(x, **options)

    compare(function, [shape], dims > 1 and draw(st.booleans()))
