"""Whisper tiny.en (Radford et al. 2022) as three methods over one set of weights.

``mel`` makes a spectrogram of samples, ``encode`` reads it, and ``step`` takes one token and gives
the scores of the next. What later steps need of earlier calls (keys and values) lies in buffers.
"""

from __future__ import annotations

import math

import numpy
import torch
from torch import nn

from .files import SAMPLE_RATE

SECONDS = 30
WINDOW, HOP, BANDS = 400, 160, 80
FRAMES = SECONDS * SAMPLE_RATE // HOP
LAYERS, WIDTH, HEADS, INNER = 4, 384, 6, 1536
VOCABULARY, POSITIONS = 51_864, 448


def mel_filters() -> numpy.ndarray:
    """Weights [201, 80] of the bins of a DFT in each band: triangles on Slaney's mel scale.

    M. Slaney, Auditory Toolbox, 1998: linear below 1 kHz, logarithmic above; each of area one.
    """
    corner, step, growth = 1000.0, 200 / 3, math.log(6.4) / 27
    top = corner / step + math.log(SAMPLE_RATE / 2 / corner) / growth
    mels = numpy.linspace(0, top, BANDS + 2)
    logarithmic = corner * numpy.exp(growth * (mels - corner / step))
    edges = numpy.where(mels < corner / step, step * mels, logarithmic)
    bins = numpy.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return numpy.maximum(0, numpy.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])


class Spectrogram(nn.Module):
    """Samples of 30 seconds, [480000] → logarithmic mel bands [1, 80, 3000]."""

    def __init__(self) -> None:
        super().__init__()
        time = numpy.arange(WINDOW)
        window = 0.5 - 0.5 * numpy.cos(2 * numpy.pi * time / WINDOW)
        angles = 2 * numpy.pi * numpy.outer(time, numpy.arange(WINDOW // 2 + 1)) / WINDOW
        waves = numpy.concatenate([numpy.cos(angles), numpy.sin(angles)], 1)
        for name, array in (("waves", window[:, None] * waves), ("filters", mel_filters())):
            self.register_buffer(name, torch.tensor(array, dtype=torch.float32), persistent=False)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(samples[None], (WINDOW // 2, WINDOW // 2), "reflect")[0]
        frames = padded.unfold(0, WINDOW, HOP)[:FRAMES]
        real, imaginary = (frames @ self.waves).chunk(2, 1)
        bands = (real**2 + imaginary**2) @ self.filters
        decades = bands.clamp(min=1e-10).log10()
        return ((decades.maximum(decades.max() - 8) + 4) / 4).T[None]


class Attention(nn.Module):
    """Attention of x [1, T, 384] over keys and values that the caller gives."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.v_proj = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.k_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.out_proj = nn.Linear(WIDTH, WIDTH)

    def keys_values(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[1, 6, T, 64] each."""
        return _heads(self.k_proj(x)), _heads(self.v_proj(x))

    def forward(
        self,
        x: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        query = _heads(self.q_proj(x))
        mixed = nn.functional.scaled_dot_product_attention(query, keys, values, mask)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


def _heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


class CachedAttention(Attention):
    """Attention over keys and values that stay in buffers between calls."""

    def __init__(self, length: int) -> None:
        super().__init__()
        shape = 1, HEADS, length, WIDTH // HEADS
        self.register_buffer("keys", torch.zeros(shape), persistent=False)
        self.register_buffer("values", torch.zeros(shape), persistent=False)


class EncoderLayer(nn.Module):
    """Self-attention and a perceptron, each after a norm and with a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn, self.self_attn_layer_norm = Attention(), nn.LayerNorm(WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.final_layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.self_attn_layer_norm(x)
        return self.perceptron(x + self.self_attn(normed, *self.self_attn.keys_values(normed)))

    def perceptron(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.fc2(nn.functional.gelu(self.fc1(self.final_layer_norm(x))))


class DecoderLayer(EncoderLayer):
    """An encoder's layer over one token, with attention to the audio in between."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = CachedAttention(POSITIONS)
        self.encoder_attn = CachedAttention(FRAMES // 2)
        self.encoder_attn_layer_norm = nn.LayerNorm(WIDTH)

    def hear(self, audio: torch.Tensor) -> None:
        """Keeps the keys and values of the encoder's output."""
        keys, values = self.encoder_attn.keys_values(audio)
        self.encoder_attn.keys.copy_(keys)
        self.encoder_attn.values.copy_(values)

    def step(self, x: torch.Tensor, position: torch.Tensor, past: torch.Tensor) -> torch.Tensor:
        """x [1, 1, 384] at a position [1]; ``past`` [1, 448] says which positions it may see."""
        own, heard = self.self_attn, self.encoder_attn
        normed = self.self_attn_layer_norm(x)
        key, value = own.keys_values(normed)
        own.keys.index_copy_(2, position, key)
        own.values.index_copy_(2, position, value)
        x = x + own(normed, own.keys, own.values, past)
        x = x + heard(self.encoder_attn_layer_norm(x), heard.keys, heard.values)
        return self.perceptron(x)


class Encoder(nn.Module):
    """Mel bands [1, 80, 3000] → features [1, 1500, 384]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(BANDS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, 2, padding=1)
        self.embed_positions = nn.Embedding(FRAMES // 2, WIDTH)
        self.layers = nn.ModuleList(EncoderLayer() for _ in range(LAYERS))
        self.layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        x = nn.functional.gelu(self.conv1(mel))
        x = nn.functional.gelu(self.conv2(x)).mT + self.embed_positions.weight
        for layer in self.layers:
            x = layer(x)
        return self.layer_norm(x)


class Decoder(nn.Module):
    """Scores of the next token, from one token and what the layers keep."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.embed_positions = nn.Embedding(POSITIONS, WIDTH)
        self.layers = nn.ModuleList(DecoderLayer() for _ in range(LAYERS))
        self.layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, token: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        x = (self.embed_tokens(token) + self.embed_positions(position))[None]
        past = (torch.arange(POSITIONS) <= position)[None]
        for layer in self.layers:
            x = layer.step(x, position, past)
        return self.layer_norm(x)[0] @ self.embed_tokens.weight.T


class Whisper(nn.Module):
    """The names of the weights are those of transformers' ``WhisperModel`` (Apache-2.0)."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram, self.encoder, self.decoder = Spectrogram(), Encoder(), Decoder()

    def mel(self, samples: torch.Tensor) -> torch.Tensor:
        """Samples [480000] at 16 kHz → mel bands [1, 80, 3000]."""
        return self.spectrogram(samples)

    def encode(self, mel: torch.Tensor) -> torch.Tensor:
        """Mel bands → features [1, 1500, 384], which the decoder's layers hear from now on."""
        audio = self.encoder(mel)
        for layer in self.decoder.layers:
            layer.hear(audio)
        return audio

    def step(self, token: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """A token's id [1] and its position [1] → scores of the next, [1, 51864]."""
        return self.decoder(token, position)
