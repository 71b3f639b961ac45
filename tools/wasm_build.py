"""Configures and builds the engines, and Pyodide's extension, with CMake and Emscripten.

The modules land in ``build/engine``; their sizes are printed.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from registry import ROOT, TOOLCHAIN

BUILD = ROOT / "build" / "wasm"
ENGINE = ROOT / "build" / "engine"
EMSCRIPTEN = TOOLCHAIN / "emscripten" / "bin"


def environment() -> dict[str, str]:
    """The environment with Emscripten's programs and the pinned Node.js first on PATH."""
    path = os.pathsep.join([str(EMSCRIPTEN), str(TOOLCHAIN / "node/bin"), os.environ["PATH"]])
    return {**os.environ, "PATH": path}


def build(*definitions: str, folder: Path = BUILD, target: str = "all") -> None:
    """Runs CMake on the tree under emcmake and builds ``target``; exits where either fails."""
    folder.mkdir(parents=True, exist_ok=True)
    configure = ["emcmake", "cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja"]
    configure += ["-DCMAKE_BUILD_TYPE=Release", *(f"-D{text}" for text in definitions)]
    steps = (configure, ["cmake", "--build", str(folder), "--target", target])
    with (folder / "configure.log").open("w") as log:
        result = subprocess.run(steps[0], env=environment(), stdout=log, stderr=log, check=False)
    if result.returncode:
        sys.exit((folder / "configure.log").read_text())
    result = subprocess.run(steps[1], env=environment(), check=False)
    if result.returncode:
        sys.exit(result.returncode)


def sizes(data: bytes) -> tuple[int, int, int | None]:
    """Bytes raw, gzipped, and compressed by brotli (None where that is not installed)."""
    try:
        import brotli
    except ImportError:
        return len(data), len(gzip.compress(data, 9)), None
    return len(data), len(gzip.compress(data, 9)), len(brotli.compress(data))


def describe(data: bytes) -> str:
    raw, gzipped, brotlied = sizes(data)
    text = f"{raw:>9,} bytes  {gzipped:>9,} gzip"
    return text if brotlied is None else f"{text}  {brotlied:>9,} brotli"


def build_engines() -> list[Path]:
    """The engines in ``build/engine``."""
    build()
    ENGINE.mkdir(parents=True, exist_ok=True)
    modules = sorted((BUILD / "engine").glob("*.wasm"))
    return [Path(shutil.copyfile(module, ENGINE / module.name)) for module in modules]


def main() -> None:
    for module in build_engines():
        print(f"{module.name:14}{describe(module.read_bytes())}")


if __name__ == "__main__":
    main()
