"""In-place and ``out=`` variants against torch: one line a case."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from parity import Inputs, assert_equal, assert_same_failure

import wasm_torch

INPLACE = [
    "v.add_(w)",
    "v.add_(w, alpha=2)",
    "v.sub_(1)",
    "v.mul_(w)",
    "v.div_(2)",
    "v.pow_(2)",
    "v.abs_()",
    "v.neg_()",
    "v.exp_()",
    "v.sqrt_()",
    "v.clamp_(-0.5, 0.5)",
    "v.sigmoid_()",
    "v.relu_()",
    "v.tanh_()",
    "v.floor_()",
    "v.round_()",
    "v.reciprocal_()",
    "v.lerp_(w, 0.3)",
    "v.addcmul_(w, w)",
    "v.addcdiv_(w, w + 5)",
    "v.copy_(w)",
    "v.copy_(w[0])",
    "v.fill_(3)",
    "v.zero_()",
    "v.masked_fill_(v > 0, 1.5)",
    "v.t_()",
    "v.unsqueeze_(0)",
    "v.transpose_(0, 1)",
    "v.tril_()",
    "v.triu_(1)",
    "v.cumsum_(1)",
    "v.index_fill_(0, torch.tensor([1]), 2.0)",
    "v.index_add_(0, torch.tensor([0]), w[:1])",
    "v.scatter_(1, torch.tensor([[0], [1], [2]]), 9.0)",
    "v.logical_not_()",
    "v.resize_(2, 2)",
    "v.clamp_min_(0.1)",
    "v.hypot_(w)",
    "v.fmod_(0.7)",
    "v.remainder_(0.7)",
    "v.atan2_(w)",
    "v.addmm_(w[:, :3], w[:3, :])",
    "v.ne_(0)",
    "v.__iadd__(w)",
    "v.__imul__(2)",
    "v.__itruediv__(w)",
    "v.__isub__(w)",
]
OUT = [
    "torch.add(v, w, out=o)",
    "torch.mul(v, 2, out=o)",
    "torch.exp(v, out=o)",
    "torch.sum(v, 1, out=o)",
    "torch.cat((v, w), out=o)",
    "torch.mm(v, w.t(), out=o)",
    "torch.max(v, 1, out=(o, k))",
    "torch.sort(v, 1, out=(o, k))",
    "torch.arange(5.0, out=o)",
    "torch.stack((v, w), out=o)",
    "torch.where(v > 0, v, w, out=o)",
    "torch.clamp(v, min=0, out=o)",
    "torch.zeros(3, out=o)",
    "torch.scatter(v, 1, torch.tensor([[0], [1], [1]]), 2.0, out=o)",
    "torch.scatter(v, 1, torch.tensor([[0], [1], [1]]), w, reduce='add', out=o)",
]
ASSIGN = [
    "v[1] = 5",
    "v[:, 2] = w[:, 0]",
    "v[v > 0] = -1",
    "v[torch.tensor([0, 2])] = w[:2]",
    "v[..., ::2] = 0.5",
    "v[0, 1] = torch.tensor(7.0)",
    "v[1:, torch.tensor([0, 1])] = 3.0",
    "v[None, :, 0] = 1",
    "v[:] = w",
    "v[[0, 1], [2, 3]] = torch.tensor([1.0, 2.0])",
]


OPERATORS = ["+=", "-=", "*=", "/=", "//=", "%=", "**="]
VIEWS = {
    "made_without_grad": (
        "x = torch.ones(4, requires_grad=True) * 1\nwith torch.no_grad(): v = x[1:]"
    ),
    "of_a_leaf": "v = torch.ones(4, requires_grad=True)[1:]",
    "of_a_leaf_without_grad": (
        "x = torch.ones(4, requires_grad=True)\nwith torch.no_grad(): v = x[1:]"
    ),
}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("view", VIEWS)
def test_operators_refuse_views(view: str, operator: str) -> None:
    source = f"{VIEWS[view]}\nv {operator} 2"
    assert_same_failure(lambda package: exec(source, {"torch": package}))


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o != "//="])
def test_operators_on_views(operator: str) -> None:
    source = f"""
w = torch.full((4,), 2.0, requires_grad=True)
x = w * 3
v = x[1:]
v {operator} 2.5
with torch.no_grad():
    other = x.detach()[:2]
    other {operator} 2
plain = torch.arange(1.0, 5.0)[1:]
plain {operator} 2
unchanged = w * 3
part = unchanged[1:]
part {operator} 2
unchanged.sum().backward()
"""
    results = []
    for package in (torch, wasm_torch):
        scope: dict[str, Any] = {"torch": package}
        exec(source, scope)
        names = ("x", "v", "other", "plain", "part")
        results.append([scope[name] for name in names] + [scope["w"].grad])
    assert_equal(results[0], results[1], 1e-4, 1e-5)


def run(source: str, package: Any, mode: str) -> Any:
    inputs = Inputs(package)
    scope: dict[str, Any] = {"torch": package, "v": inputs.c(3, 4), "w": inputs.c(3, 4)}
    scope |= {"o": package.empty(0), "k": package.empty(0, dtype=package.int64)}
    if mode == "exec":
        exec(source, scope)
        return scope["v"]
    result = eval(source, scope)
    return result, scope["v"], scope["o"]


@pytest.mark.parametrize("source", INPLACE)
def test_inplace(source: str) -> None:
    expected, actual = run(source, torch, "eval"), run(source, wasm_torch, "eval")
    if "resize" in source:
        assert tuple(expected[1].shape) == tuple(actual[1].shape)
        return
    assert_equal(expected, actual, 1e-4, 1e-5)
    assert actual[0] is actual[1]


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("source", OUT)
def test_out(source: str) -> None:
    assert_equal(run(source, torch, "eval"), run(source, wasm_torch, "eval"), 1e-4, 1e-5)


@pytest.mark.parametrize("source", ASSIGN)
def test_assignment(source: str) -> None:
    assert_equal(run(source, torch, "exec"), run(source, wasm_torch, "exec"), 1e-4, 1e-5)


def test_overlapping_copies_read_before_they_write() -> None:
    v = wasm_torch.arange(6.0)
    v[:-1].copy_(v[1:])
    assert v.tolist() == [1, 2, 3, 4, 5, 5]


def test_versions_count_changes_through_views() -> None:
    v = wasm_torch.zeros(4)
    v[0] = 1
    v.view(2, 2).add_(1)
    assert v._version == 2
    v.data.add_(1)
    assert v._version == 2
