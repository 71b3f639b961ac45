"""MobileNetV2 with its ImageNet weights as a model file, ``build/models/mobilenet_v2.wasm``.

It is written anew where the exporter, the module or the weights have changed.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import fetch_images
from registry import ROOT

TARGET = ROOT / "build" / "models" / "mobilenet_v2.wasm"


def _key(weights: Path) -> str:
    """Of everything that the file is made from."""
    digest = hashlib.sha256()
    sources = sorted((ROOT / "src" / "wasm_torch").glob("**/*.py"))
    header = ROOT / "kernels" / "include" / "wasm_torch" / "abi.h"
    for file in (*sources, header, Path(__file__).with_name("mobilenet_v2.py"), weights):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def export() -> Path:
    """Writes the file where it is missing or stale, compared with torch; returns its path."""
    weights = fetch_images.weights()
    stamp, key = TARGET.with_suffix(".key"), _key(weights)
    if TARGET.exists() and stamp.exists() and stamp.read_text() == key:
        return TARGET
    sys.path.insert(0, str(ROOT / "src"))
    import torch

    from mobilenet_v2 import classifier
    from wasm_torch.export import export_to_wasm

    TARGET.parent.mkdir(parents=True, exist_ok=True)
    print("exporting MobileNetV2", flush=True)
    example = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    export_to_wasm(classifier(weights), TARGET, example)
    stamp.write_text(key)
    return TARGET


if __name__ == "__main__":
    print(f"{export().relative_to(ROOT)} has {TARGET.stat().st_size:,} bytes")
