"""Networks for pictures, with random weights."""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    """Two convolutions beside a shortcut, as in ResNet."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNetLike(nn.Module):
    """[1, 3, H, W] → [1, 10]."""

    def __init__(self, width: int, blocks: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        for stage in range(3):
            for block in range(blocks):
                first = stage > 0 and block == 0
                channels = width << stage
                layers.append(
                    Block(channels // 2 if first else channels, channels, 2 if first else 1)
                )
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(width << 2, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


def built(width: int, blocks: int = 1) -> nn.Module:
    """The same network every time."""
    torch.manual_seed(0)
    return ResNetLike(width, blocks).eval()
