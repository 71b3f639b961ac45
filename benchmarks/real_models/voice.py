"""Where someone speaks, by Silero VAD: a recurrent network over frames of 32 ms."""

from __future__ import annotations

from typing import Any

import numpy
import torch
from torch import nn

from wasm_torch.export import export_to_wasm

from .files import SAMPLE_RATE, member, speech
from .job import Calls, Outputs

FRAME, CONTEXT = 512, 64
WINDOW, HOP, BINS = 256, 128, 129
WIDTH = 128
PARAMETERS = ("weight", "bias")


class VoiceDetector(nn.Module):
    """A frame of samples at 16 kHz, [1, 512] → the probability of speech in it, [1, 1].

    The last samples of the frame before and the LSTM's state are kept in buffers from call to
    call. The layers are those of Silero VAD 6 (MIT), named as in its ``tinygrad_model.py``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * BINS, WINDOW, HOP, bias=False)
        self.conv1 = nn.Conv1d(BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, 2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, 2, padding=1)
        self.conv4 = nn.Conv1d(64, WIDTH, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(WIDTH, WIDTH)
        self.final_conv = nn.Conv1d(WIDTH, 1, 1)
        self.register_buffer("context", torch.zeros(1, CONTEXT))
        self.register_buffer("hidden", torch.zeros(1, WIDTH))
        self.register_buffer("cell", torch.zeros(1, WIDTH))

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        samples = torch.cat([self.context, frame], 1)
        padded = nn.functional.pad(samples, (0, CONTEXT), "reflect")
        real, imaginary = self.stft_conv(padded.unsqueeze(1)).split(BINS, 1)
        x = (real**2 + imaginary**2).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x).relu()
        hidden, cell = self.lstm_cell(x.squeeze(-1), (self.hidden, self.cell))
        self.context.copy_(samples[:, -CONTEXT:])
        self.hidden.copy_(hidden)
        self.cell.copy_(cell)
        return self.final_conv(hidden.relu().unsqueeze(-1)).sigmoid().squeeze(-1)


#: Names of layers here -> there. (The package's safetensors hold another version's weights.)
TORCHSCRIPT = {
    "stft_conv.weight": "stft.forward_basis_buffer",
    **{f"conv{i + 1}.{p}": f"encoder.{i}.reparam_conv.{p}" for i in range(4) for p in PARAMETERS},
    **{f"lstm_cell.{p}_{m}": f"decoder.rnn.{p}_{m}" for p in PARAMETERS for m in ("ih", "hh")},
    **{f"final_conv.{p}": f"decoder.decoder.2.{p}" for p in PARAMETERS},
}


def _by_silero(model: torch.jit.ScriptModule, frames: numpy.ndarray) -> numpy.ndarray:
    """The probabilities of Silero's own TorchScript."""
    model.reset_states()
    with torch.no_grad():
        return numpy.stack([model(torch.tensor(f), SAMPLE_RATE).numpy() for f in frames])


def job() -> Calls:
    """All frames of the clip, in order."""
    silero = torch.jit.load(member("silero_vad", "silero_vad/data/silero_vad.jit"))
    weights = silero.state_dict()
    detector = VoiceDetector().eval()
    trained = {ours: weights[f"_model.{theirs}"] for ours, theirs in TORCHSCRIPT.items()}
    detector.load_state_dict(trained | dict(detector.named_buffers()))
    samples = speech()
    padded = numpy.pad(samples, (0, -len(samples) % FRAME))
    frames = padded.reshape(-1, 1, FRAME)

    def judge(outputs: Outputs) -> dict[str, Any]:
        speaking = int((outputs["output"] > 0.5).sum())
        return {"frames_of_speech": f"{speaking} of {len(frames)}", "ok": speaking > 0}

    example = torch.tensor(frames[0])
    return Calls(
        "voice",
        lambda path: export_to_wasm(detector, path, example),
        {"output": _by_silero(silero, frames)},
        [frames],
        judge=judge,
    )
