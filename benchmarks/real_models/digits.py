"""MNIST's test digits by a convolutional network trained on its training digits."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn

from wasm_torch.export import export_to_wasm

from .files import member
from .job import Calls, Outputs

BATCH = 100
#: Of the 10,000 test digits, those that the network should read rightly.
ACCURACY = 0.9906
#: Mean and deviation of MNIST's pixels, by which the network was trained.
MEAN, DEVIATION = 0.1307, 0.3081


class DigitNetwork(nn.Module):
    """[N, 28, 28] pixels from 0 to 255 → scores [N, 10].

    The layers and their names are those of digit-recognizer-py's ``CNN`` (MIT).
    """

    def __init__(self) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
            return nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)

        self.conv_layers = nn.Sequential(*block(1, 32), *block(32, 64), *block(64, 128))
        self.fc_layers = nn.Sequential(nn.Linear(1152, 256), nn.ReLU(), nn.Linear(256, 10))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = (pixels.unsqueeze(1).float() / 255 - MEAN) / DEVIATION
        return self.fc_layers(self.conv_layers(x).flatten(1))


def _idx(data: Path, name: str, *shape: int) -> numpy.ndarray:
    """An idx file without its header."""
    content = gzip.decompress((data / f"{name}.gz").read_bytes())
    return numpy.frombuffer(content, numpy.uint8)[-int(numpy.prod(shape)) :].reshape(shape)


def job() -> Calls:
    """All 10,000 test digits, `BATCH` a call."""
    from fetch_data import fetch

    network = DigitNetwork().eval()
    weights = member("digit_recognizer_py", "digit_recognizer/models/handwriting_model.pth")
    network.load_state_dict(torch.load(weights, weights_only=True))
    data = fetch()
    pixels = _idx(data, "t10k-images-idx3-ubyte", 10_000 // BATCH, BATCH, 28, 28)
    labels = _idx(data, "t10k-labels-idx1-ubyte", 10_000)
    with torch.no_grad():
        wanted = numpy.stack([network(torch.tensor(batch)).numpy() for batch in pixels])

    def judge(outputs: Outputs) -> dict[str, Any]:
        accuracy = float((outputs["output"].reshape(-1, 10).argmax(1) == labels).mean())
        return {"accuracy": accuracy, "ok": accuracy == ACCURACY}

    example = torch.tensor(pixels[0])
    return Calls(
        "digits",
        lambda path: export_to_wasm(network, path, example),
        {"output": wanted},
        [pixels],
        judge=judge,
    )
