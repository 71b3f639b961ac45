"""`pip install .` on the desktop: the same package, on the native engine."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
USE = """
import wasm_torch as torch
a = torch.arange(6.0).reshape(2, 3)
assert (a @ a.t()).tolist() == [[5.0, 14.0], [14.0, 50.0]]
print(torch.__file__)
"""


def test_wheel_builds_and_computes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--quiet"]
    command += ["--wheel-dir", str(tmp_path), str(ROOT)]
    # A folder that stays, so that the engine is compiled once.
    environment = {**os.environ, "SKBUILD_BUILD_DIR": "build/desktop"}
    subprocess.run(command, check=True, cwd=ROOT, env=environment)
    (wheel,) = tmp_path.glob("*.whl")
    assert "-cp311-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".c", ".h", ".wasm"))]
        archive.extractall(tmp_path / "installed")
    # -P and the folder: neither the source tree nor anything else of this environment's paths.
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r})\n{USE}"
    output = subprocess.check_output([sys.executable, "-P", "-c", code], cwd=tmp_path, text=True)
    assert output.strip().startswith(str(tmp_path))
