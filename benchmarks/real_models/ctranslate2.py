"""Whisper's weights from CTranslate2's ``model.bin``, under the names of transformers.

The format is that of CTranslate2's ``python/ctranslate2/specs/model_spec.py`` (MIT): binary
version 6, little-endian, strings and tensors preceded by their lengths.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy
import torch

PARTS = ("weight", "bias")

#: CTranslate2's numbers of dtypes.
DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}


class _Reader:
    """Numbers and strings from a file's bytes, in order."""

    def __init__(self, data: bytes):
        self.data, self.place = data, 0

    def take(self, form: str) -> int:
        (value,) = struct.unpack_from(f"<{form}", self.data, self.place)
        self.place += struct.calcsize(f"<{form}")
        return value

    def bytes(self, count: int) -> bytes:
        self.place += count
        return self.data[self.place - count : self.place]

    def string(self) -> str:
        return self.bytes(self.take("H")).rstrip(b"\0").decode()


def read(path: Path) -> dict[str, numpy.ndarray]:
    """The variables of a ``model.bin`` by name. Raises RuntimeError for another version."""
    reader = _Reader(path.read_bytes())
    version, spec, _, count = reader.take("I"), reader.string(), reader.take("I"), reader.take("I")
    if (version, spec) != (6, "WhisperSpec"):
        raise RuntimeError(f"{path.name} holds {spec} in version {version}, not Whisper in 6")
    variables = {}
    for _ in range(count):
        name = reader.string()
        shape = [reader.take("I") for _ in range(reader.take("B"))]
        dtype = DTYPES[reader.take("B")]
        variables[name] = numpy.frombuffer(reader.bytes(reader.take("I")), dtype).reshape(shape)
    return variables


def _layer(x: dict[str, torch.Tensor], there: str, here: str) -> dict[str, torch.Tensor]:
    """One layer of the encoder or the decoder: fused projections are split."""
    found: dict[str, torch.Tensor] = {}

    def linear(source: str, *targets: str) -> None:
        for part in PARTS:
            pieces = x[f"{there}/{source}/{part}"].chunk(len(targets))
            found.update({f"{here}.{t}.{part}": p for t, p in zip(targets, pieces, strict=True)})

    def norm(source: str, target: str) -> None:
        found[f"{here}.{target}.weight"] = x[f"{there}/{source}/gamma"]
        found[f"{here}.{target}.bias"] = x[f"{there}/{source}/beta"]

    norm("self_attention/layer_norm", "self_attn_layer_norm")
    query_key_value = [f"self_attn.{name}_proj" for name in "qkv"]
    linear("self_attention/linear_0", *query_key_value)
    linear("self_attention/linear_1", "self_attn.out_proj")
    norm("ffn/layer_norm", "final_layer_norm")
    linear("ffn/linear_0", "fc1")
    linear("ffn/linear_1", "fc2")
    if f"{there}/attention/linear_0/weight" in x:
        norm("attention/layer_norm", "encoder_attn_layer_norm")
        linear("attention/linear_0", "encoder_attn.q_proj")
        linear("attention/linear_1", "encoder_attn.k_proj", "encoder_attn.v_proj")
        linear("attention/linear_2", "encoder_attn.out_proj")
    # Whisper's keys have no bias; the fused projections hold zeros for it.
    return {name: value for name, value in found.items() if not name.endswith("k_proj.bias")}


def whisper(path: Path, layers: int) -> dict[str, Any]:
    """float32 weights under the names of transformers' ``WhisperModel``."""
    x = {k: torch.from_numpy(v.astype("float32")) for k, v in read(path).items() if v.ndim}
    weights = {
        "decoder.embed_tokens.weight": x["decoder/embeddings/weight"],
        **{f"encoder.conv{i}.{p}": x[f"encoder/conv{i}/{p}"] for i in (1, 2) for p in PARTS},
    }
    for side in ("encoder", "decoder"):
        weights[f"{side}.embed_positions.weight"] = x[f"{side}/position_encodings/encodings"]
        weights[f"{side}.layer_norm.weight"] = x[f"{side}/layer_norm/gamma"]
        weights[f"{side}.layer_norm.bias"] = x[f"{side}/layer_norm/beta"]
        for i in range(layers):
            weights |= _layer(x, f"{side}/layer_{i}", f"{side}.layers.{i}")
    return weights
