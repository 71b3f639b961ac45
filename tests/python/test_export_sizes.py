"""Exported torch models whose sizes vary from call to call, against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import nn
from torch.export import Dim

from wasm_torch.cli import main
from wasm_torch.compiler import UnsupportedModel
from wasm_torch.export import ExportError, export_to_wasm
from wasm_torch.model import Model, ModelInputError, load

BATCH, LENGTH = Dim("batch", min=1, max=16), Dim("length", min=1, max=256)


def leaves(result: Any) -> list[torch.Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(result) if leaf is not None]


def agrees(loaded: Model, model: nn.Module, *inputs: torch.Tensor) -> None:
    with torch.no_grad():
        wanted = leaves(model(*inputs))
    got = list(loaded.call_flat("forward", *inputs).values())
    assert [tuple(t.shape) for t in got] == [tuple(t.shape) for t in wanted]
    for ours, theirs in zip(got, wanted, strict=True):
        torch.testing.assert_close(torch.from_numpy(ours.numpy()), theirs, rtol=1e-4, atol=1e-5)


class Residual(nn.Module):
    """A residual network of two stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        self.same, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.down, self.skip = nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(8, 16, 1, 2)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = torch.relu(x + self.norm(self.same(x)))
        x = torch.relu(self.down(x) + self.skip(x))
        return self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Encoder(nn.Module):
    """Words and places, a mask, causal attention; a mean over what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(50, 16), nn.Embedding(256, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=True)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> Any:
        hidden = self.words(ids) + self.places(torch.arange(ids.shape[1]))
        causal = torch.full((ids.shape[1], ids.shape[1]), float("-inf")).triu(1)
        hidden = self.layer(hidden, src_mask=causal) * mask.unsqueeze(-1)
        hidden = hidden + nn.functional.scaled_dot_product_attention(
            hidden, hidden, hidden, is_causal=True
        )
        return {"hidden": hidden, "mean": hidden.sum(1) / mask.sum(1, keepdim=True)}


def test_batch_of_a_residual_network(tmp_path: Path) -> None:
    model, path = Residual().eval(), tmp_path / "model.wasm"
    export_to_wasm(model, path, torch.randn(2, 3, 32, 32), dynamic_shapes={"x": {0: BATCH}})
    with load(path) as loaded:
        assert loaded.inputs[0].shape == ("batch", 3, 32, 32)
        assert "x: float32[batch, 3, 32, 32]" in repr(loaded)
        for batch in (1, 3, 8):
            agrees(loaded, model, torch.randn(batch, 3, 32, 32))


def test_height_and_width_of_a_residual_network(tmp_path: Path) -> None:
    model, path = Residual().eval(), tmp_path / "model.wasm"
    sides = {2: Dim("height", min=16, max=200), 3: Dim("width", min=16, max=200)}
    export_to_wasm(model, path, (torch.randn(2, 3, 32, 24),), dynamic_shapes=(sides,))
    with load(path) as loaded:
        for height, width in ((16, 16), (33, 62), (200, 71)):
            agrees(loaded, model, torch.randn(2, 3, height, width))


def test_batch_and_length_of_a_transformer(tmp_path: Path) -> None:
    model, path = Encoder().eval(), tmp_path / "model.wasm"
    example = {"ids": torch.zeros(2, 7, dtype=torch.int64), "mask": torch.ones(2, 7)}
    sizes = {0: BATCH, 1: LENGTH}
    export_to_wasm(model, path, example, dynamic_shapes={"ids": sizes, "mask": sizes})
    with load(path) as loaded:
        for batch, length in ((1, 1), (1, 5), (3, 37), (2, 200)):
            ids = torch.randint(0, 50, (batch, length))
            agrees(loaded, model, ids, torch.ones(batch, length))


class Codec(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(6, 9))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.basis.T

    def decode(self, code: torch.Tensor) -> torch.Tensor:
        return torch.tanh(code @ self.basis)


def test_methods_vary_each_by_itself(tmp_path: Path) -> None:
    model, path = Codec(), tmp_path / "model.wasm"
    methods = {
        "encode": (model.encode, torch.randn(2, 9)),
        "decode": (model.decode, {"code": torch.randn(3, 6)}),
    }
    varying = {"decode": {"code": {0: Dim("rows", min=2, max=100)}}}
    compared = export_to_wasm(model, path, methods=methods, dynamic_shapes=varying)
    assert compared.keys() == {"encode", "decode"}
    with load(path) as loaded:
        assert loaded.signature("encode")[0][0].shape == (2, 9)
        code = torch.randn(61, 6)
        got = torch.from_numpy(loaded.call("decode", code).numpy())
        torch.testing.assert_close(got, model.decode(code).detach())
        with pytest.raises(ModelInputError, match=r"was exported for \[2, 9\]"):
            loaded.call("encode", torch.randn(3, 9))


def test_multiples_of_a_size_and_sizes_without_a_name(tmp_path: Path) -> None:
    model, path = nn.Conv2d(1, 2, 3, 2, 1), tmp_path / "model.wasm"
    sides = {2: 8 * Dim("eighth", min=2, max=9), 3: Dim.AUTO}
    export_to_wasm(model, path, torch.randn(1, 1, 32, 20), dynamic_shapes={"input": sides})
    with load(path) as loaded:
        agrees(loaded, model, torch.randn(1, 1, 16, 9))
        agrees(loaded, model, torch.randn(1, 1, 72, 300))
        message = r"size 20 at dimension 2; expected 'eighth' to be in \[16, 72\], in steps of 8"
        with pytest.raises(ModelInputError, match=message):
            loaded(torch.randn(1, 1, 20, 20))
        with pytest.raises(ModelInputError, match=r"size 1 at dimension 3; expected 'input_3'"):
            loaded(torch.randn(1, 1, 16, 1))


# ---- what is refused -----------------------------------------------------------------------------
class Pair(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y.sum(1, keepdim=True)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sizes") / "pair.wasm"
    rows = {0: BATCH}
    example = (torch.randn(2, 3), torch.randn(2, 5))
    export_to_wasm(Pair(), path, example, dynamic_shapes={"x": rows, "y": {0: BATCH, 1: LENGTH}})
    return path


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ((17, 3), (17, 5), r"'x' has size 17 at dimension 0; expected 'batch' to be in \[1, 16\]"),
        ((0, 3), (0, 5), r"'x' has size 0 at dimension 0; expected 'batch' to be in \[1, 16\]"),
        ((2, 3), (2, 257), r"'y' has size 257 at dimension 1; expected 'length' to be in"),
        (
            (2, 3),
            (4, 5),
            "Sizes must match: input 'y' has size 4 at dimension 0, where batch is 2 with batch=2 "
            r"\(input 'x', dimension 0\)",
        ),
        ((2, 4), (2, 5), r"'x' has shape \[2, 4\]; the model was exported for \[batch, 3\]"),
        ((2,), (2, 5), r"'x' has shape \[2\]; the model was exported for \[batch, 3\]"),
    ],
)
def test_sizes_that_do_not_fit(pair: Path, x: Any, y: Any, message: str) -> None:
    with load(pair) as model:
        used = model.memory_stats().heap_used
        with pytest.raises(ModelInputError, match=message):
            model(numpy.ones(x, numpy.float32), numpy.ones(y, numpy.float32))
        assert model.memory_stats().heap_used == used
        assert model(numpy.ones((16, 3)), numpy.ones((16, 256))).tolist() == [[257.0] * 3] * 16


class Outer(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, None] * x[None, :]).tanh().sum()


def test_sizes_beyond_the_memory_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "outer.wasm"
    export_to_wasm(Outer(), path, torch.randn(5), dynamic_shapes={"x": {0: Dim("n", min=1)}})
    with load(path) as model:
        model.reset_peak()
        peak = model.memory_stats().peak_bytes
        with pytest.raises(MemoryError, match=r"a call with n=70000 takes 196\d+ bytes, more than"):
            model(numpy.ones(70000, numpy.float32))
        assert model.memory_stats().peak_bytes == peak
        assert model(numpy.zeros(3, numpy.float32)).item() == 0.0


@pytest.mark.parametrize(
    ("conv", "low", "high"),
    [
        (nn.Conv2d(2, 3, 16, 16), 32, 200),  # patches: the same at all sizes near the smallest
        (nn.Conv2d(2, 3, 2, 3), 16, 64),  # 17 and 19 round to the same
        (nn.Conv2d(2, 3, (2, 5), (3, 1), (1, 3)), 4, 11),  # few sizes; a product of three
        (nn.Conv2d(2, 3, 1, (4, 1), (1, 2)), 13, 20),
    ],
)
def test_batch_height_and_width_of_a_strided_convolution(
    conv: nn.Conv2d, low: int, high: int, tmp_path: Path
) -> None:
    model, path = conv.eval(), tmp_path / "model.wasm"
    sizes = {
        0: Dim("batch", min=1, max=8),
        2: Dim("height", min=low, max=high),
        3: Dim("width", min=max(low, 8), max=high + 3),
    }
    middle = (low + high) // 2
    export_to_wasm(model, path, torch.randn(2, 2, middle, middle + 1), dynamic_shapes=(sizes,))
    with load(path) as loaded:
        for batch in (1, 3, 8):
            for height in {low, low + 3, middle, high - 1, high}:
                agrees(loaded, model, torch.randn(batch, 2, height, high - batch % 3))


def test_products_of_sums_and_roundings_reach_every_kernel(tmp_path: Path) -> None:
    """A kernel over rows takes a product of sizes, of which it is given none by itself."""

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 3, (2, 5), (3, 1), (1, 3)), nn.LayerNorm(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.conv(x).permute(0, 2, 3, 1))

    model, path = Rows().eval(), tmp_path / "model.wasm"
    sizes = {0: BATCH, 2: Dim("height", min=4, max=90), 3: Dim("width", min=14, max=60)}
    export_to_wasm(model, path, torch.randn(2, 2, 30, 31), dynamic_shapes={"x": sizes})
    with load(path) as loaded:
        for batch, height, width in ((1, 4, 14), (3, 35, 36), (5, 90, 60)):
            agrees(loaded, model, torch.randn(batch, 2, height, width))


def test_sums_of_roundings(tmp_path: Path) -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.halved, self.padded = nn.Conv2d(2, 2, 4, (1, 2), 1), nn.Conv2d(2, 3, 1, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.padded(torch.cat([self.halved(x)] * 3, 3))

    model, path = Joined().eval(), tmp_path / "model.wasm"
    sizes = {2: Dim("height", min=8, max=40), 3: Dim("width", min=8, max=40)}
    export_to_wasm(model, path, torch.randn(1, 2, 12, 15), dynamic_shapes={"x": sizes})
    with load(path) as loaded:
        for height, width in ((8, 8), (13, 17), (40, 39)):
            agrees(loaded, model, torch.randn(1, 2, height, width))


@pytest.mark.parametrize("scale", [2, 0.5, 1.5])
def test_nearest_neighbours_at_any_size(scale: float, tmp_path: Path) -> None:
    model, path = nn.Upsample(scale_factor=scale), tmp_path / "model.wasm"
    sizes = {0: BATCH, 2: Dim("height", min=4, max=64), 3: Dim("width", min=4, max=64)}
    example = torch.randn(2, 3, 8, 12)
    export_to_wasm(model, path, example, dynamic_shapes={"input": sizes})
    with load(path) as loaded:
        for shape in ((1, 3, 4, 4), (3, 3, 17, 64), (2, 3, 63, 31)):
            agrees(loaded, model, torch.randn(shape))


class Resized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(x)


def test_what_cannot_vary_is_named(tmp_path: Path) -> None:
    message = r"index_select at up: the model is not the same at .* Make width a fixed size"
    with pytest.raises(UnsupportedModel, match=message):
        export_to_wasm(
            Resized(),
            tmp_path / "model.wasm",
            torch.randn(1, 2, 8, 8),
            dynamic_shapes={"x": {3: Dim("width", min=4, max=64)}},
        )
    assert not list(tmp_path.iterdir())


def test_what_torch_refuses_is_explained(tmp_path: Path) -> None:
    linear, path = nn.Linear(4, 4), tmp_path / "model.wasm"
    with pytest.raises(ExportError, match=r"torch\.export could not follow the model"):
        export_to_wasm(linear, path, torch.randn(2, 4), dynamic_shapes={"input": {1: Dim("n")}})
    methods = {"a": (linear, torch.randn(2, 4))}
    with pytest.raises(ValueError, match="a dict by the methods' names"):
        export_to_wasm(linear, path, methods=methods, dynamic_shapes={"b": {}})


def test_the_command_line_shows_and_times_sizes(
    pair: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(pair)]) == 0
    shown = capsys.readouterr().out
    for part in ("x: float32[batch, 3]", "length is 1 to 256", "at batch=16, length=256"):
        assert part in shown
    timing = ["bench", str(pair), "--iterations", "1", "--warm-up", "0"]
    assert main([*timing, "--size", "batch=3"]) == 0
    assert main([*timing, "--size", "rows=3"]) == 1
    assert "forward has no size 'rows' that varies" in capsys.readouterr().err
