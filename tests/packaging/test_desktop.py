"""`pip install .` on the desktop: the same package, on the native engine."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
USE = """
import wasm_torch as torch
a = torch.arange(6.0).reshape(2, 3)
assert (a @ a.t()).tolist() == [[5.0, 14.0], [14.0, 50.0]]
print(torch.__file__)
"""


RUN_MODEL = """
layer = torch.nn.Linear(4, 3)
x = torch.ones(2, 4)
torch.export_to_wasm(layer, "layer.wasm", x)
torch.export_to_wasm(layer, "scalar.wasm", x, use_simd=False)
for name in ("layer.wasm", "scalar.wasm"):
    with torch.load_model(name) as model:
        torch.testing.assert_close(model(x), layer(x).detach())
print("models run")
"""
NO_ENGINE = """
try:
    torch.export_to_wasm(torch.nn.Linear(4, 3), "layer.wasm", torch.ones(2, 4))
except ImportError as error:
    print(error)
"""
VARIANTS = ("relaxed", "scalar", "simd")


def build_wheel(folder: Path, *settings: str) -> Path:
    """The desktop wheel, unpacked."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--quiet"]
    command += [*(f"-C{text}" for text in settings), "--wheel-dir", str(folder), str(ROOT)]
    # A folder that stays, so that the engine is compiled once.
    environment = {**os.environ, "SKBUILD_BUILD_DIR": "build/desktop"}
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    (wheel,) = folder.glob("*.whl")
    assert "-cp311-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".c", ".h"))]
        archive.extractall(folder / "installed")
    return folder / "installed"


def run(installed: Path, code: str) -> str:
    # -P and the folder: neither the source tree nor anything else of this environment's paths.
    code = f"import sys; sys.path.insert(0, {str(installed)!r})\n{USE}{code}"
    command = [sys.executable, "-P", "-c", code]
    return subprocess.check_output(command, cwd=installed.parent, text=True)


def test_the_wheel_computes_and_runs_model_files(tmp_path: Path) -> None:
    if not all((ROOT / "build" / "engine" / f"{name}.wasm").exists() for name in VARIANTS):
        pytest.fail("there are no engines in build/engine: run `make engine`")
    installed = build_wheel(tmp_path, f"cmake.define.WASM_TORCH_ENGINE_DIR={ROOT}/build/engine")
    engines = sorted(path.stem for path in installed.rglob("*.wasm"))
    assert engines == sorted(VARIANTS)
    place, done = run(installed, RUN_MODEL).splitlines()
    assert place.startswith(str(installed)) and done == "models run"

    # An installation without engines says what to do.
    for path in installed.rglob("*.wasm"):
        path.unlink()
    said = run(installed, NO_ENGINE)
    assert "run `make engine`, and then `pip install .`" in said
