"""Small models of wasm_torch, exported on the desktop and in Pyodide: this file runs in both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import wasm_torch as torch
from wasm_torch import nn


class Picture(nn.Module):
    """A small convolutional network with batch normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.head = nn.Linear(8 * 16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).flatten(1)).softmax(-1)


class BatchStatistics(nn.Module):
    """Normalizes by the batch also in evaluation, so that each call changes the statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("variance", torch.ones(4))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        self.calls.add_(1)
        y = nn.functional.batch_norm(x, self.mean, self.variance, training=True, momentum=0.25)
        return {"normal": y, "mean": self.mean * 1, "calls": self.calls + 0}


class Pair(nn.Module):
    """A nest of inputs, one of them by keyword; a tuple of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(4))

    def forward(self, pair: Any, shift: torch.Tensor) -> Any:
        return pair[0] * self.scale + pair[1], shift.sum()


def cases() -> Iterator[tuple[str, nn.Module, Any]]:
    """Name, model, example input."""
    torch.manual_seed(0)
    perceptron = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Dropout(), nn.Linear(64, 5))
    yield "perceptron", perceptron, torch.randn(3, 16)
    picture = Picture()
    for _ in range(3):
        picture(torch.randn(4, 3, 8, 8) * 2 + 1)  # gives the batch norm statistics
    yield "picture", picture, torch.randn(2, 3, 8, 8)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    yield "transformer", layer, torch.randn(2, 7, 16)
    yield "statistics", BatchStatistics(), torch.randn(6, 4)
    pair = {"pair": [torch.randn(3, 4), torch.randn(4)], "shift": torch.randn(2)}
    yield "pair", Pair(), pair


def outputs(result: Any) -> list[torch.Tensor]:
    """The tensors of a nest, in order."""
    if isinstance(result, torch.Tensor):
        return [result]
    items = result.values() if isinstance(result, dict) else result
    return [tensor for item in items for tensor in outputs(item)]


def differences(folder: str, **options: Any) -> dict[str, float]:
    """Exports every model, and calls model and file twice; the largest difference of their outputs.

    A difference in shape or dtype counts as infinite.
    """
    found = {}
    for name, model, example in cases():
        path = f"{folder}/{name}.wasm"
        torch.export_to_wasm(model, path, example, **options)
        args, kwargs = ((), example) if isinstance(example, dict) else ((example,), {})
        found[name] = 0.0
        model.eval()
        with torch.load_model(path) as loaded, torch.no_grad():
            for _ in range(2):
                theirs, ours = outputs(model(*args, **kwargs)), outputs(loaded(*args, **kwargs))
                for a, b in zip(theirs, ours, strict=True):
                    same = a.shape == b.shape and a.dtype == b.dtype
                    difference = float((a.double() - b.double()).abs().max()) if same else 1e99
                    found[name] = max(found[name], difference)
    return found
