"""Compiled models against eager execution, on the engine under wasmtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wasm_torch as torch
from wasm_torch import nn
from wasm_torch.compiler import LEVELS, compile
from wasm_torch.nn import functional as F
from wasm_torch.trace import trace

pytest.importorskip("wasmtime")
from compiler_host import ENGINE, Engine, Model

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="the engine is not built")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def _flat(result: Any) -> list[Any]:
    if isinstance(result, (tuple, list)):
        return [t for item in result for t in _flat(item)]
    if isinstance(result, dict):
        return [t for item in result.values() for t in _flat(item)]
    return [result]


def _assert_same(got: list[Any], want: Any, tolerance: float = 1e-5) -> None:
    wanted = _flat(want)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype is b.dtype and tuple(a.shape) == tuple(b.shape)
        if not a.numel():
            continue
        if not a.dtype.is_floating_point:
            assert bool((a == b).all())
            continue
        scale = max(float(b.abs().max()), 1e-6)
        assert float((a - b).abs().max()) <= tolerance * scale


def _check(engine: Engine, model: Callable[..., Any], *inputs: Any, level: str = "O3") -> bytes:
    """Compiles on these inputs, and compares on others of the same shapes."""
    data = compile(trace(model, inputs), level)
    compiled = Model(data, engine)
    fresh = [torch.randn(x.shape) if x.dtype.is_floating_point else x.flip(0) for x in inputs]
    for given in (inputs, fresh):
        with torch.no_grad():
            want = model(*given)
        _assert_same(compiled(*given), want)
    return data


class MnistNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16)
        self.head = nn.Linear(16 * 6 * 6, 10)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return F.log_softmax(self.head(x.flatten(1)), 1)


def mnist_net() -> nn.Module:
    torch.manual_seed(0)
    net = MnistNet()
    for norm in (net.bn1, net.bn2):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
        nn.init.uniform_(norm.weight, 0.5, 2.0)
        nn.init.normal_(norm.bias)
    return net.eval()


class Embedded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 12)
        self.norm = nn.LayerNorm(12)

    def forward(self, ids: Any) -> Any:
        return self.norm(self.embedding(ids)).mean(1)


MLP = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4))


@pytest.mark.parametrize("level", LEVELS)
def test_mlp(engine: Engine, level: str) -> None:
    _check(engine, MLP, torch.randn(3, 8), level=level)


@pytest.mark.parametrize("level", LEVELS)
def test_mnist_net(engine: Engine, level: str) -> None:
    _check(engine, mnist_net(), torch.randn(2, 1, 28, 28), level=level)


def test_transformer_encoder_layer(engine: Engine) -> None:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval()
    _check(engine, layer, torch.randn(2, 7, 32))


def test_embedding_and_layer_norm(engine: Engine) -> None:
    _check(engine, Embedded(), torch.randint(0, 20, (3, 5)))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent(engine: Engine, kind: type) -> None:
    _check(engine, kind(6, 8, num_layers=2, batch_first=True), torch.randn(2, 5, 6))


FUNCTIONS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "broadcast": (lambda x, y: x * y + 2 - y / 3, [(3, 4), (4,)]),
    "transposed": (lambda x: x.t() * 2 + x.t().exp(), [(3, 4)]),
    "slices": (lambda x: x[1:, ::2] - x[:-1, 1::2], [(4, 6)]),
    "two outputs": (lambda x: (x.sum(0), x.max(1)), [(3, 4)]),
    "named outputs": (lambda x: {"a": x + 1, "b": [x * 2, x.softmax(0)]}, [(3, 4)]),
    "the same output twice": (lambda x: ((y := x + 1), y), [(3, 4)]),
    "an input is an output": (lambda x: x, [(3, 4)]),
    "a view is an output": (lambda x: (x + 1).t(), [(3, 4)]),
    "matmul": (lambda x, y: x @ y, [(2, 3, 4), (4, 5)]),
    "cat and split": (lambda x, y: torch.cat([x, y], 1).split(2, 1), [(3, 4), (3, 2)]),
    "where": (lambda x: torch.where(x > 0, x, x * 0.1), [(3, 4)]),
    "comparison": (lambda x: ((x > 0) & (x < 1), x.argmax(1)), [(3, 4)]),
    "in place": (lambda x: (x * 2).add_(1).mul_(x), [(3, 4)]),
    "reductions": (lambda x: (x.mean((0, 2)), x.var(1), x.amax(-1, True)), [(3, 4, 5)]),
    "flip and roll": (lambda x: x.flip(0) + x.roll(1, 1), [(3, 4)]),
    "cumsum and sort": (lambda x: (x.cumsum(1), *x.sort(1)), [(3, 4)]),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), [(1, 2, 4, 4)]),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1)), [(2, 3)]),
    "scalars": (lambda x: x.clamp(-0.5, 0.5) ** 2 + 1 / (x.abs() + 1), [(5,)]),
    "transposed convolution": (lambda x, w: F.conv_transpose2d(x, w), [(1, 2, 5, 5), (2, 3, 3, 3)]),
    "average pooling": (lambda x: F.adaptive_avg_pool2d(F.avg_pool2d(x, 2), 1), [(1, 2, 8, 8)]),
    "dtypes": (lambda x: (x * 10).to(torch.int64) + 1, [(3, 4)]),
    "one number": (lambda x: x.sum(), [(3, 4)]),
    "empty": (lambda x: x[:0] + 1, [(3, 4)]),
    "index": (lambda x: x[torch.tensor([2, 0])], [(3, 4)]),
    "attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        [(2, 3, 5, 8)] * 3,
    ),
}


def _write_slice(x: Any) -> Any:
    y = torch.zeros(3, 4)
    y[1:, 2] = x
    y[0] += 1
    return y


FUNCTIONS["write into a slice"] = (_write_slice, [(2,)])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("level", ["O0", "O3"])
def test_function(engine: Engine, name: str, level: str) -> None:
    function, shapes = FUNCTIONS[name]
    torch.manual_seed(1)
    _check(engine, function, *(torch.randn(shape) for shape in shapes), level=level)
