"""The wheel for Pyodide, in ``dist/``: the package, its extension, two engines and the host script.

One wheel serves Pyodide 0.27, 0.29 and 314. scikit-build-core makes it from pyproject.toml and
CMakeLists.txt, as it does on the desktop; here CMake runs with Emscripten's toolchain file. With
``--pyodide-build`` the same happens inside pyodide-build (see pyodide_build.py).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import pyodide_build
from pyodide_headers import headers
from registry import ROOT, TOOLCHAIN
from wasm_build import EMSCRIPTEN, ENGINE, build_engines, describe, environment

DIST = ROOT / "dist"
PYTHON_TAG = "cp312"
#: The ABI of Pyodide 0.27, of 0.29 and of 314.
PLATFORM_TAGS = "pyodide_2024_0_wasm32.pyemscripten_2025_0_wasm32.pyemscripten_2026_0_wasm32"
LIMIT_BYTES = 1_000_000


def run(command: list[str | Path], **options: object) -> str:
    """Runs a command quietly; exits with its output where it fails."""
    words = [str(word) for word in command]
    result = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    if result.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{result.stdout[-6000:]}")
    return result.stdout


def build_host_script() -> None:
    run(["npm", "run", "--silent", "build"], cwd=ROOT / "src" / "runtime")


def build_directly(folder: Path) -> Path:
    """The wheel as scikit-build-core names it, in ``folder``."""
    cmake_root = run([EMSCRIPTEN / "em-config", "EMSCRIPTEN_ROOT"], env=environment()).strip()
    arguments = {
        "CMAKE_TOOLCHAIN_FILE": f"{cmake_root}/cmake/Modules/Platform/Emscripten.cmake",
        "CMAKE_CROSSCOMPILING_EMULATOR": TOOLCHAIN / "node" / "bin" / "node",
        "WASM_TORCH_PYTHON_INCLUDE": headers(),
        "WASM_TORCH_ENGINE_DIR": ENGINE,
    }
    variables = {
        **environment(),
        "CMAKE_ARGS": " ".join(f"-D{name}={value}" for name, value in arguments.items()),
        "_PYTHON_HOST_PLATFORM": "pyodide-2024_0-wasm32",
    }
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    command += [f"-Cbuild-dir={ROOT / 'build' / 'wheel'}", ROOT]
    run(command, env=variables)
    (wheel,) = folder.glob("*.whl")
    return wheel


def retag(wheel: Path) -> Path:
    """Renames the wheel to the tags of every Pyodide that it runs in, and moves it to ``dist/``."""
    command = [sys.executable, "-m", "wheel", "tags", "--remove", "--python-tag", PYTHON_TAG]
    name = run([*command, "--abi-tag", "abi3", "--platform-tag", PLATFORM_TAGS, wheel]).split()[-1]
    DIST.mkdir(exist_ok=True)
    for old in DIST.glob("*wasm32.whl"):
        old.unlink()
    return Path(shutil.move(wheel.parent / name, DIST / name))


def report(wheel: Path) -> None:
    """Prints what the wheel holds; exits where it is too large or incomplete."""
    with zipfile.ZipFile(wheel) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        for name in ("_C.abi3.so", *(f"_host/engine/{n}" for n in ("simd.wasm", "relaxed.wasm"))):
            print(f"  {name:26}{describe(archive.read(f'wasm_torch/{name}'))}")
        script = archive.read("wasm_torch/_host/engine/host.js")
        print(f"  {'_host/engine/host.js':26}{describe(script)}")
        python = sum(e.compress_size for n, e in entries.items() if n.endswith(".py"))
        print(f"  {'Python, compressed':26}{python:>9,} bytes")
    size = wheel.stat().st_size
    print(f"{wheel.relative_to(ROOT)}: {size:,} bytes (limit {LIMIT_BYTES:,})")
    if size > LIMIT_BYTES:
        sys.exit("The wheel is larger than its limit.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--direct", action="store_true", help="do not use pyodide-build even where it can run"
    )
    arguments = parser.parse_args()
    build_host_script()
    build_engines()
    scratch = ROOT / "build" / "wheel-out"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    python = None if arguments.direct else pyodide_build.find_python()
    if python is None:
        print("building the wheel with scikit-build-core and Emscripten's toolchain file")
        wheel = build_directly(scratch)
    else:
        print(f"building the wheel with pyodide-build on {python}")
        wheel = pyodide_build.build(python, scratch)
    report(retag(wheel))


if __name__ == "__main__":
    main()
