"""Exported torch models, run through wasmtime, against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from wasm_torch.compiler import read
from wasm_torch.export import ExportError, UnsupportedOperations, export_to_wasm
from wasm_torch.export._torch_model import TorchModel
from wasm_torch.model import load


def agrees(model: nn.Module, example: Any, path: Path, **options: Any) -> Any:
    """Exports, checks the reported agreement, and gives the loaded file."""
    torch.manual_seed(0)
    compared = export_to_wasm(model, path, example, **options)
    assert all(result.rel_err <= 1e-4 for result in compared.values())
    return load(path)


class Digits(nn.Module):
    """A small convolutional network of the kind that reads MNIST."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3),
            nn.ReLU6(),
            nn.AvgPool2d(2),
        )
        self.head = nn.Linear(16 * 6 * 6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).flatten(1)).log_softmax(-1)


class Block(nn.Module):
    """An inverted bottleneck with squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(8, 32, 1, bias=False), nn.BatchNorm2d(32))
        self.depthwise = nn.Conv2d(32, 32, 5, 2, 2, groups=32)
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(32, 8, 1), nn.SiLU(), nn.Conv2d(8, 32, 1)
        )
        self.act = nn.Hardswish()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depthwise(self.act(self.expand(x)))
        return x * torch.sigmoid(self.squeeze(x))


class Encoder(nn.Module):
    """Token ids and a mask in, a nest of outputs back."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(50, 32)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu")

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
        hidden = self.layer(self.tokens(ids), src_key_padding_mask=~mask)
        return {"hidden": hidden, "pooled": (hidden[:, 0].tanh(), mask.sum(1))}


class Distances(nn.Module):
    """Operations that torch's graphs name in their own way."""

    def forward(self, x: torch.Tensor, y: torch.Tensor, ids: torch.Tensor) -> Any:
        apart = torch.cdist(x, y), torch.cdist(x, y, p=1.0), nn.functional.pdist(x)
        return *apart, ids << 2, ids >> ids, 3 ^ ids


class Warp(nn.Module):
    """A picture at places that a transformation gives."""

    def __init__(self, mode: str, padding: str) -> None:
        super().__init__()
        self.options = {"mode": mode, "padding_mode": padding, "align_corners": False}

    def forward(self, x: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        grid = nn.functional.affine_grid(theta, [2, 3, 5, 6], align_corners=False)
        return nn.functional.grid_sample(x, grid, **self.options)


MODELS: dict[str, tuple[Any, Any]] = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 5), nn.Softmax(-1)),
        torch.randn(3, 20),
    ),
    "digits": (Digits, torch.randn(2, 1, 28, 28)),
    "bilinear": (lambda: nn.Bilinear(4, 5, 3), (torch.randn(2, 4), torch.randn(2, 5))),
    "distances": (Distances, (torch.randn(4, 3), torch.randn(5, 3), torch.arange(6))),
    "warp": (
        lambda: Warp("bilinear", "zeros"),
        (torch.randn(2, 3, 7, 8), torch.eye(2, 3) + torch.randn(2, 2, 3) / 4),
    ),
    "warp_reflection": (
        lambda: Warp("bicubic", "reflection"),
        (torch.randn(2, 3, 7, 8), torch.eye(2, 3) + torch.randn(2, 2, 3) / 4),
    ),
    "block": (Block, torch.randn(1, 8, 16, 16)),
    "group_norm": (
        lambda: nn.Sequential(nn.GroupNorm(2, 6), nn.Upsample(scale_factor=2), nn.LeakyReLU()),
        torch.randn(2, 6, 4, 5),
    ),
    "conv1d": (
        lambda: nn.Sequential(nn.Conv1d(4, 8, 3, stride=2), nn.GELU(), nn.ConvTranspose1d(8, 4, 3)),
        torch.randn(2, 4, 31),
    ),
    "encoder": (
        Encoder,
        {"ids": torch.randint(0, 50, (2, 7)), "mask": torch.arange(7) < torch.tensor([[7], [4]])},
    ),
}


@pytest.mark.parametrize("level", ["O0", "O3"])
@pytest.mark.parametrize("name", MODELS)
def test_exported_models_agree_with_torch(name: str, level: str, tmp_path: Path) -> None:
    make, example = MODELS[name]
    with agrees(make(), example, tmp_path / "model.wasm", optimization_level=level) as model:
        assert model.methods == ("forward",)


class Attention(nn.Module):
    """Heads as views, and a mask for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(24, 72)

    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        q, k, v = (t.unflatten(-1, (3, 8)).transpose(1, 2) for t in self.project(x).chunk(3, -1))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, keep[:, None, None])
        return mixed.transpose(1, 2).flatten(2)


class Recurrent(nn.Module):
    """Two directions and layers from a given state."""

    def __init__(self, kind: type, **options: Any) -> None:
        super().__init__()
        self.layers = kind(6, 10, 2, bidirectional=True, batch_first=True, **options)

    def forward(self, x: torch.Tensor, state: Any) -> Any:
        return self.layers(x, state)


STATE = torch.randn(4, 3, 10)
WHOLE: dict[str, tuple[nn.Module, Any, str, set[str]]] = {
    "attention": (
        Attention(),
        (torch.randn(2, 9, 24), torch.arange(9) < torch.tensor([[9], [5]])),
        "aten.scaled_dot_product_attention",
        {"attention@1", "conv_packed@1"},
    ),
    "heads": (
        nn.TransformerEncoderLayer(24, 3, 32, batch_first=True),
        torch.randn(2, 9, 24),
        "aten.scaled_dot_product_attention",
        {"attention@1"},
    ),
    "lstm": (
        Recurrent(nn.LSTM),
        (torch.randn(3, 8, 6), (STATE, -STATE)),
        "aten.lstm.input",
        {"gemm@1", "lstm_sequence@1", "copy@1"},
    ),
    "gru": (
        Recurrent(nn.GRU, bias=False),
        (torch.randn(3, 8, 6), STATE),
        "aten.gru.input",
        {"gemm@1", "gru_sequence@1", "copy@1"},
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_fused_operations_stay_whole(name: str, tmp_path: Path) -> None:
    module, example, operation, kernels = WHOLE[name]
    with agrees(module, example, tmp_path / "model.wasm") as model:
        nodes = [node["op"] for node in model.manifest["methods"]["forward"]["nodes"]]
        assert nodes.count(operation) == 1
        assert not {"aten._softmax", "aten.bmm", "aten.sigmoid"} & set(nodes)
        used = set(model.manifest["kernels"])
        assert kernels <= used and "softmax@1" not in used


def test_a_recurrent_layer_that_projects_its_state_is_unrolled(tmp_path: Path) -> None:
    x = torch.randn(4, 2, 6)
    with agrees(nn.LSTM(6, 8, proj_size=3), x, tmp_path / "model.wasm") as model:
        assert "lstm_sequence@1" not in model.manifest["kernels"]


def test_nested_outputs_and_named_inputs(tmp_path: Path) -> None:
    encoder = Encoder().eval()
    example = MODELS["encoder"][1]
    with agrees(encoder, example, tmp_path / "encoder.wasm") as model:
        assert [info.name for info in model.inputs] == ["ids", "mask"]
        assert [info.dtype for info in model.inputs] == ["int64", "bool"]
        got = model(**example)
    wanted = encoder(**example)
    assert got.keys() == wanted.keys()
    torch.testing.assert_close(torch.from_numpy(got["hidden"].numpy()), wanted["hidden"].detach())
    assert got["pooled"][1].tolist() == wanted["pooled"][1].tolist()


class Nested(nn.Module):
    def forward(self, x: torch.Tensor, state: tuple[torch.Tensor, dict[str, torch.Tensor]]) -> Any:
        first, rest = state
        return x + first, [rest["a"] * 2, {"b": x}]


def test_nested_inputs_go_in_as_they_are_or_one_by_one(tmp_path: Path) -> None:
    x, first, rest = torch.randn(3), torch.randn(3), torch.randn(2)
    with agrees(Nested(), (x, (first, {"a": rest})), tmp_path / "nested.wasm") as model:
        assert [info.name for info in model.inputs] == ["x", "state_0", "state_1_a"]
        whole, single = model(x, (first, {"a": rest})), model(x, first, state_1_a=rest)
    assert whole[0].tolist() == single[0].tolist() == (x + first).tolist()
    assert whole[1][0].tolist() == single[1][0].tolist() == (2 * rest).tolist()
    assert whole[1][1]["b"].tolist() == x.tolist()


class Counter(nn.Module):
    """Changes its buffers in each call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(3))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.total.add_(x)
        self.calls += 1
        return self.total / self.calls


def test_buffers_that_the_forward_changes_are_kept_between_calls(tmp_path: Path) -> None:
    counter = Counter()
    with agrees(counter, torch.ones(3), tmp_path / "counter.wasm") as model:
        assert model(torch.ones(3)).tolist() == [1.0, 1.0, 1.0]
        assert model(torch.full((3,), 4.0)).tolist() == [2.5, 2.5, 2.5]
        model.reset_state()
        assert model(torch.full((3,), 4.0)).tolist() == [4.0, 4.0, 4.0]
    assert counter.total.tolist() == [0.0, 0.0, 0.0]


class Tied(nn.Module):
    """Two methods over one weight, which has two names."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 16)
        self.output = nn.Linear(16, 1000, bias=False)
        self.output.weight = self.embedding.weight

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        return self.embedding(ids)


def test_methods_share_weights_and_each_storage_is_stored_once(tmp_path: Path) -> None:
    tied, path = Tied(), tmp_path / "tied.wasm"
    ids, hidden = torch.tensor([1, 5]), torch.randn(2, 16)
    methods = {"encode": (tied.encode, ids), "decode": (tied.output, hidden)}
    compared = export_to_wasm(tied, path, methods=methods)
    assert compared.keys() == {"encode", "decode"}
    assert path.stat().st_size < 1.01 * 1000 * 16 * 4 + 10_000
    with load(path) as model:
        assert model.signature("encode")[0][0].name == "ids"
        assert [t["name"] for t in model.manifest["weights"]["tensors"]] == ["embedding.weight"]
        got = torch.from_numpy(model.call("decode", hidden).numpy())
    torch.testing.assert_close(got, tied.output(hidden).detach())


def test_the_mode_of_each_module_comes_back(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 3), nn.BatchNorm1d(3)).train()
    model[2].eval()
    export_to_wasm(model, tmp_path / "model.wasm", torch.randn(4, 3))
    assert [m.training for m in model] == [True, True, False]
    assert model.training


class Spectral(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(x).abs() + torch.fft.rfft(2 * x).abs()
        return spectrum.sum() + torch.stft(x, 4, return_complex=True).abs().sum()


def test_one_error_lists_every_unsupported_operation(tmp_path: Path) -> None:
    path = tmp_path / "model.wasm"
    with pytest.raises(UnsupportedOperations) as caught:
        export_to_wasm(nn.Sequential(nn.Linear(8, 8), Spectral()), path, torch.randn(8))
    first = caught.value.operations[0]
    assert first.target == "aten._fft_r2c.default"
    assert len(first.places) >= 3
    text = str(caught.value)
    assert "at 1, " in text and Path(__file__).name in text
    assert all(operation.suggestion in text for operation in caught.value.operations)
    assert not list(tmp_path.iterdir())


def test_a_file_that_disagrees_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.wasm"
    path.write_bytes(b"what was there before")
    expected = TorchModel.expected
    monkeypatch.setattr(TorchModel, "expected", lambda *args: [t + 0.01 for t in expected(*args)])
    with pytest.raises(ExportError, match=r"output 'output' differs from torch's by 0\.01"):
        export_to_wasm(nn.Linear(4, 4), path, torch.randn(2, 4))
    assert path.read_bytes() == b"what was there before"
    assert list(tmp_path.iterdir()) == [path]
    assert export_to_wasm(nn.Linear(4, 4), path, torch.randn(2, 4), verify=False) == {}
    assert path.read_bytes()[:4] == b"\0asm"


# ---- weights in 16 bits --------------------------------------------------------------------------
class Weighted(nn.Module):
    """Weights of several kinds; a mask whose numbers 16 bits cannot hold, and a state."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.head = nn.Linear(8 * 36, 64)
        self.register_buffer("mask", torch.zeros(64, 64))
        self.mask[:, ::2] = -3e38
        self.register_buffer("tiny", torch.full((64, 64), 1e-9))
        self.register_buffer("total", torch.zeros(2, 64))
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.head(self.norm(self.convolution(x)).flatten(1))
        y = y + (y @ self.tiny) * 1e9
        self.total.add_(y)
        return (self.total.unsqueeze(1) + self.mask).softmax(-1)


@pytest.mark.parametrize("weights_dtype", ["float16", "bfloat16"])
def test_weights_in_16_bits(weights_dtype: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Weighted(), torch.randn(2, 3, 8, 8)
    paths = [tmp_path / "whole.wasm", tmp_path / "half.wasm"]
    export_to_wasm(model, paths[0], x, optimization_level="O1")
    compared = export_to_wasm(
        model, paths[1], x, optimization_level="O1", weights_dtype=weights_dtype
    )
    assert 1e-7 < compared["forward"].rel_err < 0.02
    whole, half = (read(path.read_bytes()) for path in paths)
    kept = {t["name"]: t.get("stored") for t in half.manifest["weights"]["tensors"]}
    named = {name: stored for name, stored in kept.items() if name in model.state_dict()}
    exact = {"float16": ("mask", "tiny"), "bfloat16": ()}[weights_dtype]
    for name, stored in named.items():
        tensor = model.state_dict()[name]
        narrow = tensor.dim() >= 2 and name not in ("total", *exact)
        assert stored == (weights_dtype if narrow else None), name
    assert {"convolution.weight", "head.weight", "total"} <= named.keys()
    assert half.manifest["format"] == 2 and whole.manifest["format"] == 1
    assert len(half.weights) < 0.7 * len(whole.weights)
    assert half.manifest["weights"]["memory"] == len(whole.weights)

    # What the engine computes with is to the bit what torch rounds to.
    with torch.no_grad():
        for name, stored in named.items():
            if stored is not None:
                tensor = model.state_dict()[name]
                tensor.copy_(tensor.to(getattr(torch, weights_dtype)))
    export_to_wasm(model, tmp_path / "rounded.wasm", x, optimization_level="O1")
    with load(paths[1]) as one, load(tmp_path / "rounded.wasm") as other:
        for _ in range(2):
            assert torch.equal(*(torch.from_numpy(m(x).numpy()) for m in (one, other)))


def test_folded_weights_are_kept_in_16_bits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Weighted(), torch.randn(2, 3, 8, 8)
    export_to_wasm(model, tmp_path / "m.wasm", x, weights_dtype="float16")
    manifest = read((tmp_path / "m.wasm").read_bytes()).manifest
    folded = [t for t in manifest["weights"]["tensors"] if t["shape"] == [8, 3, 3, 3]]
    assert [t["stored"] for t in folded] == ["float16"]


def test_rounding_that_spoils_the_outputs_is_refused(tmp_path: Path) -> None:
    class Cancelling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("above", torch.full((4, 4), 1.0002))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.above - x.sum(-1, keepdim=True)

    path = tmp_path / "m.wasm"
    with pytest.raises(ExportError, match="do not bear 16 bits"):
        export_to_wasm(Cancelling(), path, torch.ones(2, 4), weights_dtype="float16")
    assert not path.exists()
    export_to_wasm(Cancelling(), path, torch.ones(2, 4))


def test_progress_names_the_steps(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    export_to_wasm(
        nn.ReLU(), tmp_path / "m.wasm", torch.randn(3), progress=lambda *step: told.append(step)
    )
    assert [done for _, done in told] == sorted(done for _, done in told)
    assert told[0][0] == "capturing forward" and told[-1] == ("done", 1.0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "no module"}, TypeError, "must be a torch.nn.Module, of torch or of wasm_torch"),
        ({"example_input": None}, TypeError, "needs example_input=, or methods="),
        ({"optimization_level": "O9"}, ValueError, "must be one of O0, O1, O2, O3, not 'O9'"),
        ({"weights_dtype": "int4"}, ValueError, "must be one of float32, float16, bfloat16, not"),
        ({"methods": {}, "example_input": None}, ValueError, "methods= is empty"),
    ],
)
def test_arguments_that_make_no_sense(
    arguments: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    given = {"model": nn.ReLU(), "output_path": tmp_path / "m.wasm", "example_input": torch.ones(2)}
    with pytest.raises(error, match=message):
        export_to_wasm(**(given | arguments))


def test_control_flow_on_values_is_explained(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match="could not follow the model"):
        export_to_wasm(Branching(), tmp_path / "m.wasm", torch.randn(3))


def test_a_torch_that_was_not_tested_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "__version__", "1.13.0")
    with pytest.raises(ExportError, match=r"this is torch 1\.13\.0"):
        export_to_wasm(nn.ReLU(), tmp_path / "m.wasm", torch.randn(3))
