"""Files of the pinned wheels in real-wheels.txt, fetched once and kept in ``.toolchain/real``."""

from __future__ import annotations

import sys
import wave
import zipfile
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from registry import TOOLCHAIN, wheels  # noqa: E402

REQUIREMENTS = Path(__file__).resolve().parents[1] / "real-wheels.txt"
FOLDER = TOOLCHAIN / "real"
SAMPLE_RATE = 16_000


def member(package: str, name: str) -> Path:
    """A file of a wheel, unpacked once. ``name`` is its path in the wheel."""
    found = wheels(REQUIREMENTS, FOLDER / "wheels")
    (wheel,) = (file for file in found if file.name.startswith(f"{package}-"))
    target = FOLDER / wheel.stem / Path(name).name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.part")
        with zipfile.ZipFile(wheel) as archive:
            partial.write_bytes(archive.read(name))
        partial.rename(target)
    return target


def speech() -> numpy.ndarray:
    """Ten seconds of English (useful-moonshine-onnx, MIT): float32 in -1 to 1 at 16 kHz."""
    path = member("useful_moonshine_onnx", "moonshine_onnx/assets/beckett.wav")
    with wave.open(str(path)) as clip:
        form = clip.getframerate(), clip.getnchannels(), clip.getsampwidth()
        if form != (SAMPLE_RATE, 1, 2):
            raise RuntimeError(f"beckett.wav has {form}: rate, channels, bytes of a sample")
        samples = numpy.frombuffer(clip.readframes(clip.getnframes()), "<i2")
    return samples.astype(numpy.float32) / 32768
