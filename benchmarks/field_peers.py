"""The peers' packages and the model files that pages load."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_hosts import PACKAGE, ROOT

sys.path.insert(0, str(ROOT / "tools"))

from registry import TOOLCHAIN, npm_package  # noqa: E402

if TYPE_CHECKING:
    from field_models import FieldModel

ONNXRUNTIME_VERSION = "1.30.0"
LITERT_VERSION = "2.5.3"


def mounts(backends: Sequence[str]) -> dict[str, Path]:
    """Where the server finds the scripts of these backends; the peers' are fetched."""
    found = {}
    if "wasm" in backends:
        if not (PACKAGE / "wasm-torch.js").is_file():
            raise SystemExit(f"{PACKAGE} holds no package yet: run `make npm`")
        found["dist"] = PACKAGE
    if "onnx" in backends:
        name = "onnxruntime-web"
        found["ort"] = npm_package(name, ONNXRUNTIME_VERSION, TOOLCHAIN / name) / "dist"
    return found


def page_files(model: FieldModel, backends: Sequence[str]) -> dict[str, str]:
    """Makes the files of a model; which backends have none, and why."""
    from field_models import onnx_file, wasm_file

    missing = {}
    for backend, make in (("wasm", wasm_file), ("onnx", onnx_file)):
        if backend in backends:
            try:
                make(model)
            except Exception as error:
                missing[backend] = f"no file: {error}"
    return missing
