"""Pointwise launches as programs: how many launches are left, and that results stay the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wasm_torch as torch
from wasm_torch import _C, nn
from wasm_torch.compiler import Family, Symbol, compile, read
from wasm_torch.compiler.lower import lower
from wasm_torch.compiler.passes import LAUNCH_LEVELS, LEVELS, optimize
from wasm_torch.compiler.plan import may_replace, plan
from wasm_torch.compiler.plan_tensor import Buffer, PlanTensor
from wasm_torch.compiler.record import Launch
from wasm_torch.compiler.weights import Weights
from wasm_torch.nn import functional as F
from wasm_torch.ops._table import TABLE
from wasm_torch.tracing import trace

pytest.importorskip("wasmtime")
from compiler_host import ENGINE, Engine, Model, flat

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="the engine is not built")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def launches(model: Callable[..., Any], inputs: tuple[Any, ...], level: str) -> list[str]:
    """The kernels that a model's calls launch, in order."""
    graph, weights = trace(model, inputs), Weights()
    optimize([[graph]], level)
    lowered = lower(graph, weights)
    for run in LAUNCH_LEVELS[level]:
        run([lowered.launches], [weights])
    return [launch.kernel for launch in lowered.launches]


def bits(tensors: Any) -> list[bytes]:
    return [bytes(_C.to_bytes(t)) for t in flat(tensors)]


def check_same(engine: Engine, model: Callable[..., Any], *inputs: Any) -> None:
    """The fused file gives what the unfused one gives, to the bit."""
    graphs = [compile(trace(model, inputs), level) for level in ("O0", "O2", "O3")]
    results = [bits(Model(data, engine)(*inputs)) for data in graphs]
    assert results[0] == results[1] == results[2]


# ---- patterns of models --------------------------------------------------------------------------
def gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gate(x: Any, y: Any) -> Any:
    return x * torch.sigmoid(x) * y


def rotary(x: Any, cosine: Any, sine: Any) -> Any:
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat([-second, first], -1) * sine


def lstm_cell(gates: Any, cell: Any) -> Any:
    i, f, g, o = gates.chunk(4, 1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def layer_scale(x: Any, gamma: Any, y: Any) -> Any:
    """Reads across the order of the output, which is left to the steps one by one."""
    return (x * gamma).permute(0, 3, 1, 2) + y


def chosen(x: Any, y: Any) -> Any:
    inside = (x > -1) & (x <= 1)
    return torch.where(inside & ~(y == 0), x.clamp(-2, 2) * y, torch.maximum(x, y) / 3).exp()


def stays_where_read(x: Any) -> Any:
    """One intermediate is an output as well, and so is no part of the group."""
    y = (x + 1).exp()
    return y, (y * 2 - x).tanh()


def reshaped(x: Any) -> Any:
    y = x.exp().view(-1) + 1
    return y.view(x.shape).tanh() * x


def changed_between(x: Any) -> Any:
    """What a step reads is written before the group's last step."""
    state = x.clone()
    y = state.exp()
    state[0] = 7
    return (y + 1) * state


def summed(x: Any) -> Any:
    y = (x * x + 1).sqrt()
    return (y / y.sum(-1, keepdim=True)).neg().exp()


#: The model, the shapes of its inputs, and its launches without and with fusion.
PATTERNS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]], int, int]] = {
    "gelu": (gelu_tanh, [(5, 37)], 8, 1),
    "gate": (gate, [(2, 300), (2, 300)], 3, 1),
    "rotary": (rotary, [(2, 3, 7, 8), (7, 8), (7, 8)], 6, 3),
    "lstm cell": (lstm_cell, [(3, 32), (3, 8)], 9, 2),
    "layer scale": (layer_scale, [(2, 9, 9, 5), (5,), (2, 5, 9, 9)], 3, 3),
    "where": (chosen, [(4, 33), (33,)], 12, 2),
    "an output within": (stays_where_read, [(41,)], 5, 2),
    "reshaped": (reshaped, [(3, 4, 5)], 4, 1),
    "changed between": (changed_between, [(3, 4)], 5, 4),
    "sums between": (summed, [(3, 50)], 7, 3),
    "one number": (lambda x: (x * 2 + 1).exp(), [()], 3, 1),
    "transposed": (lambda x, y: (x.t() * y + x.t()).relu(), [(70, 90), (90, 70)], 4, 3),
    "expanded": (lambda x: (x.expand(6, 80) * 2).exp() + 1, [(6, 1)], 3, 1),
    "hardswish": (lambda x: x * F.relu6(x + 3) / 6, [(3, 8, 7, 7)], 4, 1),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_take_fewer_launches_and_give_the_same(engine: Engine, name: str) -> None:
    model, shapes, before, after = PATTERNS[name]
    torch.manual_seed(0)
    inputs = tuple(torch.randn(shape) for shape in shapes)
    counts = [len(launches(model, inputs, level)) for level in ("O2", "O3")]
    assert counts == [before, after]
    check_same(engine, model, *inputs)


def test_a_value_is_read_before_it_is_overwritten() -> None:
    kernels = launches(changed_between, (torch.randn(3, 4),), "O3")
    assert kernels == ["copy", "unary_contiguous", "copy", "pointwise_program"]


def test_a_copy_into_overlapping_places_is_no_step(engine: Engine) -> None:
    def model(x: Any) -> Any:
        return TABLE["_with_strides"](x.exp(), (1, 2), 0) * 1.5

    x = torch.randn(3, 4)
    assert launches(model, (x,), "O3") == launches(model, (x,), "O2")
    check_same(engine, model, x)


def test_every_level_does_more_than_the_one_before(engine: Engine) -> None:
    torch.manual_seed(0)
    scale = torch.tensor([1.5])
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.SiLU()).eval()
    x = torch.randn(2, 3, 9, 9)

    def model(x: Any) -> Any:
        y = body(x)
        return y * scale.exp() + y.tanh()

    kernels = [launches(model, (x,), level) for level in LEVELS]
    work = [[kernel for kernel in found if kernel != "copy"] for found in kernels]
    assert all(len(a) > len(b) for a, b in pairwise(work))
    assert "batch_norm" in kernels[1] and "batch_norm" not in kernels[2]
    assert kernels[3] == ["copy", "conv_packed", "pointwise_program", "copy"]
    with torch.no_grad():
        want = model(x)
    for level in LEVELS:
        got = Model(compile(trace(model, (x,)), level), engine)(x)[0]
        assert float((got - want).abs().max()) < 1e-5


# ---- limits --------------------------------------------------------------------------------------
def test_long_chains_are_cut_into_programs(engine: Engine) -> None:
    def chain(x: Any) -> Any:
        for k in range(40):
            x = (x + k).sin()
        return x

    x = torch.randn(100)
    assert launches(chain, (x,), "O2") == ["binary_contiguous", "unary_contiguous"] * 40
    assert launches(chain, (x,), "O3") == ["pointwise_program"] * 3
    check_same(engine, chain, x)


def test_a_program_reads_eight_tensors_and_no_more(engine: Engine) -> None:
    def total(*tensors: Any) -> Any:
        result = tensors[0].exp()
        for tensor in tensors[1:]:
            result = result + tensor.exp()
        return result

    tensors = tuple(torch.randn(30) for _ in range(10))
    assert launches(total, tensors[:8], "O3") == ["pointwise_program"]
    assert launches(total, tensors, "O3").count("pointwise_program") == 2
    check_same(engine, total, *tensors)


def test_more_results_at_once_than_registers(engine: Engine) -> None:
    def wide(x: Any) -> Any:
        parts = [(x + k).sin() for k in range(20)]
        while len(parts) > 1:
            parts = [a * b for a, b in zip(parts[::2], parts[1::2], strict=False)] + (
                parts[-1:] if len(parts) % 2 else []
            )
        return parts[0]

    x = torch.randn(50)
    assert len(launches(wide, (x,), "O3")) < len(launches(wide, (x,), "O2"))
    check_same(engine, wide, x)


# ---- memory --------------------------------------------------------------------------------------
def test_a_program_takes_its_operands_place() -> None:
    def model(x: Any) -> Any:
        y = x.cumsum(0)
        return ((y + 1).exp() * y).cumsum(0)

    file = read(compile(trace(model, (torch.randn(100),)), "O3"))
    assert file.manifest["methods"]["forward"]["arena_bytes"] == 448


def test_a_program_keeps_out_of_the_place_of_an_operand_read_in_two_orders() -> None:
    def vector(buffer: Buffer, stride: tuple[int, int]) -> PlanTensor:
        return PlanTensor(buffer, (8, 8), _C.float32, stride)

    source, target = Buffer("arena", 256), Buffer("arena", 256)
    out, straight = vector(target, (8, 1)), vector(source, (8, 1))
    turned = vector(source, (1, 8))
    rest = [None] * 6 + [straight, straight]
    alike = Launch("pointwise_program", [out, straight, straight, *rest])
    mixed = Launch("pointwise_program", [out, straight, turned, *rest])
    assert may_replace(alike, "in0") and not may_replace(mixed, "in0")
    assert plan([Launch("fill", [straight, 1]), mixed, Launch("copy", [straight, out])]) == 512


def test_a_result_in_any_order_takes_the_place_of_an_operand_in_that_order() -> None:
    def turned() -> PlanTensor:
        return PlanTensor(Buffer("arena", 256), (8, 8), _C.float32, (1, 8))

    out, operand = turned(), turned()
    other = PlanTensor(Buffer("arena", 256), (8, 8), _C.float32, (8, 1))
    launch = Launch("binary", [out, operand, other, 0, 0, 0, 1.0])
    assert may_replace(launch, "self") and not may_replace(launch, "other")

    def model(x: Any) -> Any:
        y = x.cumsum(0).t()
        return (y.exp() * 2 + y).t().cumsum(0)

    file = read(compile(trace(model, (torch.randn(20, 32),)), "O2"))
    assert file.manifest["methods"]["forward"]["arena_bytes"] == 2 * 2560


def test_read_in_two_orders(engine: Engine) -> None:
    check_same(engine, lambda x: (x.cumsum(0) + 1).exp() + x.cumsum(0).t(), torch.randn(90, 90))

    def both(x: Any) -> Any:
        y = x.cumsum(0)
        return (y * 2 + y.t()).exp().cumsum(0)

    check_same(engine, both, torch.randn(90, 90))


def test_equal_programs_are_stored_once() -> None:
    def model(x: Any) -> Any:
        for _ in range(3):
            x = gelu_tanh(x).cumsum(0)
        return x

    tensors = read(compile(trace(model, (torch.randn(9),)), "O3")).manifest["weights"]["tensors"]
    assert [(t["dtype"], t["role"]) for t in tensors] == [
        ("int32", "constant"),
        ("float64", "constant"),
    ]


# ---- sizes that vary -----------------------------------------------------------------------------
def vary(model: Any, inputs: Callable[..., Any], **minimums: tuple[int, int, int]) -> Family:
    """``minimums``: the smallest size of each symbol, its input and dimension."""
    symbols = [Symbol(n, low, 500, *place) for n, (low, *place) in minimums.items()]
    return Family(symbols, lambda sizes: trace(model, inputs(**sizes)))


def test_varying_batch_and_length(engine: Engine) -> None:
    def model(x: Any, gamma: Any) -> Any:
        y = gelu_tanh(x.reshape(-1, 6)).view(x.shape)
        return (y * gamma + x).permute(0, 2, 1) * 2, x.sum(1).exp() / x.shape[1]

    def inputs(batch: int, length: int) -> tuple[Any, ...]:
        return torch.randn(batch, length, 6), torch.randn(6)

    def file(level: str) -> bytes:
        return compile(vary(model, inputs, batch=(1, 0, 0), length=(1, 0, 1)), level)

    plain, fused = (Model(file(level), engine) for level in ("O2", "O3"))
    assert "pointwise_program@1" in fused.manifest["kernels"]
    for batch, length in ((1, 1), (1, 7), (4, 1), (3, 130)):
        given = inputs(batch, length)
        assert bits(plain(*given)) == bits(fused(*given))


def test_numbers_that_vary_stay_outside_of_programs(engine: Engine) -> None:
    def model(x: Any) -> Any:
        return ((x + 1).exp() * x.shape[0]).tanh().neg()

    inputs = lambda rows: (torch.randn(rows, 5),)  # noqa: E731
    plain, fused = (
        Model(compile(vary(model, inputs, rows=(1, 0, 0)), level), engine) for level in ("O2", "O3")
    )
    assert set(fused.manifest["kernels"]) == {"pointwise_program@1", "binary_contiguous@1"}
    for rows in (1, 2, 33):
        given = inputs(rows)
        assert bits(plain(*given)) == bits(fused(*given))


# ---- random programs -----------------------------------------------------------------------------
SHAPES = [(4, 70), (70,), (1, 70), (4, 1), (1,), ()]
STEPS: list[Callable[..., Any]] = [
    lambda a, b, c: a + b,
    lambda a, b, c: a - 0.5 * b,
    lambda a, b, c: torch.rsub(a, b, alpha=2),
    lambda a, b, c: a * b,
    lambda a, b, c: a / (b.abs() + 1),
    lambda a, b, c: 2 - a,
    lambda a, b, c: a.tanh(),
    lambda a, b, c: a.sigmoid(),
    lambda a, b, c: F.softplus(a, 2.0, 3.0),
    lambda a, b, c: torch.clamp(a, -1, 0.5),
    lambda a, b, c: torch.atan2(a, b),
    lambda a, b, c: torch.where(a > b, b, c),
    lambda a, b, c: torch.where((a < 0) & (b < 0) | (c == 0), a, 0.25),
    lambda a, b, c: torch.lerp(a, b, 0.75) if a.shape == b.shape else a.sin(),
    lambda a, b, c: torch.addcmul(a, b, c, value=0.5),
    lambda a, b, c: a.t().contiguous().t(),
    lambda a, b, c: a.t().exp().t(),
    lambda a, b, c: a.view(-1).neg().view(a.shape) if a.is_contiguous() else a.neg(),
    lambda a, b, c: a.amax(-1, keepdim=True) if a.ndim else a,
    lambda a, b, c: a.clone().add_(b) if (a + b).shape == a.shape else b,
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4),
    st.lists(
        st.tuples(st.sampled_from(range(len(STEPS))), *(st.integers(0, 5),) * 3),
        min_size=1,
        max_size=14,
    ),
    st.integers(0, 3),
)
def test_random_models(
    engine: Engine, shapes: list[tuple[int, ...]], steps: list[tuple[int, ...]], more: int
) -> None:
    """Each step takes one of the last six values; the last ones are outputs."""
    torch.manual_seed(0)
    inputs = tuple(torch.randn(shape) for shape in shapes)

    def model(*values: Any) -> Any:
        made = list(values)
        for number, *operands in steps:
            a, b, c = (made[max(0, len(made) - 1 - back)] for back in operands)
            made.append(STEPS[number](a, b, c))
        return tuple(made[-1 - k] for k in range(min(more + 1, len(steps))))

    files = [compile(trace(model, inputs), level) for level in ("O0", "O3")]
    plain, fused = (bits(Model(data, engine)(*inputs)) for data in files)
    assert plain == fused


# ---- the kernel, from Python ---------------------------------------------------------------------
def test_a_bad_program_is_refused() -> None:
    x = torch.randn(5)
    rest = [None] * 7
    rows = torch.tensor([[0, _C.UNARY["exp"], -1, 3, 0, 0, 0, 0]], dtype=torch.int32)
    with pytest.raises(RuntimeError):
        _C.launch("pointwise_program", x, x, *rest, rows, torch.zeros(1, dtype=torch.float64))
