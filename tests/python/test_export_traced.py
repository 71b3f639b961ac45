"""Models of wasm_torch, exported through tracing: the file gives what the model gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from traced_models import Pair, Picture, cases, differences

import wasm_torch as torch
from wasm_torch import nn
from wasm_torch.compiler.errors import DataDependent
from wasm_torch.export import Dim, ExportError


@pytest.mark.parametrize("level", ["O0", "O3"])
def test_models(level: str, tmp_path: Path) -> None:
    found = differences(str(tmp_path), optimization_level=level)
    assert len(found) == 5 and max(found.values()) <= 1e-5, found


def test_the_reported_difference_and_the_modes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    compared = torch.export_to_wasm(model, tmp_path / "m.wasm", torch.randn(2, 4))
    assert compared["forward"].rel_err <= 1e-6 and model.training and model[1].training
    assert torch.export_to_wasm(model, tmp_path / "m.wasm", torch.randn(2, 4), verify=False) == {}


def test_names_and_nests_are_those_of_torch(tmp_path: Path) -> None:
    named = {name: (model, example) for name, model, example in cases()}
    for name, inputs, outputs in (
        ("pair", ["pair_0", "pair_1", "shift"], ["output_0", "output_1"]),
        ("statistics", ["x"], ["normal", "mean", "calls"]),
        ("perceptron", ["input"], ["output"]),
    ):
        model, example = named[name]
        torch.export_to_wasm(model, tmp_path / "m.wasm", example)
        with torch.load_model(tmp_path / "m.wasm") as loaded:
            assert [info.name for info in loaded.inputs] == inputs
            assert [info.name for info in loaded.outputs] == outputs


def test_methods_share_weights_and_states(tmp_path: Path) -> None:
    class Memory(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.basis = nn.Linear(64, 64)
            self.register_buffer("total", torch.zeros(64))

        def add(self, x: torch.Tensor) -> torch.Tensor:
            self.total.add_(self.basis(x))
            return self.total * 1

        def read(self, scale: torch.Tensor) -> torch.Tensor:
            return self.total * scale

    torch.manual_seed(0)
    model, x, path = Memory(), torch.randn(64), tmp_path / "m.wasm"
    methods = {"add": (model.add, x), "basis": (model.basis, x), "read": (model.read, x)}
    compared = torch.export_to_wasm(model, path, methods=methods)
    assert compared.keys() == methods.keys()
    assert model.total.abs().max() == 0, "the export leaves the buffers alone"
    assert path.stat().st_size < 1.6 * 64 * 64 * 4
    with torch.load_model(path) as loaded:
        first = loaded.call("add", x)
        torch.testing.assert_close(loaded.call("add", x), 2 * first)
        torch.testing.assert_close(loaded.call("read", torch.ones(64)), 2 * first)
        torch.testing.assert_close(loaded.call("basis", x), first)


def test_weights_in_16_bits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(64, 64), torch.randn(2, 64)
    path = tmp_path / "m.wasm"
    compared = torch.export_to_wasm(model, path, x, weights_dtype="float16")
    assert 0 < compared["forward"].rel_err < 1e-2
    with torch.no_grad():
        model.weight.copy_(model.weight.half())
    with torch.load_model(path) as loaded:
        torch.testing.assert_close(loaded(x), model(x).detach(), rtol=1e-5, atol=1e-6)
    torch.export_to_wasm(model, tmp_path / "whole.wasm", x)
    assert path.stat().st_size < 0.7 * (tmp_path / "whole.wasm").stat().st_size


def test_sizes_that_vary(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "m.wasm"
    batch, length = Dim("batch", max=16), Dim("length", min=2, max=64)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    varying = {"src": {0: batch, 1: length}}
    compared = torch.export_to_wasm(layer, path, torch.randn(2, 7, 16), dynamic_shapes=varying)
    assert compared["forward"].rel_err <= 1e-4
    with torch.load_model(path) as loaded, torch.no_grad():
        assert loaded.inputs[0].shape == ("batch", "length", 16)
        for sizes in ((1, 2), (5, 33), (16, 64)):
            x = torch.randn(*sizes, 16)
            torch.testing.assert_close(loaded(x), layer(x), rtol=1e-4, atol=1e-5)
        with pytest.raises(ValueError, match=r"'batch' to be in \[1, 16\]"):
            loaded(torch.randn(17, 4, 16))

    sides = ({0: batch, 2: Dim("height", min=8, max=64), 3: Dim("width", min=8, max=64)},)
    stack = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)).eval()
    torch.export_to_wasm(stack, path, torch.randn(2, 3, 16, 16), dynamic_shapes=sides)
    with torch.load_model(path) as loaded, torch.no_grad():
        x = torch.randn(3, 3, 25, 40)
        torch.testing.assert_close(loaded(x), stack(x), rtol=1e-4, atol=1e-6)


def test_a_size_in_two_inputs(tmp_path: Path) -> None:
    rows = Dim("rows", max=8)
    pair = {"pair": [torch.randn(3, 4), torch.randn(3, 4)], "shift": torch.randn(2)}
    varying = {"pair": [{0: rows}, {0: rows}], "shift": None}
    path = tmp_path / "m.wasm"
    torch.export_to_wasm(Pair(), path, pair, dynamic_shapes=varying)
    with torch.load_model(path) as loaded:
        assert [info.shape for info in loaded.inputs] == [("rows", 4), ("rows", 4), (2,)]
        given = [torch.randn(6, 4), torch.randn(6, 4)]
        assert loaded(pair=given, shift=torch.randn(2))[0].shape == (6, 4)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"example_input": [1.0, 2.0]}, TypeError, "must hold wasm_torch tensors"),
        ({"dynamic_shapes": {"y": {0: Dim("n")}}}, ExportError, "names 'y'; the inputs are x"),
        ({"dynamic_shapes": {"x": {0: "n"}}}, ExportError, "takes wasm_torch.export.Dim"),
        (
            {"dynamic_shapes": {"x": {0: Dim("n"), 1: Dim("n")}}},
            ExportError,
            "names two sizes 'n', and they are 2 and 3",
        ),
        (
            {"dynamic_shapes": {"x": {2: Dim("n", max=16), 3: Dim("n", max=8)}}},
            ExportError,
            "one name for two sizes: 'n'",
        ),
    ],
)
def test_arguments_that_make_no_sense(
    change: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.wasm"
    given = {"model": Picture(), "output_path": path, "example_input": torch.randn(2, 3, 8, 8)}
    with pytest.raises(error, match=message):
        torch.export_to_wasm(**(given | change))
    assert not path.exists()


def test_what_cannot_be_traced_is_named(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(DataDependent, match="a compiled model cannot follow"):
        torch.export_to_wasm(Branching(), tmp_path / "m.wasm", torch.randn(3))
