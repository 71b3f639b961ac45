"""MobileNetV2 as a torch module whose state dict is torchvision's.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

#: Of each group of blocks: expansion, channels, number of blocks, stride of the first (Table 2).
GROUPS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000


def convolution(
    inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1
) -> nn.Module:
    """Convolution, normalization and the activation that is cut off at 6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Expands the channels, convolves each by itself, and projects back without activation."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([convolution(inputs, hidden, 1)] if expansion > 1 else []),
            convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """[N, 3, 224, 224] → scores of 1,000 classes, [N, 1000]."""

    def __init__(self) -> None:
        super().__init__()
        layers, channels = [convolution(3, STEM_CHANNELS, 3, 2)], STEM_CHANNELS
        for expansion, outputs, count, stride in GROUPS:
            for i in range(count):
                layers.append(InvertedResidual(channels, outputs, expansion, 1 if i else stride))
                channels = outputs
        self.features = nn.Sequential(*layers, convolution(channels, HEAD_CHANNELS, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(HEAD_CHANNELS, CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def classifier(weights: Path) -> nn.Module:
    """The trained network, giving probabilities, in evaluation mode."""
    network = MobileNetV2()
    network.load_state_dict(torch.load(weights, weights_only=True))
    return nn.Sequential(network, nn.Softmax(1)).eval()
