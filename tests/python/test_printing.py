"""Tensors print exactly as torch prints them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import wasm_torch

BOTH = [torch, wasm_torch]


@pytest.fixture(autouse=True)
def default_options():
    yield
    for t in BOTH:
        t.set_printoptions(profile="default")


def both(text_of) -> None:
    assert text_of(wasm_torch) == text_of(torch)


TENSORS = {
    "scalar": lambda t: t.tensor(3.5),
    "int_scalar": lambda t: t.tensor(7),
    "bool": lambda t: t.tensor([[True, False], [False, False]]),
    "ints": lambda t: t.arange(12).reshape(3, 4) * 100 - 500,
    "int8": lambda t: t.tensor([1, -2], dtype=t.int8),
    "whole_floats": lambda t: t.tensor([1.0, 20.0, -3.0]),
    "fractions": lambda t: t.tensor([0.5, 123.456, -0.001]),
    "scientific": lambda t: t.tensor([1e-5, 1.0, 20000.0]),
    "large": lambda t: t.tensor([1e9, 2.0]),
    "special": lambda t: t.tensor([math.nan, math.inf, -math.inf, 1.0, 2.5]),
    "only_special": lambda t: t.tensor([math.nan, math.inf]),
    "zeros": lambda t: t.zeros(2, 3),
    "negative_zero": lambda t: t.tensor([-0.0, 1.5]),
    "double": lambda t: t.tensor([1.23456789], dtype=t.float64),
    "half": lambda t: t.tensor([1.23456789, 1000], dtype=t.float16),
    "bfloat16": lambda t: t.tensor([0.1, 2], dtype=t.bfloat16),
    "empty": lambda t: t.tensor([]),
    "empty_ints": lambda t: t.empty(0, dtype=t.int64),
    "empty_shape": lambda t: t.empty(2, 0, 3),
    "requires_grad": lambda t: t.ones(2, requires_grad=True),
    "grad_fn": lambda t: t.ones(2, requires_grad=True) * 2,
    "view": lambda t: (t.ones(2, 3, requires_grad=True) * 1).t(),
    "sum": lambda t: t.ones(2, requires_grad=True).sum(),
    "linear": lambda t: t.nn.functional.linear(
        t.ones(1, 2), t.ones(1, 2, requires_grad=True), t.ones(1)),
    "cross_entropy": lambda t: t.nn.functional.cross_entropy(
        t.ones(2, 3, requires_grad=True), t.tensor([0, 2])),
    "cross_entropy_2d": lambda t: t.nn.functional.cross_entropy(
        t.ones(2, 3, 4, requires_grad=True), t.zeros(2, 4, dtype=t.int64)),
    "mse_loss": lambda t: t.nn.functional.mse_loss(t.ones(2, requires_grad=True), t.zeros(2)),
    "l1_loss": lambda t: t.nn.functional.l1_loss(t.ones(2, requires_grad=True), t.zeros(2)),
    "bce": lambda t: t.nn.functional.binary_cross_entropy(
        t.full((2,), 0.5, requires_grad=True), t.zeros(2)),
    "bce_logits": lambda t: t.nn.BCEWithLogitsLoss()(t.ones(2, requires_grad=True), t.zeros(2)),
    "huber": lambda t: t.nn.functional.huber_loss(t.ones(2, requires_grad=True), t.zeros(2)),
    "smooth_l1": lambda t: t.nn.SmoothL1Loss()(t.ones(2, requires_grad=True), t.zeros(2)),
    "conv": lambda t: t.nn.functional.conv2d(
        t.ones(1, 1, 2, 2), t.ones(1, 1, 2, 2, requires_grad=True)),
    "max_pool": lambda t: t.nn.functional.max_pool2d(t.ones(1, 1, 2, 2, requires_grad=True), 2),
    "softmax": lambda t: t.nn.functional.softmax(t.zeros(2, requires_grad=True), 0),
    "dropout": lambda t: t.nn.functional.dropout(t.zeros(2, requires_grad=True)),
    "layer_norm": lambda t: t.nn.functional.layer_norm(t.zeros(2, requires_grad=True), (2,)),
    "batch_norm": lambda t: t.nn.BatchNorm1d(2)(t.zeros(3, 2)),
    "embedding": lambda t: t.nn.functional.embedding(
        t.tensor([0]), t.ones(1, 2, requires_grad=True)),
    "parameter": lambda t: t.nn.Parameter(t.arange(3.0)),
    "frozen_parameter": lambda t: t.nn.Parameter(t.arange(3.0), requires_grad=False),
    "long": lambda t: t.arange(1001),
    "long_matrix": lambda t: t.arange(40.0 * 40).reshape(40, 40),
    "long_4d": lambda t: t.arange(7.0 * 8 * 9 * 3).reshape(7, 8, 9, 3) / 7,
    "wide": lambda t: t.arange(60.0).reshape(2, 30) / 3,
    "suffix_wraps": lambda t: (t.arange(14.0, dtype=t.float64).requires_grad_() + 0.25),
    "strided": lambda t: t.arange(24).reshape(2, 3, 4)[:, ::2, 1:].transpose(0, 2),
    "expanded": lambda t: t.tensor([[1.5], [2.5]]).expand(2, 3),
    "list": lambda t: [t.tensor(1), t.tensor([2.0])],
    "size": lambda t: t.ones(2, 3).shape,
    "dtype": lambda t: (t.float32, t.bfloat16, t.int64, t.bool),
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORS)
def test_tensor(name: str) -> None:
    both(lambda t: repr(TENSORS[name](t)))
    both(lambda t: str(TENSORS[name](t)))


OPTIONS = [
    {"precision": 2},
    {"precision": 7, "linewidth": 40},
    {"sci_mode": True},
    {"sci_mode": False, "precision": 1},
    {"threshold": 5, "edgeitems": 1},
    {"threshold": 5, "edgeitems": 0},
    {"profile": "short"},
    {"profile": "full"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(
    "name", ["fractions", "large", "special", "long", "wide", "ints", "double"]
)
def test_options(name: str, options: dict) -> None:
    for t in BOTH:
        t.set_printoptions(**options)
    both(lambda t: repr(TENSORS[name](t)))


def test_random_tensors() -> None:
    """Shapes, scales and options at random, from a fixed seed."""
    random = np.random.default_rng(0)
    for _ in range(400):
        shape = tuple(random.choice([0, 1, 2, 3, 5, 8, 30], random.integers(0, 4)))
        values = (random.standard_normal(shape) * 10.0 ** random.integers(-6, 9)).astype(np.float32)
        if random.random() < 0.3:
            values = np.round(values)
        if values.size and random.random() < 0.3:
            values.reshape(-1)[0] = random.choice([np.nan, np.inf, 0.0])
        options = {
            "precision": int(random.integers(0, 7)),
            "threshold": int(random.choice([5, 100, 1000])),
            "edgeitems": int(random.integers(1, 4)),
            "linewidth": int(random.choice([20, 80, 120])),
            "sci_mode": [None, None, True, False][random.integers(4)],
        }
        for t in BOTH:
            t.set_printoptions(**options)
        both(lambda t: repr(t.from_numpy(np.array(values))))  # noqa: B023 - called at once


def test_default_dtype_is_not_named() -> None:
    for t in BOTH:
        t.set_default_dtype(t.float64)
    try:
        both(lambda t: repr([t.ones(1), t.ones(1, dtype=t.float32), t.empty(0)]))
    finally:
        for t in BOTH:
            t.set_default_dtype(t.float32)


def test_options_are_reported() -> None:
    wasm_torch.set_printoptions(precision=3, sci_mode=True)
    assert wasm_torch.get_printoptions() == {
        "precision": 3, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": True,
    }  # fmt: skip
