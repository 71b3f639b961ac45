"""Packed weights, epilogues and channels last in compiled models, against eager execution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wasm_torch as torch
from wasm_torch import nn
from wasm_torch.compiler import Family, Symbol, compile, read
from wasm_torch.compiler.passes import optimize
from wasm_torch.nn import functional as F
from wasm_torch.tracing import trace

pytest.importorskip("wasmtime")
from compiler_host import ENGINE, Engine, Model, assert_same

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="the engine is not built")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return _engine()


@cache
def _engine() -> Engine:
    return Engine()


class Module(nn.Module):
    """Layers and a function of them and the input."""

    def __init__(self, forward: Callable[..., Any], *layers: nn.Module):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._forward = forward

    def forward(self, *inputs: Any) -> Any:
        return self._forward(self.layers, *inputs)


def _nodes(model: nn.Module, *inputs: Any, level: str = "O3") -> list[str]:
    graph = trace(model.eval(), inputs)
    optimize([[graph]], level)
    return [node.name for node in graph.nodes]


def _check(engine: Engine, model: nn.Module, *inputs: Any) -> set[str]:
    """Compares with eager execution; the kernels that the file calls."""
    data = compile(trace(model.eval(), inputs))
    with torch.no_grad():
        want = model(*inputs)
    assert_same(Model(data, engine)(*inputs), want)
    return set(read(data).manifest["kernels"])


def _conv(inputs: int = 6, outputs: int = 6, kernel: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options)


PICTURE = torch.randn(2, 6, 7, 9)

#: Models of one packed node each: everything else goes into it.
EPILOGUES: dict[str, tuple[nn.Module, Any]] = {
    "relu": (Module(lambda m, x: F.relu(m[0](x)), _conv()), PICTURE),
    "relu6": (Module(lambda m, x: F.relu6(m[0](x)), _conv(groups=6)), PICTURE),
    "hardtanh": (Module(lambda m, x: F.hardtanh(m[0](x), -0.1, 0.3), _conv()), PICTURE),
    "silu": (Module(lambda m, x: F.silu(m[0](x)), _conv()), PICTURE),
    "hardswish": (Module(lambda m, x: F.hardswish(m[0](x)), _conv(groups=6)), PICTURE),
    "gelu": (Module(lambda m, x: F.gelu(m[0](x)), nn.Linear(9, 5)), PICTURE),
    "gelu_tanh": (
        Module(lambda m, x: F.gelu(m[0](x), approximate="tanh"), nn.Linear(9, 5)),
        PICTURE,
    ),
    "leaky_relu": (Module(lambda m, x: F.leaky_relu(m[0](x), 0.2), _conv()), PICTURE),
    "residual": (Module(lambda m, x: m[0](x) + x, _conv()), PICTURE),
    "residual first": (Module(lambda m, x: x + m[0](x), nn.Linear(9, 9)), PICTURE),
    "residual and relu": (Module(lambda m, x: F.relu(m[0](x) + x), _conv(groups=2)), PICTURE),
}


@pytest.mark.parametrize("name", EPILOGUES)
def test_an_epilogue_becomes_part_of_the_kernel(engine: Engine, name: str) -> None:
    model, x = EPILOGUES[name]
    assert len(_nodes(model, x)) == 1 < len(_nodes(model, x, level="O1"))
    assert "conv_packed@1" in _check(engine, model, x)


#: Models whose nodes must not all be fused, with how many remain.
KEPT: dict[str, tuple[nn.Module, Any, int]] = {
    "a result that two nodes read": (
        Module(lambda m, x: (lambda y: F.relu(y) + y)(m[0](x)), _conv()),
        PICTURE,
        3,
    ),
    "a residual that broadcasts": (Module(lambda m, x: m[0](x) + x[:1], _conv()), PICTURE, 3),
    "a scaled residual": (
        Module(lambda m, x: torch.add(m[0](x), x, alpha=2), _conv()),
        PICTURE,
        2,
    ),
    "an activation before the sum": (
        Module(lambda m, x: F.relu(m[0](x)) + x, _conv()),
        PICTURE,
        2,
    ),
    "twice the same": (Module(lambda m, x: (lambda y: y + y)(m[0](x)), _conv()), PICTURE, 2),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_no_epilogue_stays(engine: Engine, name: str) -> None:
    model, x, count = KEPT[name]
    assert len(_nodes(model, x)) == count
    _check(engine, model, x)


def test_the_residual_of_a_block_is_added_by_its_last_convolution(engine: Engine) -> None:
    """The convolution that comes first waits for the other branch, or is what is added."""
    branches = lambda m, x: F.relu(m[1](F.relu(m[0](x))) + m[2](x))  # noqa: E731
    model = Module(branches, _conv(6, 12), _conv(12, 12), _conv(6, 12, 1))
    assert _nodes(model, PICTURE) == ["convolution"] * 3
    _check(engine, model, PICTURE)
    later = Module(lambda m, x: m[0](x) + torch.sin(x), _conv())
    assert _nodes(later, PICTURE) == ["sin", "convolution"]
    _check(engine, later, PICTURE)


def test_the_result_may_take_the_place_of_a_residual_that_is_no_input(engine: Engine) -> None:
    """A residual that the convolution reads as its input, too, must stay until the end."""
    own = Module(lambda m, x: (lambda y: F.relu(m[1](y) + y))(m[0](x)), _conv(), _conv())
    other = Module(lambda m, x: m[2](m[1](m[0](x)) + m[0](x)), _conv(), _conv(), _conv())
    _check(engine, own, PICTURE)
    _check(engine, other, PICTURE)

    def arena(model: nn.Module) -> int:
        return read(compile(trace(model, (PICTURE,)))).manifest["methods"]["forward"]["arena_bytes"]

    # The input as channels last, and two results: own's last one is the output, which is copied.
    block = Module(lambda m, x: m[2](m[1](torch.sin(m[0](x))) + m[0](x)), _conv(), _conv(), _conv())
    apart = Module(
        lambda m, x: m[2](F.relu(m[1](torch.sin(m[0](x)))) + m[0](x)), _conv(), _conv(), _conv()
    )
    assert arena(block) <= arena(apart)


def test_layouts_change_at_the_edges_alone(engine: Engine) -> None:
    """One copy into channels last, one out of it."""
    layers = [_conv(), _conv(groups=6), _conv(6, 10, 1), _conv(10, 10, stride=2)]
    model = Module(lambda m, x: m[3](F.max_pool2d(m[2](m[1](m[0](x))) * 2, 2)), *layers)
    data = compile(trace(model.eval(), (PICTURE,)))
    from wasm_torch.compiler.family import Family
    from wasm_torch.compiler.lower import lower
    from wasm_torch.compiler.weights import Weights

    family = Family.of(trace(model, (PICTURE,)))
    optimize([family.graphs], "O3")
    launches = Counter(launch.kernel for launch in lower(family.graphs[0], Weights()).launches)
    assert launches["copy"] == 2 and launches["conv_packed"] == 4
    assert_same(Model(data, engine)(PICTURE), model(PICTURE).detach())


def test_views_of_channels_last_results_copy_where_they_must(engine: Engine) -> None:
    flat = Module(lambda m, x: m[1](m[0](x).flatten(1)), _conv(), nn.Linear(6 * 63, 4))
    groups = Module(
        lambda m, x: m[0](x).view(2, 2, 3, 7, 9).transpose(1, 2).reshape(2, 6, 7, 9) + x, _conv()
    )
    rows = Module(lambda m, x: m[1](m[0](x).flatten(2).transpose(1, 2)), _conv(), nn.Linear(6, 5))
    for model in (flat, groups, rows):
        _check(engine, model, PICTURE)


def test_strides_given_as_numbers_keep_the_layout(engine: Engine) -> None:
    strided = lambda m, x: torch.as_strided(m[0](x), (2, 3, 7), (378, 9, 1), 1) * 2  # noqa: E731
    _check(engine, Module(strided, _conv()), PICTURE)


def test_a_weight_that_others_read_is_not_packed(engine: Engine) -> None:
    tied = Module(lambda m, ids: m[1](m[0](ids)), nn.Embedding(11, 8), nn.Linear(8, 11, bias=False))
    tied.layers[1].weight = tied.layers[0].weight
    ids = torch.tensor([[1, 10, 4]])
    assert "conv_packed@1" not in _check(engine, tied, ids)
    shared = _conv()
    twice = Module(lambda m, x: m[0](F.relu(m[0](x))), shared)
    assert "conv_packed@1" in _check(engine, twice, PICTURE)
    read = lambda m, x: m[0](x).sum() + (m[0].weight * x[0, 0, 0, 0]).sum()  # noqa: E731
    listed = Module(read, shared)
    assert "conv_packed@1" not in _check(engine, listed, PICTURE)


def test_methods_that_share_a_weight_agree_on_it(engine: Engine) -> None:
    layer = nn.Linear(8, 8)
    packed = trace(Module(lambda m, x: m[0](x), layer), (torch.randn(3, 8),))
    plain = trace(Module(lambda m, x: x @ m[0].weight, layer), (torch.randn(3, 8),))
    x = torch.randn(3, 8)
    model = Model(compile({"packed": packed, "plain": plain}), engine)
    with torch.no_grad():
        assert_same(model(x, method="packed"), layer(x))
        assert_same(model(x, method="plain"), x @ layer.weight)


def test_a_weight_that_is_its_own_input_is_not_packed(engine: Engine) -> None:
    products = Module(lambda m, x: F.linear(m[0].weight, m[0].weight) + x, nn.Linear(4, 300))
    assert "conv_packed@1" not in _check(engine, products, torch.randn(300, 300))


def test_an_epilogue_does_not_move_its_layer_past_a_write(engine: Engine) -> None:
    """The layer reads a view of what is written."""

    def forward(layers: Any, x: Any) -> Any:
        h = x * 2
        y = layers[0](h[:1])
        h.mul_(0)
        return F.relu(y), h

    _check(engine, Module(forward, nn.Linear(9, 5)), torch.randn(3, 9))


def test_an_epilogue_whose_numbers_follow_a_size(engine: Engine) -> None:
    model = Module(lambda m, x: F.hardtanh(m[0](x * 9), -0.5, float(x.shape[0])), nn.Linear(9, 5))
    sizes = Family([Symbol("n", 1, 64, 0, 0)], lambda s: trace(model, (torch.randn(s["n"], 9),)))
    compiled = Model(compile(sizes), engine)
    for n in (1, 4, 31):
        x = torch.randn(n, 9) * 9
        with torch.no_grad():
            assert_same(compiled(x), model(x))


def test_writes_into_results_keep_the_layout(engine: Engine) -> None:
    def forward(layers: Any, x: Any) -> Any:
        y = layers[0](x)
        y.view(2, -1)[:, 0] = 7.0
        return y

    _check(engine, Module(forward, _conv()), PICTURE)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3),
    st.sampled_from([(1, 5, 7), (1, 16, 24), (3, 2, 3), (4, 1, 1), (12, 1, 1)]),
    st.integers(1, 9),
    st.sampled_from([1, 2, 3, 5]),
    st.integers(1, 2),
    st.integers(1, 2),
    st.booleans(),
)
def test_random_convolutions(
    batch: int,
    channels: tuple[int, int, int],
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    bias: bool,
) -> None:
    groups, inputs, outputs = channels
    padding = dilation * (kernel - 1) // 2
    layer = nn.Conv2d(
        groups * inputs, groups * outputs, kernel, stride, padding, dilation, groups, bias
    )
    size = max(size, dilation * (kernel - 1) + 1 - 2 * padding)
    _check(_engine(), layer, torch.randn(batch, groups * inputs, size, size + 2))


@pytest.mark.parametrize("dims", [1, 3])
def test_other_dimensions(engine: Engine, dims: int) -> None:
    layer = (nn.Conv1d if dims == 1 else nn.Conv3d)(4, 9, 3, 2, 1)
    x = torch.randn(2, 4, *(7,) * dims)
    assert "conv_packed@1" in _check(engine, Module(lambda m, x: F.gelu(m[0](x)), layer), x)
