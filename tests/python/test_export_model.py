"""Loading model files on the desktop: what is refused, and how; memory; traps."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import wasm_torch
from wasm_torch.compiler import (
    Damaged,
    MissingKernel,
    ModelError,
    NewerFormat,
    NotOurs,
    NotWasm,
    Truncated,
)
from wasm_torch.export import export_to_wasm
from wasm_torch.model import Model, ModelInputError, load


class Lookup(nn.Module):
    """A float input and an index."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return x + self.table(ids)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "lookup.wasm"
    export_to_wasm(Lookup(), path, (torch.randn(3, 4), torch.tensor([1, 2, 3])))
    return path


@pytest.fixture
def model(file: Path) -> Model:
    with load(file) as loaded:
        yield loaded


X, IDS = numpy.ones((3, 4), numpy.float32), numpy.array([4, 5, 6])


def test_every_kind_of_tensor_goes_in(model: Model) -> None:
    wanted = model(X, IDS).tolist()
    assert model(torch.from_numpy(X), torch.from_numpy(IDS)).tolist() == wanted
    assert model(wasm_torch.from_numpy(X), ids=wasm_torch.from_numpy(IDS)).tolist() == wanted
    assert model(x=X.tolist(), ids=[4, 5, 6]).tolist() == wanted
    assert model(numpy.asfortranarray(X), IDS.astype(numpy.int32)).tolist() == wanted
    assert isinstance(model(X, IDS), wasm_torch.Tensor)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((X,), {}, "input 'ids' is missing; forward takes 2 \\(x, ids\\)"),
        ((X, IDS, IDS), {}, "3 inputs were given; forward takes 2"),
        ((X,), {"mask": IDS}, "there is no input 'mask'"),
        ((X, IDS), {"x": X}, "input 'x' was given twice"),
        ((X[:2], IDS), {}, r"'x' has shape \[2, 4\]; the model was exported for \[3, 4\]"),
        ((X, X[:, 0]), {}, "'ids' has dtype float32; the model takes int64"),
    ],
)
def test_inputs_that_do_not_fit(model: Model, args: tuple, kwargs: dict, message: str) -> None:
    with pytest.raises(ModelInputError, match=message):
        model(*args, **kwargs)
    assert model(X, IDS).shape == (3, 4)


def test_an_index_out_of_range_is_an_error_and_the_engine_goes_on(model: Model) -> None:
    with pytest.raises(IndexError, match=r"forward: aten\.embedding at table: an index is out"):
        model(X, [1, 2, 10])
    assert model(X, IDS).shape == (3, 4)


def test_unknown_methods_are_named(model: Model) -> None:
    with pytest.raises(ModelInputError, match="no method 'step'; it has forward"):
        model.call("step", X)


def changed(file: Path, path: Path, at: int, new: bytes) -> Path:
    data = bytearray(file.read_bytes())
    data[at : at + len(new)] = new
    path.write_bytes(data)
    return path


def test_foreign_and_broken_files(file: Path, tmp_path: Path) -> None:
    data = file.read_bytes()
    path = tmp_path / "broken.wasm"
    for content, error in [
        (b"", NotWasm),
        (b"PK\3\4 an archive", NotWasm),
        (b"\0asm\1\0\0\0", Truncated),
        (b"\0asm\1\0\0\0\1\4\1\x60\0\0" + bytes(40), NotOurs),
        (data[:100], Truncated),
        (data[:-1], Truncated),
    ]:
        path.write_bytes(content)
        with pytest.raises(error):
            load(path)
    mark = data.index(b"WTM1")
    with pytest.raises(NewerFormat, match="format 9"):
        load(changed(file, path, mark + 4, b"\x09"))
    with pytest.raises(Damaged, match="code or the manifest"):
        load(changed(file, path, mark + 60, b"\xff\xff"))
    with pytest.raises(Damaged, match="weights"):
        load(changed(file, path, len(data) - 70, bytes([data[-70] ^ 1])))


def test_a_missing_kernel_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    class OldEngine:
        exports = ()

    monkeypatch.setattr(model._engine, "_module", OldEngine())
    with pytest.raises(MissingKernel, match=r"the model calls .*@1.* which this version's engine"):
        load(file)


def test_memory_that_does_not_suffice(file: Path) -> None:
    with load(file) as loaded:
        used = loaded.memory_stats().heap_used
        loaded.manifest["methods"]["forward"]["arena_bytes"] = 0xFFFF0000
        with pytest.raises(MemoryError, match="no room for 4294901760 bytes"):
            loaded(X, IDS)
        assert loaded.memory_stats().heap_used == used


def test_memory_is_flat_over_calls_and_given_back(file: Path) -> None:
    with load(file) as first:
        first(X, IDS)
        used = first.memory_stats().heap_used
        for _ in range(200):
            first(X, IDS)
        for _ in range(20):
            with load(file) as second:
                second(X, IDS)
        assert first.memory_stats().heap_used == used


def test_a_disposed_model_says_so(file: Path) -> None:
    model = load(file)
    model.dispose()
    with pytest.raises(ModelError, match="disposed"):
        model(X, IDS)
    with pytest.raises(ModelError, match="disposed"):
        model.reset_state()
