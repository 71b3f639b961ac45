"""The Pyodide wheel holds what it must and nothing else, within its budget."""

from __future__ import annotations

import zipfile
from pathlib import Path

import brotli
import pytest

ROOT = Path(__file__).resolve().parents[2]
TAGS = {"pyodide_2024_0_wasm32", "pyemscripten_2025_0_wasm32", "pyemscripten_2026_0_wasm32"}
WHEEL_LIMIT_BYTES = 1_000_000
ENGINE_LIMIT_BYTES = 300_000


@pytest.fixture(scope="module")
def archive() -> zipfile.ZipFile:
    wheels = list((ROOT / "dist").glob("*wasm32.whl"))
    assert len(wheels) == 1, "run `make wheel`"
    return zipfile.ZipFile(wheels[0])


def test_tags(archive: zipfile.ZipFile) -> None:
    name = Path(archive.filename).stem
    python, abi, platforms = name.split("-")[2:]
    assert (python, abi, set(platforms.split("."))) == ("cp312", "abi3", TAGS)


def test_size(archive: zipfile.ZipFile) -> None:
    assert Path(archive.filename).stat().st_size <= WHEEL_LIMIT_BYTES


@pytest.mark.parametrize("variant", ["simd", "relaxed"])
def test_engine_size(archive: zipfile.ZipFile, variant: str) -> None:
    engine = archive.read(f"wasm_torch/_host/engine/{variant}.wasm")
    assert engine[:8] == b"\0asm\1\0\0\0"
    assert len(brotli.compress(engine)) <= ENGINE_LIMIT_BYTES


def test_every_python_file_and_no_sources(archive: zipfile.ZipFile) -> None:
    names = {name for name in archive.namelist() if name.startswith("wasm_torch/")}
    tracked = {str(path.relative_to(ROOT / "src")) for path in ROOT.glob("src/wasm_torch/**/*.py")}
    assert {name for name in names if name.endswith(".py")} == tracked
    others = {name for name in names if not name.endswith((".py", ".pyi", "py.typed"))}
    engine = "wasm_torch/_host/engine"
    assert others == {
        "wasm_torch/_C.abi3.so",
        *(f"{engine}/{name}" for name in ("host.js", "simd.wasm", "relaxed.wasm")),
    }


def test_metadata_names_no_requirement(archive: zipfile.ZipFile) -> None:
    (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
    metadata = archive.read(name).decode()
    assert "Name: wasm-shim-torch\n" in metadata
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert [line for line in required if "extra ==" not in line] == []
