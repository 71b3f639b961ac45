"""Small models that use different parts of the compiler, with inputs and torch's results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn
from torch.export import Dim

from wasm_torch.export import export_to_wasm


class Perceptron(nn.Module):
    """Linear layers; inputs of three dtypes; a dict of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 64), nn.Linear(64, 5)

    def forward(self, x: torch.Tensor, keep: torch.Tensor, shift: torch.Tensor) -> Any:
        hidden = torch.relu(self.first(x)).masked_fill(~keep, 0.0)
        scores = self.second(hidden) + shift
        return {"scores": scores, "best": scores.argmax(-1)}


class Picture(nn.Module):
    """Convolutions with batch norms, a residual, depthwise convolution, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU6())
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.norm = nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.norm(self.depthwise(x))
        x = nn.functional.max_pool2d(x, 2)
        return self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)).softmax(-1)


class Sentence(nn.Module):
    """Token ids, embeddings and a transformer's layer."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(50, 32)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.layer(self.tokens(ids)).mean(1)


class Sequence(nn.Module):
    """A recurrent network; a tuple of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(8, 12, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> Any:
        result, (hidden, cell) = self.cells(x)
        return result, hidden, cell


class Counter(nn.Module):
    """A buffer that every call changes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.total.add_(x)
        return self.total * 2


class Codec(nn.Module):
    """Two methods over one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(6, 9))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.basis.T

    def decode(self, code: torch.Tensor) -> torch.Tensor:
        return torch.tanh(code @ self.basis)


class Rounded(nn.Module):
    """Weights that 16 bits hold, which the file keeps in them; integers, vectors and a state."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 37), nn.Linear(37, 5)
        self.register_buffer("table", torch.arange(15).reshape(3, 5) * 2**40)
        self.register_buffer("total", torch.ones(2, 5))
        self.half().float()
        self.table = self.table.long()

    def forward(self, x: torch.Tensor) -> Any:
        self.total.mul_(3)
        return self.second(torch.relu(self.first(x))) + self.total[0], self.table + 1


#: Exported with sizes that vary, and called at several.
BATCH, LENGTH = Dim("batch", min=1, max=16), Dim("length", min=1, max=256)
SIDES = {0: BATCH, 2: Dim("height", min=16, max=128), 3: Dim("width", min=16, max=128)}


@dataclass(frozen=True, slots=True)
class Case:
    """One method of one model: inputs by position, and what torch gives, flat and in order."""

    model: str
    method: str
    inputs: list[numpy.ndarray]
    outputs: list[numpy.ndarray]


def _flat(result: Any) -> list[numpy.ndarray]:
    if isinstance(result, dict):
        return [array for item in result.values() for array in _flat(item)]
    if isinstance(result, (tuple, list)):
        return [array for item in result for array in _flat(item)]
    return [result.detach().numpy().copy()]


def _built() -> dict[str, tuple[nn.Module, dict[str, tuple[torch.Tensor, ...]]]]:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    keep = torch.rand(3, 64, generator=generator) > 0.3
    codec = Codec()
    return {
        "perceptron": (Perceptron(), {"forward": (normal(3, 16), keep, torch.arange(5))}),
        "picture": (Picture(), {"forward": (normal(2, 3, 32, 32),)}),
        "sentence": (Sentence(), {"forward": (torch.arange(14).reshape(2, 7) % 50,)}),
        "sequence": (Sequence(), {"forward": (normal(2, 9, 8),)}),
        "rounded": (Rounded(), {"forward": (normal(3, 16),)}),
        "counter": (Counter(), {"forward": (normal(4),)}),
        "codec": (codec, {"encode": (normal(2, 9),), "decode": (normal(2, 6),)}),
    }


def _varying() -> dict[str, tuple[nn.Module, Any, list[tuple[torch.Tensor, ...]]]]:
    """Models, their dynamic_shapes, and inputs of several sizes, the first being the example."""
    generator = torch.Generator().manual_seed(2)
    pictures = [(2, 24, 40), (1, 16, 16), (3, 61, 35)]
    texts = [(2, 7), (1, 1), (3, 200)]
    return {
        "pictures": (
            Picture(),
            {"x": SIDES},
            [(torch.randn(n, 3, h, w, generator=generator),) for n, h, w in pictures],
        ),
        "sentences": (
            Sentence(),
            {"ids": {0: BATCH, 1: LENGTH}},
            [(torch.arange(n * k).reshape(n, k) % 50,) for n, k in texts],
        ),
    }


def export_all(folder: Path) -> list[Case]:
    """Writes the files, NAME.wasm, and what each should give as cases.json and .bin files."""
    cases = []
    for name, (model, methods) in _built().items():
        model.eval()
        path = folder / f"{name}.wasm"
        if list(methods) == ["forward"]:
            weights_dtype = "float16" if isinstance(model, Rounded) else "float32"
            export_to_wasm(model, path, methods["forward"], weights_dtype=weights_dtype)
        else:
            wanted = {m: (getattr(model, m), x) for m, x in methods.items()}
            export_to_wasm(model, path, methods=wanted)
        for method, inputs in methods.items():
            fresh = {key: value.clone() for key, value in model.state_dict().items()}
            with torch.no_grad():
                outputs = _flat(getattr(model, method)(*inputs))
            model.load_state_dict(fresh)
            cases.append(Case(name, method, [x.numpy() for x in inputs], outputs))
    for name, (model, dynamic_shapes, calls) in _varying().items():
        export_to_wasm(
            model.eval(), folder / f"{name}.wasm", calls[0], dynamic_shapes=dynamic_shapes
        )
        for inputs in calls:
            with torch.no_grad():
                outputs = _flat(model(*inputs))
            cases.append(Case(name, "forward", [x.numpy() for x in inputs], outputs))
    _write(folder, cases)
    return cases


def _write(folder: Path, cases: list[Case]) -> None:
    """The cases for hosts in JavaScript: arrays as files of raw elements."""
    listed = []
    for number, case in enumerate(cases):
        entry: dict[str, Any] = {"model": case.model, "method": case.method}
        for kind, arrays in (("inputs", case.inputs), ("outputs", case.outputs)):
            entry[kind] = []
            for i, array in enumerate(arrays):
                name = f"{number}.{case.model}.{case.method}.{kind}{i}.bin"
                (folder / name).write_bytes(numpy.ascontiguousarray(array).tobytes())
                entry[kind].append({"file": name, "shape": array.shape, "dtype": str(array.dtype)})
        listed.append(entry)
    (folder / "cases.json").write_text(json.dumps(listed))


#: Largest difference to torch, of the output's largest element.
TOLERANCE = 1e-5
