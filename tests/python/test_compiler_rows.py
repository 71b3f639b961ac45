"""Every row of the op table that takes tensors and simple numbers: compiled, and eager."""

from __future__ import annotations

from typing import Any

import pytest

import wasm_torch as torch
from wasm_torch.compiler import DataDependent, compile
from wasm_torch.ops._schema import REQUIRED
from wasm_torch.ops._table import TABLE, Op
from wasm_torch.tracing import trace

pytest.importorskip("wasmtime")
from compiler_host import ENGINE, Engine, Model, assert_same, flat

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="the engine is not built")

SHAPES = ((3, 4), (2, 3, 4, 4))
#: Rows whose result, or whose refusal, depends on the elements: their outputs have no fixed size,
#: or they check whether a factorisation succeeded.
DATA_DEPENDENT = {"linalg_eigh", "linalg_pinv", "linalg_svd", "mode", "nonzero"}
#: Rows whose results are random, or uninitialised memory.
UNDETERMINED = ("rand", "dropout", "normal", "multinomial", "bernoulli", "poisson", "empty")
NUMBERS = {"int": 1, "Scalar": 0.5, "float": 0.5, "bool": False}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def _required(row: Op, shape: tuple[int, ...]) -> list[Any] | None:
    """Values for the required arguments: tensors, a permutation, small numbers; None: no others."""
    values: list[Any] = []
    for argument in row.schema.arguments:
        if argument.default is not REQUIRED:
            continue
        if argument.type == "Tensor":
            values.append(torch.rand(shape) * 0.8 + 0.1)
        elif argument.type.startswith("int["):
            values.append((1, 0) if len(shape) == 2 else (0, 2, 1, 3))
        elif argument.type in NUMBERS:
            values.append(NUMBERS[argument.type])
        else:
            return None
    return values


def _rows() -> list[str]:
    return [
        name
        for name, row in sorted(TABLE.items())
        if row.family != "random" and not any(word in name for word in UNDETERMINED)
    ]


@pytest.mark.parametrize("name", _rows())
def test_row(engine: Engine, name: str) -> None:
    row, ran = TABLE[name], False
    torch.manual_seed(0)
    for shape in SHAPES:
        values = _required(row, shape)
        tensors = [v for v in values or () if isinstance(v, torch.Tensor)]
        if values is None or not tensors:
            continue

        def call(*given: Any, values: list[Any] = values) -> Any:
            left = iter(given)
            return row(*(next(left) if isinstance(v, torch.Tensor) else v for v in values))

        try:
            with torch.no_grad():
                want = call(*tensors)
        except (RuntimeError, IndexError, ValueError, TypeError):
            continue  # eager refuses these arguments
        if any(bool((t != t).any()) for t in flat(want)):
            continue
        if name in DATA_DEPENDENT:
            try:
                compile(trace(call, tuple(tensors)))
            except DataDependent as error:
                assert name in str(error)
                ran = True
            continue
        assert_same(Model(compile(trace(call, tuple(tensors))), engine)(*tensors), want, 1e-4)
        ran = True
    if not ran:
        pytest.skip("takes other arguments than tensors and simple numbers")
