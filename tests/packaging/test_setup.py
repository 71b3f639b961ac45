"""The set-up says what it misses and cannot install, and does nothing where all is there."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import pytest
import python
import system
from report import SetupError

import pyodide_headers
import registry

ROOT = Path(__file__).resolve().parents[2]


def test_without_apt_the_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "PACKAGES", {"clang-19": "/nowhere/clang", "gcc": "no-such-gcc"})
    monkeypatch.setattr(system.shutil, "which", lambda name: None)
    with pytest.raises(SetupError, match=r"lacks what Debian packages as: clang-19 gcc"):
        system.install()


def test_without_root_the_command_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "missing_packages", lambda: ["chromium"])
    monkeypatch.setattr(system.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(system.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(system, "may_become_root", lambda: False)
    with pytest.raises(SetupError, match="sudo apt-get install chromium"):
        system.install()


def test_a_package_with_another_checksum_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def pack(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--pack-destination") + 1])
        (folder / "thing-1.0.0.tgz").write_bytes(b"tampered")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setitem(registry.NPM_SHA256, ("thing", "1.0.0"), "0" * 64)
    monkeypatch.setattr(registry.subprocess, "run", pack)
    with pytest.raises(registry.DownloadError, match="is pinned in"):
        registry.npm_package("thing", "1.0.0", tmp_path / "thing")
    assert not (tmp_path / "thing").exists()


def test_an_environment_sees_the_source_tree(tmp_path: Path) -> None:
    venv.create(tmp_path)
    python.link_source(tmp_path)
    command = [tmp_path / "bin" / "python", "-c", "import wasm_torch; print(wasm_torch.__file__)"]
    place = subprocess.check_output(command, cwd=tmp_path, text=True).strip()
    assert Path(place) == ROOT / "src" / "wasm_torch" / "__init__.py"
    shown = subprocess.check_output([tmp_path / "bin" / "wasm-torch", "--help"], text=True)
    assert "PyTorch models as single WebAssembly files" in shown


def test_a_second_run_installs_nothing() -> None:
    command = [str(ROOT / "tools" / "setup" / "bootstrap.sh")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == ""


def test_definitions_of_pyconfig_take_the_target_values() -> None:
    text = "#define SIZEOF_LONG 8\n/* #undef HAVE_X */\n#define HAVE_Y 1\n#define OTHER 3\n"
    variables = {"SIZEOF_LONG": 4, "HAVE_X": 1, "HAVE_Y": 0}
    expected = "#define SIZEOF_LONG 4\n#define HAVE_X 1\n/* #undef HAVE_Y */\n#define OTHER 3\n"
    assert pyodide_headers.rewrite_configuration(text, variables) == expected
