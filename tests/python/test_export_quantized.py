"""Models whose files compute in 8 bits: what is kept how, how small and how right they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import wasm_torch
from wasm_torch import export_to_wasm, quantize_for_wasm
from wasm_torch.model import load


class Network(nn.Module):
    """A convolution with a batch norm, a depthwise one, a residual, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.body = nn.Conv2d(16, 16, 3, padding=1)
        self.wide = nn.Conv2d(16, 68, 1, bias=False)
        self.head = nn.Linear(68, 30)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(self.body(self.depthwise(x)) + x)
        return self.head(torch.relu(self.wide(x)).mean((2, 3)))


def network() -> nn.Module:
    torch.manual_seed(0)
    model = Network()
    model.norm.running_mean.normal_()
    model.norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(model.norm.weight)  # some of them negative
    return model.eval()


X = torch.randn(2, 3, 12, 12)


def kernels(path: Path) -> set[str]:
    with load(path) as model:
        return set(model.manifest["kernels"])


def test_a_quantized_network_is_near_the_model_and_smaller(tmp_path: Path) -> None:
    model = network()
    export_to_wasm(model, tmp_path / "float.wasm", X)
    compared = export_to_wasm(quantize_for_wasm(model), tmp_path / "int8.wasm", X)
    assert 1e-6 < compared["forward"].rel_err < 0.05
    assert {"conv_int8@1", "conv_packed@1"} <= kernels(tmp_path / "int8.wasm")
    sizes = [(tmp_path / name).stat().st_size for name in ("int8.wasm", "float.wasm")]
    assert sizes[0] < sizes[1]
    with load(tmp_path / "int8.wasm") as loaded:
        tensors = {t["name"]: t for t in loaded.manifest["weights"]["tensors"]}
    dtypes = {name: tensor["dtype"] for name, tensor in tensors.items()}
    assert dtypes["body.weight"] == dtypes["wide.weight"] == dtypes["head.weight"] == "int8"
    # Three channels are no multiple of 4, and a depthwise one has a group for each channel.
    assert dtypes["stem.weight"] == dtypes["depthwise.weight"] == "float32"


@pytest.mark.parametrize("level", ["O0", "O1", "O2", "O3"])
def test_every_level_computes_in_8_bits(level: str, tmp_path: Path) -> None:
    path = tmp_path / "int8.wasm"
    compared = export_to_wasm(quantize_for_wasm(network()), path, X, optimization_level=level)
    assert compared["forward"].rel_err < 0.05
    assert "conv_int8@1" in kernels(path)


def test_a_transformer_layer_and_embeddings(tmp_path: Path) -> None:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(100, 32)
            self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
            self.head = nn.Linear(32, 100, bias=False)
            self.head.weight = self.table.weight

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.layer(self.table(ids)))

    torch.manual_seed(1)
    model, ids = Language().eval(), torch.randint(0, 100, (2, 9))
    quantized = quantize_for_wasm(model)
    assert quantized.head.weight is quantized.table.weight
    compared = export_to_wasm(quantized, tmp_path / "int8.wasm", ids)
    assert compared["forward"].rel_err < 0.05
    with load(tmp_path / "int8.wasm") as loaded:
        tensors = loaded.manifest["weights"]["tensors"]
        floats = sum(t["bytes"] for t in tensors if t["dtype"] == "float32")
    assert floats < 12_000  # biases, norms, scales: no matrix


def test_sizes_may_vary(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=8)
    path = tmp_path / "int8.wasm"
    export_to_wasm(quantize_for_wasm(network()), path, X, dynamic_shapes={"x": {0: batch}})
    with load(path) as loaded:
        wanted = loaded(X)
        alone = loaded(X[:1])
    # Every entry of the batch has its own scale: others change nothing.
    assert bool((alone[0] == wanted[0]).all())


def test_the_copy_rounds_its_weights_and_the_model_stays() -> None:
    model = network()
    before = model.body.weight.clone()
    quantized = quantize_for_wasm(model)
    assert torch.equal(model.body.weight, before)
    weight = quantized.body.weight.detach().reshape(16, -1)
    steps = weight / (weight.abs().amax(1, keepdim=True) / 127)
    assert float((steps - steps.round()).abs().max()) < 1e-3
    assert not torch.equal(quantized.body.weight, before)
    assert torch.equal(quantized.stem.weight, model.stem.weight)


def test_a_model_of_wasm_torch_is_quantized_alike(tmp_path: Path) -> None:
    torch.manual_seed(2)
    own, theirs = wasm_torch.nn.Linear(64, 40), nn.Linear(64, 40)
    own.load_state_dict({k: wasm_torch.tensor(v.tolist()) for k, v in theirs.state_dict().items()})
    x = torch.randn(5, 64)
    results: list[Any] = []
    for model, example in ((own, wasm_torch.tensor(x.tolist())), (theirs, x)):
        path = tmp_path / "int8.wasm"
        export_to_wasm(quantize_for_wasm(model), path, example)
        with load(path) as loaded:
            results.append(loaded(x))
    assert bool((results[0] == results[1]).all())


def test_rows_of_zeros_and_biases_alone(tmp_path: Path) -> None:
    layer = nn.Linear(64, 20)
    with torch.no_grad():
        layer.weight[3] = 0
    path = tmp_path / "int8.wasm"
    export_to_wasm(quantize_for_wasm(layer), path, torch.randn(2, 64))
    with load(path) as loaded:
        got = loaded(torch.zeros(2, 64))
    assert got.tolist() == [layer.bias.tolist()] * 2


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((nn.Linear(64, 20), "static"), ValueError, "must be 'dynamic', not 'static'"),
        ((lambda x: x,), TypeError, "must be a torch.nn.Module"),
        ((nn.Linear(4, 4),), ValueError, "no layer whose weights"),
        ((nn.Conv2d(16, 16, 3, groups=16),), ValueError, "no layer whose weights"),
    ],
)
def test_what_is_refused(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        quantize_for_wasm(*arguments)
