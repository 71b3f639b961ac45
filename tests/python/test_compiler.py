"""Compiled models against eager execution, on the engine under wasmtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wasm_torch as torch
from wasm_torch import nn
from wasm_torch.compiler import LEVELS, DataDependent, UnsupportedModel, compile, read
from wasm_torch.nn import functional as F
from wasm_torch.tracing import trace

pytest.importorskip("wasmtime")
from compiler_host import ENGINE, Engine, Model, assert_same

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="the engine is not built")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def _check(engine: Engine, model: Callable[..., Any], *inputs: Any, level: str = "O3") -> bytes:
    """Compiles on these inputs, and compares on others of the same shapes."""
    data = compile(trace(model, inputs), level)
    compiled = Model(data, engine)
    fresh = [torch.randn(x.shape) if x.dtype.is_floating_point else x.flip(0) for x in inputs]
    for given in (inputs, fresh):
        with torch.no_grad():
            want = model(*given)
        assert_same(compiled(*given), want)
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


# ---- states, methods, weights --------------------------------------------------------------------
class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(2))

    def forward(self, x: Any) -> Any:
        self.count += x
        return self.count * 2


def test_a_written_buffer_is_a_state(engine: Engine) -> None:
    counter = Counter()
    compiled = Model(compile(trace(counter, torch.tensor([5.0, 5.0]))), engine)
    assert [s["name"] for s in compiled.manifest["methods"]["forward"]["states"]] == ["count"]
    step = torch.tensor([1.0, 2.0])
    assert compiled(step)[0].tolist() == [2.0, 4.0]
    assert compiled(step)[0].tolist() == [4.0, 8.0]


def test_tracing_leaves_buffers_as_they_were() -> None:
    counter = Counter()
    trace(counter, torch.tensor([5.0, 5.0]))
    assert counter.count.tolist() == [0.0, 0.0]


def test_methods_share_states(engine: Engine) -> None:
    counter, x = Counter(), torch.tensor([1.0, 2.0])
    graphs = {
        "add": trace(counter, x),
        "read": trace(_method(counter, lambda x: counter.count + x), x),
        "take": trace(_method(counter, lambda x: counter.count.sub_(x) * 1), x),
    }
    compiled = Model(compile(graphs), engine)
    assert [t["name"] for t in compiled.manifest["weights"]["tensors"]] == ["count"]
    assert compiled(x, method="read")[0].tolist() == [1.0, 2.0]
    compiled(x, method="add")
    compiled(x, method="add")
    assert compiled(x, method="read")[0].tolist() == [3.0, 6.0]
    assert compiled(x, method="take")[0].tolist() == [1.0, 2.0]
    assert compiled(x, method="read")[0].tolist() == [2.0, 4.0]


def _method(module: nn.Module, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the weights of a module."""
    function.named_parameters = module.named_parameters  # type: ignore[attr-defined]
    function.named_buffers = module.named_buffers  # type: ignore[attr-defined]
    return function


def test_training_batch_norm_updates_its_statistics(engine: Engine) -> None:
    norm, x = nn.BatchNorm1d(3), torch.randn(8, 3)
    compiled = Model(compile(trace(norm, x)), engine)
    fresh = nn.BatchNorm1d(3)
    assert_same(compiled(x), fresh(x).detach())
    names = [s["name"] for s in compiled.manifest["methods"]["forward"]["states"]]
    assert {"running_mean", "running_var", "num_batches_tracked"} == set(names)
    mean = compiled.state("running_mean")
    assert_same([mean], fresh.running_mean)


def test_methods_share_weights(engine: Engine) -> None:
    net = nn.Linear(64, 64)
    graphs = {
        "forward": trace(net, torch.randn(2, 64)),
        "twice": trace(lambda x: net(net(x)), torch.randn(3, 64)),
    }
    data = compile(graphs)
    compiled = Model(data, engine)
    x = torch.randn(3, 64)
    assert_same(compiled(x, method="twice"), net(net(x)).detach())
    assert_same(compiled(x[:2]), net(x[:2]).detach())
    parameters = [t for t in compiled.manifest["weights"]["tensors"] if t["bytes"] > 256]
    assert len(parameters) == 1


def test_names_of_weights_are_unique(engine: Engine) -> None:
    net = mnist_net()
    x = torch.randn(1, 1, 28, 28)
    both = {"forward": trace(net, x), "bare": trace(lambda x: net.conv1(x), x)}
    manifest = Model(compile(both), engine).manifest
    names = [tensor["name"] for tensor in manifest["weights"]["tensors"]]
    assert len(names) == len(set(names)) and "conv1.weight" in names


def test_tied_weights_are_stored_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 4)
            self.head = nn.Linear(4, 10, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, ids: Any) -> Any:
            return self.head(self.embedding(ids))

    tensors = read(compile(trace(Tied(), torch.tensor([1, 2])))).manifest["weights"]["tensors"]
    assert [t["name"] for t in tensors] == ["embedding.weight"]


# ---- levels --------------------------------------------------------------------------------------
def _nodes(level: str) -> list[str]:
    manifest = read(compile(trace(mnist_net(), torch.randn(1, 1, 28, 28)), level)).manifest
    return [node["op"] for node in manifest["methods"]["forward"]["nodes"]]


def test_batch_norm_is_folded_from_o2_on() -> None:
    assert _nodes("O1").count("aten.native_batch_norm") == 2
    assert "aten.native_batch_norm" not in _nodes("O2") + _nodes("O3")


def test_constants_are_folded_and_dead_nodes_dropped_from_o1_on() -> None:
    weight = nn.Parameter(torch.randn(4))

    def model(x: Any) -> Any:
        x.exp()
        return x + weight.exp()

    def nodes(level: str) -> int:
        file = read(compile(trace(model, torch.randn(4)), level))
        return len(file.manifest["methods"]["forward"]["nodes"])

    assert (nodes("O0"), nodes("O1")) == (3, 1)


def test_memory_is_reused_in_place_from_o1_on() -> None:
    def arena(level: str) -> int:
        graph = trace(lambda x: x.exp().neg().cos().sum(), torch.randn(1000))
        return read(compile(graph, level)).manifest["methods"]["forward"]["arena_bytes"]

    assert arena("O1") == 4032 < arena("O0")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="optimization_level must be one of O0, O1, O2, O3"):
        compile(trace(MLP, torch.randn(1, 8)), "O4")


# ---- refusals ------------------------------------------------------------------------------------
def test_a_result_whose_size_depends_on_elements_is_refused() -> None:
    with pytest.raises(DataDependent, match="nonzero: the model reads the elements"):
        compile(trace(lambda x: x.nonzero(), torch.randn(3)))


def test_random_numbers_are_refused() -> None:
    layer = nn.Dropout(0.5).train()
    with pytest.raises(UnsupportedModel, match=r"no random generator: call eval\(\)"):
        compile(trace(layer, torch.randn(3)))


def test_a_written_parameter_is_refused() -> None:
    layer = nn.Linear(2, 2)

    def model(x: Any) -> Any:
        layer.weight.mul_(2)
        return layer(x)

    with pytest.raises(UnsupportedModel, match="writes into its parameter weight"):
        trace(_method(layer, model), torch.randn(1, 2))


def test_a_failed_kernel_names_its_node(engine: Engine) -> None:
    compiled = Model(compile(trace(Embedded(), torch.tensor([[1, 2]]))), engine)
    with pytest.raises(RuntimeError, match="embedding"):
        compiled(torch.tensor([[1, 99]]))
