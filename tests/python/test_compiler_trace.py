"""What a trace sees beside rows: raw calls, changes in place, memory, elements that are read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import wasm_torch as torch
from wasm_torch.compiler import DataDependent, UnsupportedModel, compile
from wasm_torch.compiler.errors import RandomNumbers
from wasm_torch.nn import functional as F
from wasm_torch.ops._table import FUNCTIONS, METHODS
from wasm_torch.tracing import trace

pytest.importorskip("wasmtime")
from compiler_host import ENGINE, Engine, Model, assert_same, flat

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="the engine is not built")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def _inputs(seed: int, shape: tuple[int, ...] = (4, 4)) -> list[Any]:
    torch.manual_seed(seed)
    return [torch.rand(shape) * 0.8 + 0.1 for _ in range(3)]


# ---- no public function bakes its example in -----------------------------------------------------
#: "T" stands for a further tensor.
CALLS: tuple[tuple[Any, ...], ...] = ((), ("T",), (1,), (0.5,), ("T", "T"), (0, 1), ((1, 0),))
#: Random or uninitialised results, and functions that are not about values.
LEFT_OUT = ("rand", "dropout", "multinomial", "bernoulli", "poisson", "empty", "normal", "seed")


def _public() -> list[str]:
    names = sorted({*METHODS, *FUNCTIONS})
    return [n for n in names if not any(w in n for w in (*LEFT_OUT, "backward", "requires"))]


def _call(name: str, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    function = METHODS.get(name) or FUNCTIONS[name]

    def call(x: Any, *more: Any) -> Any:
        left = iter(more)
        return function(x, *(next(left) if a == "T" else a for a in arguments))

    return call


def _eager(call: Callable[..., Any], seed: int) -> Any:
    """The result on fresh inputs; None where these arguments are refused or give no numbers."""
    try:
        with torch.no_grad():
            result = call(*_inputs(seed))
    except Exception:
        return None
    tensors = flat(result)
    if not tensors or not all(isinstance(t, torch.Tensor) for t in tensors):
        return None
    finite = all(math.isfinite(float(t.double().sum())) for t in tensors if t.numel())
    return result if finite else None


@pytest.mark.parametrize("name", _public())
def test_other_inputs_give_other_results(engine: Engine, name: str) -> None:
    compared = False
    for arguments in CALLS:
        call = _call(name, arguments)
        if _eager(call, 0) is None or (want := _eager(call, 5)) is None:
            continue
        try:
            data = compile(trace(call, tuple(_inputs(0))))
        except (DataDependent, RandomNumbers):
            continue
        except UnsupportedModel as error:
            assert "memory_format" in str(error)  # a tensor in the place of a memory format
            continue
        assert_same(Model(data, engine)(*_inputs(5)), want, 2e-4)
        compared = True
    if not compared:
        pytest.skip("takes other arguments, or depends on elements")


# ---- elements ------------------------------------------------------------------------------------
READS: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x * x.sum().item(),
    "tolist": lambda x: x[x.argmax(1).tolist()],
    "condition": lambda x: x if x.sum() > 0 else -x,
    "float": lambda x: x * float(x[0, 0]),
    "from elements": lambda x: torch.scalar_tensor(x[0, 0]) + x,
}


@pytest.mark.parametrize("name", READS)
def test_elements_that_depend_on_inputs_cannot_be_read(name: str) -> None:
    with pytest.raises(DataDependent, match="depends on its inputs"):
        trace(READS[name], torch.ones(4, 4))
    assert torch.ones(2).sum().item() == 2.0  # and afterwards all is as before


def test_elements_that_are_fixed_can_be_read(engine: Engine) -> None:
    def model(x: Any) -> Any:
        return x * float(torch.arange(4).sum())

    x = torch.ones(3)
    assert_same(Model(compile(trace(model, x)), engine)(x), x * 6)


def test_masked_attention_holds_for_other_elements(engine: Engine) -> None:
    def model(q: Any, hidden: Any) -> Any:
        return F.scaled_dot_product_attention(q, q, q, attn_mask=hidden)

    q, hidden = torch.randn(2, 5, 8), torch.ones(5, 5, dtype=torch.bool)
    compiled = Model(compile(trace(model, (q, hidden))), engine)
    hidden = hidden.tril()
    hidden[2] = False  # a row that sees nothing
    assert_same(compiled(q, hidden), model(q, hidden))


# ---- memory --------------------------------------------------------------------------------------
def test_numbers_alone_make_constants() -> None:
    graph = trace(lambda x: x + torch.zeros(3).fill_(2), torch.ones(3))
    assert [node.name for node in graph.nodes] == ["add.Tensor"]


def test_memory_that_the_model_fills_is_not_stored() -> None:
    graph = trace(lambda x: torch.empty(1000, 1000).copy_(x), torch.ones(1000))
    assert len(compile(graph)) < 10_000


def test_geometry_changed_in_place(engine: Engine) -> None:
    x = torch.randn(3, 4)
    assert_same(Model(compile(trace(lambda x: (x + 1).t_() * 2, x)), engine)(x), (x + 1).t() * 2)
