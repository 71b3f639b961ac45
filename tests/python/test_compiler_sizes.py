"""Compiled models whose sizes vary from call to call, and what finds their formulas."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wasm_torch as torch
from wasm_torch import nn
from wasm_torch.compiler import Family, Symbol, UnsupportedModel, compile
from wasm_torch.compiler.expressions import (
    add,
    aligned,
    divide,
    evaluate,
    largest,
    multiply,
    shape_text,
    text,
)
from wasm_torch.compiler.interpolate import Interpolator, Quotient
from wasm_torch.compiler.plan import plan_slots
from wasm_torch.compiler.plan_tensor import Buffer, PlanTensor
from wasm_torch.compiler.record import Launch
from wasm_torch.tracing import trace

pytest.importorskip("wasmtime")
from compiler_host import ENGINE, Engine, Model, assert_same

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="the engine is not built")

PRIMES = [2, 3, 5, 7, 11, 13, 17]


# ---- expressions ---------------------------------------------------------------------------------
def expressions(symbols: str = "ab") -> Any:
    leaf = st.integers(0, 50) | st.sampled_from(symbols)

    def step(inner: Any) -> Any:
        made = st.builds(
            lambda make, x, y: make(x, y), st.sampled_from([add, multiply]), inner, inner
        )
        return made | st.builds(divide, inner, st.integers(1, 9))

    return st.recursive(leaf, step, max_leaves=8)


@given(st.lists(expressions(), min_size=1, max_size=5), st.integers(1, 40), st.integers(1, 40))
def test_the_largest_of_expressions_leaves_out_only_what_is_exceeded(
    listed: list[Any], a: int, b: int
) -> None:
    sizes = {"a": a, "b": b}
    assert evaluate(largest(listed), sizes) == max(evaluate(e, sizes) for e in listed)


@given(expressions(), st.integers(1, 9), st.integers(1, 9))
def test_expressions_survive_json_and_read_as_python(expression: Any, a: int, b: int) -> None:
    sizes = {"a": a, "b": b}
    value = evaluate(expression, sizes)
    assert evaluate(json.loads(json.dumps(expression)), sizes) == value
    assert eval(text(expression), dict(sizes)) == value
    assert evaluate(aligned(expression, 64), sizes) == -(-value // 64) * 64


def test_products_exceed_what_they_are_made_of() -> None:
    product = multiply(multiply(4, "a"), "b")
    assert largest(["a", product, multiply(3, multiply("a", "b"))]) == product
    assert largest([multiply(2, "a"), multiply(2, "b")])[0] == "max"
    assert shape_text(["a", 3, divide(add("b", 1), 2)]) == "[a, 3, (b + 1) // 2]"


# ---- interpolation -------------------------------------------------------------------------------
SAMPLES = [{"a": PRIMES[i % 7], "b": PRIMES[(3 * i + i // 7) % 7]} for i in range(16)] + [
    {"a": 2, "b": n} for n in range(2, 36)
]


def fitted(function: Callable[[int, int], int], **options: Any) -> Any:
    fit = Interpolator(SAMPLES, {"a": 1, "b": 1})
    for near in options.get("near", ()):
        fit.fit([evaluate(near, sizes) for sizes in SAMPLES])
    return fit.fit([function(**sizes) for sizes in SAMPLES], **options)


def holds(expression: Any, function: Callable[[int, int], int]) -> bool:
    grid = [{"a": a, "b": b} for a in range(1, 12) for b in range(1, 130)]
    return all(evaluate(expression, sizes) == function(**sizes) for sizes in grid)


FORMULAS: list[Callable[[int, int], int]] = [
    lambda a, b: 7,
    lambda a, b: 12 * a * b * b,
    lambda a, b: a * (b - 1) * 3 + 1,
    lambda a, b: b * (b + 1) // 2 * a,
    lambda a, b: -4 * b,
    lambda a, b: (b + 1) // 2,
    lambda a, b: (b + 27) // 32 + 2,
    lambda a, b: (3 * b + 1) // 2,
    lambda a, b: ((b + 1) // 2 + 1) // 2,
]


@pytest.mark.parametrize("number", range(len(FORMULAS)))
def test_formulas_are_found_and_hold_elsewhere(number: int) -> None:
    found = fitted(FORMULAS[number])
    assert found is not None and holds(found, FORMULAS[number])


def test_formulas_of_rounded_sizes_are_found_near_them() -> None:
    half = divide(add("b", 1), 2)
    function = lambda a, b: 8 * a * ((b + 1) // 2) ** 2  # noqa: E731
    assert holds(fitted(function, near=[half]), function)
    function = lambda a, b: ((b + 1) // 2 - 1) * 6 * a + (b + 1) // 2  # noqa: E731
    assert holds(fitted(function, near=[half]), function)


@given(st.lists(st.integers(-5, 5), min_size=6, max_size=6), st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_polynomials_with_rational_coefficients(coefficients: list[int], scale: int) -> None:
    def function(a: int, b: int) -> int:
        terms = (1, a, b, a * a, a * b, b * b)
        return sum(c * scale * t for c, t in zip(coefficients, terms, strict=True))

    found = fitted(function)
    assert found is not None and holds(found, function)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: int(b**0.5),
        lambda a, b: b % 3,
        lambda a, b: min(b, 20),
        lambda a, b: (b - 5) // 2 if b > 5 else 0,
    ],
)
def test_what_is_no_formula_is_not_found(function: Callable[[int, int], int]) -> None:
    assert fitted(function) is None


def test_a_rounded_size_needs_samples_of_every_rest() -> None:
    few = [{"a": n} for n in PRIMES]
    values = [(sizes["a"] + 3) // 16 for sizes in few]
    assert Interpolator(few, {"a": 1}).fit(values) is None


def test_halves_of_odd_samples_are_no_formula() -> None:
    odd = [{"a": n} for n in (3, 5, 7, 11, 13)]
    halves = [(sizes["a"] + 1) // 2 for sizes in odd]
    assert Interpolator(odd, {"a": 1}).fit(halves) is None
    more = [*odd, *({"a": n} for n in range(4, 12))]
    found = Interpolator(more, {"a": 1}).fit([(sizes["a"] + 1) // 2 for sizes in more])
    assert found == divide(add("a", 1), 2)


def test_products_of_sums_are_found_near_them() -> None:
    tokens = add(multiply("a", "b"), 1)
    function = lambda a, b: 4 * a * (a * b + 1) ** 3  # noqa: E731
    assert fitted(function) is None
    assert holds(fitted(function, near=[tokens]), function)


def test_doubles_are_exact_quotients() -> None:
    fit = Interpolator(SAMPLES, {"a": 1, "b": 1})
    assert fit.fit_float([1 / (3 * s["b"]) for s in SAMPLES]) == Quotient(1, multiply(3, "b"))
    assert fit.fit_float([s["b"] / 7 for s in SAMPLES]) == Quotient("b", 7)
    assert fit.fit_float([float(Fraction(1, 1) / s["b"] ** 0.5) for s in SAMPLES]) is None
    assert fit.fit_float([float("inf")] * len(SAMPLES)) is None


# ---- memory plan ---------------------------------------------------------------------------------
def test_buffers_share_slots_unless_they_live_together() -> None:
    vectors = [PlanTensor(Buffer("arena", 4 * n), (n,), torch.float32) for n in (100, 50, 80, 10)]
    launches = [Launch("copy", [b, a]) for a, b in pairwise(vectors)]
    sizes = {id(v.buffer): multiply(4 * v.numel(), "n") for v in vectors}
    slots = plan_slots(launches, sizes, None)
    places = [evaluate(slots.places[id(v.buffer)], {"n": 3}) for v in vectors]
    assert places[0] == places[2] != places[1] == places[3]
    assert evaluate(slots.bytes, {"n": 3}) == 1216 + 640


# ---- models --------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def family(
    model: Any,
    inputs: Callable[..., tuple[Any, ...]],
    symbols: dict[str, tuple[int, int, int, int]],
) -> Family:
    """``symbols``: minimum, maximum, input and dimension by name; ``inputs`` takes the sizes."""
    listed = [Symbol(name, *rest) for name, rest in symbols.items()]
    return Family(listed, lambda sizes: trace(model, inputs(**sizes)))


def check(
    engine: Engine,
    model: Any,
    inputs: Callable[..., tuple[Any, ...]],
    symbols: dict[str, tuple[int, int, int, int]],
    calls: list[tuple[int, ...]],
    level: str = "O3",
) -> Model:
    """Compiles at samples, and compares at the sizes of the calls."""
    torch.manual_seed(0)
    compiled = Model(compile(family(model, inputs, symbols), level), engine)
    for call in calls:
        given = inputs(**dict(zip(symbols, call, strict=True)))
        with torch.no_grad():
            want = model(*given)
        assert_same(compiled(*given), want)
    return compiled


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        self.inner, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)
        self.narrow = nn.Conv2d(8, 8, 3, 2)

    def forward(self, x: Any) -> Any:
        x = nn.functional.max_pool2d(torch.relu(self.norm(self.stem(x))), 3, 2, 1)
        x = x + self.inner(x)
        x = torch.relu(self.narrow(x))
        return self.head(x.mean((2, 3))), x


@pytest.mark.parametrize("level", ["O0", "O2"])
def test_batch(engine: Engine, level: str) -> None:
    inputs = lambda batch: (torch.randn(batch, 3, 24, 24),)  # noqa: E731
    symbols = {"batch": (1, 64, 0, 0)}
    check(engine, Residual().eval(), inputs, symbols, [(1,), (3,), (8,), (40,)], level)


def test_height_and_width(engine: Engine) -> None:
    inputs = lambda height, width: (torch.randn(2, 3, height, width),)  # noqa: E731
    symbols = {"height": (16, 300, 0, 2), "width": (16, 300, 0, 3)}
    calls = [(16, 16), (31, 64), (77, 50), (64, 129)]
    compiled = check(engine, Residual().eval(), inputs, symbols, calls)
    method = compiled.manifest["methods"]["forward"]
    assert method["inputs"][0]["shape"] == [2, 3, "height", "width"]
    assert text(method["outputs"][1]["shape"][2]) == "(height - 1) // 8"


def test_batch_and_length_of_a_transformer(engine: Engine) -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    inputs = lambda batch, length: (torch.randn(batch, length, 16),)  # noqa: E731
    symbols = {"batch": (1, 8, 0, 0), "length": (1, 512, 0, 1)}
    check(engine, layer, inputs, symbols, [(1, 1), (1, 37), (3, 1), (2, 200)])


class Centred(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(4))

    def forward(self, x: Any) -> Any:
        self.total += x.sum(0)
        return (
            x - x.mean(0),
            x.flip(0),
            x.var(0),
            torch.cat([x, x[1:] / x.shape[0]]),
            self.total * 1,
        )


def test_states_numbers_and_views(engine: Engine) -> None:
    model = Centred()
    symbols = {"rows": (2, 100, 0, 0)}
    compiled = Model(compile(family(model, lambda rows: (torch.randn(rows, 4),), symbols)), engine)
    total = torch.zeros(4)
    for rows in (2, 6, 51):
        x = torch.randn(rows, 4)
        total = total + x.sum(0)
        with torch.no_grad():
            assert_same(compiled(x)[:4], model(x)[:4])
        assert_same([compiled.state("total")], total)


def test_methods_of_fixed_and_varying_sizes_share_weights(engine: Engine) -> None:
    net = nn.Linear(64, 64)
    inputs = lambda rows: (torch.randn(rows, 64),)  # noqa: E731
    methods = {
        "fixed": trace(net, torch.randn(2, 64)),
        "varying": family(net, inputs, {"rows": (1, 9, 0, 0)}),
    }
    compiled = Model(compile(methods), engine)
    tensors = [t for t in compiled.manifest["weights"]["tensors"] if t["bytes"] > 256]
    assert len(tensors) == 1
    for method, rows in (("fixed", 2), ("varying", 1), ("varying", 9)):
        x = torch.randn(rows, 64)
        assert_same(compiled(x, method=method), net(x).detach())


def test_a_narrow_range_is_traced_beyond_its_end(engine: Engine) -> None:
    inputs = lambda n: (torch.randn(n, 4),)  # noqa: E731
    check(engine, lambda x: (x + 1).sum(1), inputs, {"n": (1, 2, 0, 0)}, [(1,), (2,)])


# ---- refusals ------------------------------------------------------------------------------------
def refused(model: Any, message: str, **symbols: tuple[int, int, int, int]) -> None:
    symbols = symbols or {"n": (1, 100, 0, 0)}
    with pytest.raises(UnsupportedModel, match=message) as caught:
        compile(family(model, lambda **sizes: (torch.randn(*sizes.values()),), symbols))
    assert "a fixed size in dynamic_shapes" in str(caught.value)


def test_flow_that_follows_sizes_is_refused() -> None:
    def model(x: Any) -> Any:
        return x.exp() if x.shape[0] > 4 else x.sin()

    refused(model, "exp: the model is not the same at n=5 and at|sin: the model is not the same at")


def test_numbers_without_a_formula_are_refused() -> None:
    def model(x: Any) -> Any:
        return x[: int(x.shape[0] ** 0.5)] * 2

    refused(model, r"slice.Tensor: an argument depends on n by no formula .*1 at n=2")


def test_constants_that_follow_sizes_are_refused() -> None:
    def model(x: Any) -> Any:
        return x + torch.tensor([float(i * i) for i in range(x.shape[0])])

    refused(model, r"add.Tensor: .* the constant constant\d+ differs, which is made where")


def test_the_size_to_fix_is_named() -> None:
    def model(x: Any) -> Any:
        return x[:, : int(x.shape[1] ** 0.5)] * 2

    refused(model, "Make w a fixed size", n=(1, 50, 0, 0), w=(4, 90, 0, 1))
