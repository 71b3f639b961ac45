"""The architectures of the zoo, with random weights: what each is and an input for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Architecture:
    """``make`` builds the model; ``example`` its example input."""

    make: Callable[[], nn.Module]
    example: Callable[[], Any]


def declare_torchvision_operations() -> torch.library.Library:
    """Schemas that torchvision's import expects of its compiled part, which is not installed."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def picture(size: int = 224) -> Callable[[], torch.Tensor]:
    return lambda: torch.randn(1, 3, size, size)


def tokens(length: int, vocabulary: int) -> torch.Tensor:
    return torch.randint(0, vocabulary, (1, length))


def text(length: int, vocabulary: int = 30000) -> Callable[[], dict[str, torch.Tensor]]:
    """Token ids and a mask."""

    def example() -> dict[str, torch.Tensor]:
        ids = tokens(length, vocabulary)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    return example


class Outputs(nn.Module):
    """A transformers model that returns one tensor of its output, by name."""

    def __init__(self, model: nn.Module, output: str):
        super().__init__()
        self.model = model
        self.output = output

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        return getattr(self.model(**inputs), self.output)


class Recurrent(nn.Module):
    """A three-layer LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(64, 128, 3, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0])


class StyleTransfer(nn.Module):
    """A transformer network for style transfer with instance norms (Johnson et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
            pad = nn.ReflectionPad2d(kernel // 2)
            convolution = nn.Conv2d(inputs, outputs, kernel, stride)
            return nn.Sequential(pad, convolution, nn.InstanceNorm2d(outputs, affine=True))

        self.down = nn.ModuleList((block(3, 32, 9), block(32, 64, 3, 2), block(64, 128, 3, 2)))
        self.first = nn.ModuleList(block(128, 128, 3) for _ in range(5))
        self.second = nn.ModuleList(block(128, 128, 3) for _ in range(5))
        self.up = nn.ModuleList((block(128, 64, 3), block(64, 32, 3)))
        self.last = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(32, 3, 9))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.down:
            x = layer(x).relu()
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(first(x).relu())
        for layer in self.up:
            x = layer(nn.functional.interpolate(x, scale_factor=2.0)).relu()
        return self.last(x)


def yolov8n() -> nn.Module:
    """Ultralytics' detector."""
    from ultralytics.nn.tasks import DetectionModel

    return DetectionModel("yolov8n.yaml", verbose=False)


def vit_b_16() -> nn.Module:
    """A vision transformer with a random head: torchvision's is zeros, as its results would be."""
    from torchvision import models

    model = models.vit_b_16()
    nn.init.normal_(model.heads.head.weight, std=0.02)
    return model


def _vision() -> dict[str, Architecture]:
    from torchvision import models

    zoo = {
        name: Architecture(getattr(models, name), picture())
        for name in (
            "alexnet",
            "resnet18",
            "resnet34",
            "resnet50",
            "resnext50_32x4d",
            "mnasnet1_0",
            "regnet_y_400mf",
            "mobilenet_v2",
            "mobilenet_v3_small",
            "mobilenet_v3_large",
            "squeezenet1_1",
            "efficientnet_b0",
            "vgg16",
            "densenet121",
            "shufflenet_v2_x1_0",
            "convnext_tiny",
            "swin_t",
        )
    }
    zoo["vit_b_16"] = Architecture(vit_b_16, picture())
    zoo["inception_v3"] = Architecture(
        lambda: models.inception_v3(init_weights=False), picture(299)
    )
    zoo["googlenet"] = Architecture(
        lambda: models.googlenet(init_weights=False, aux_logits=False), picture()
    )
    zoo["deeplabv3_mobilenet"] = Architecture(
        lambda: models.segmentation.deeplabv3_mobilenet_v3_large(weights_backbone=None),
        picture(),
    )
    return zoo


def _transformers() -> dict[str, Architecture]:
    import transformers as t

    minilm = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
    llama = {
        "hidden_size": 288,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "intermediate_size": 768,
        "vocab_size": 32000,
        "use_cache": False,
    }

    def bert(**sizes: Any) -> Callable[[], nn.Module]:
        return lambda: Outputs(t.BertModel(t.BertConfig(**sizes)), "last_hidden_state")

    def ids(length: int, vocabulary: int) -> Callable[[], dict[str, torch.Tensor]]:
        return lambda: {"input_ids": tokens(length, vocabulary)}

    def whisper() -> dict[str, torch.Tensor]:
        return {
            "input_features": torch.randn(1, 80, 3000),
            "decoder_input_ids": tokens(4, 51000),
        }

    whisper_tiny = {
        "d_model": 384,
        "encoder_layers": 4,
        "decoder_layers": 4,
        "encoder_attention_heads": 6,
        "decoder_attention_heads": 6,
        "encoder_ffn_dim": 1536,
        "decoder_ffn_dim": 1536,
        "use_cache": False,
    }
    return {
        "minilm": Architecture(bert(num_attention_heads=12, **minilm), text(32)),
        "bert_base": Architecture(bert(), text(64)),
        "distilbert": Architecture(
            lambda: Outputs(t.DistilBertModel(t.DistilBertConfig()), "last_hidden_state"), text(64)
        ),
        "gpt2": Architecture(
            lambda: Outputs(t.GPT2LMHeadModel(t.GPT2Config(use_cache=False)), "logits"),
            ids(32, 50000),
        ),
        "llama_15m": Architecture(
            lambda: Outputs(t.LlamaForCausalLM(t.LlamaConfig(**llama)), "logits"), ids(32, 32000)
        ),
        "whisper_tiny": Architecture(
            lambda: Outputs(t.WhisperModel(t.WhisperConfig(**whisper_tiny)), "last_hidden_state"),
            whisper,
        ),
        "whisper_encoder": Architecture(
            lambda: Outputs(
                t.WhisperModel(t.WhisperConfig(**whisper_tiny)).encoder, "last_hidden_state"
            ),
            lambda: {"input_features": torch.randn(1, 80, 3000)},
        ),
        "vit_base": Architecture(
            lambda: Outputs(t.ViTModel(t.ViTConfig()), "last_hidden_state"),
            lambda: {"pixel_values": torch.randn(1, 3, 224, 224)},
        ),
        "clip_b32": Architecture(
            lambda: Outputs(t.CLIPModel(t.CLIPConfig()), "logits_per_image"),
            lambda: text(16, 49000)() | {"pixel_values": torch.randn(1, 3, 224, 224)},
        ),
    }


def architectures() -> dict[str, Architecture]:
    """All by name."""
    return {
        "mlp": Architecture(
            lambda: nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)),
            lambda: torch.randn(4, 784),
        ),
        "lstm": Architecture(Recurrent, lambda: torch.randn(1, 12, 64)),
        "style_transfer": Architecture(StyleTransfer, picture(256)),
        "yolov8n": Architecture(yolov8n, picture(640)),
        **_vision(),
        **_transformers(),
    }
