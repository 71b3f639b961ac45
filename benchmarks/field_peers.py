"""The peers' packages and the model files that pages load."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_hosts import PACKAGE, ROOT

sys.path.insert(0, str(ROOT / "tools"))

from field_litert import reason_against

from registry import TOOLCHAIN, npm_package
from wasm_build import environment

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
    if "litert" in backends and reason_against() is None:
        found["litert"] = _litert()
    return found


def _litert() -> Path:
    """A folder with LiteRT.js as one script and its binaries."""
    parts = {}
    for name in ("core", "wasm-utils"):
        folder = TOOLCHAIN / f"litertjs-{name}" / LITERT_VERSION
        parts[name] = npm_package(f"@litertjs/{name}", LITERT_VERSION, folder)
    target = ROOT / "build" / "bench" / "litertjs"
    target.mkdir(parents=True, exist_ok=True)
    esbuild = ROOT / "src" / "runtime" / "node_modules" / ".bin" / "esbuild"
    command = [str(esbuild), str(parts["core"] / "dist" / "index.js"), "--bundle", "--format=esm"]
    command += [f"--alias:@litertjs/wasm-utils={parts['wasm-utils'] / 'dist' / 'index.js'}"]
    command += ["--minify", "--log-level=warning", f"--outfile={target / 'litert.mjs'}"]
    subprocess.run(command, check=True, env=environment())
    shutil.copytree(parts["core"] / "wasm", target / "wasm", dirs_exist_ok=True)
    return target


def page_files(model: FieldModel, backends: Sequence[str], packages: Path) -> dict[str, str]:
    """Makes the files of a model; which backends have none, and why."""
    from field_models import int8_file, litert_file, onnx_file, wasm_file

    makers = {
        "wasm": lambda: wasm_file(model),
        "wasm-int8": lambda: int8_file(model),
        "onnx": lambda: onnx_file(model),
        "litert": lambda: litert_file(model, packages),
    }
    missing = {}
    if "litert" in backends and (reason := reason_against()) is not None:
        missing["litert"] = reason
    for backend in backends:
        if backend in makers and backend not in missing:
            try:
                makers[backend]()
            except Exception as error:
                missing[backend] = f"no file: {error}"
    return missing
