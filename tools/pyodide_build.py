"""Builds the Pyodide wheel inside pyodide-build, where a Python that a Pyodide has is installed.

pyodide-build would fetch its cross-build environment from the network. All that this project needs
of it is in Pyodide's npm package and in this machine's Python, so one is made by hand: settings,
the headers with Emscripten's pyconfig.h, and the sysconfig data of Pyodide's Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pyodide_headers import SYSCONFIG, headers
from registry import ROOT, TOOLCHAIN, pyodide, sha256
from wasm_build import ENGINE, environment

REQUIREMENTS = ROOT / "tools" / "pyodide-build-requirements.txt"
#: Python -> (Pyodide, ABI): pyodide-build runs on the Python version that it builds for.
PYODIDES = {
    "3.14": ("314.0.7", "2026_0"),
    "3.13": ("0.29.5", "2025_0"),
    "3.12": ("0.27.7", "2024_0"),
}


def find_python() -> Path | None:
    """An interpreter of one of these versions: on PATH, or among pyenv's."""
    for version in PYODIDES:
        candidates = [shutil.which(f"python{version}")]
        versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        candidates += sorted(versions.glob(f"{version}.*/bin/python{version}"), reverse=True)
        for candidate in filter(None, candidates):
            probe = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
            result = subprocess.run(
                [str(candidate), "-c", probe], capture_output=True, text=True, check=False
            )
            if result.stdout.strip() == version:
                return Path(candidate)
    return None


def version_of(python: Path) -> str:
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.check_output([str(python), "-c", probe], text=True).strip()


def build_environment(python: Path) -> Path:
    """The virtual environment with pyodide-build and the build backend, made once."""
    folder = TOOLCHAIN / "pyodide-build"
    stamp = folder / ".complete"
    key = f"{python} {sha256(REQUIREMENTS)}"
    if not (stamp.exists() and stamp.read_text() == key):
        print("installing pyodide-build", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([str(python), "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run(
            [*pip, "--disable-pip-version-check", "-r", str(REQUIREMENTS)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        stamp.write_text(key)
    return folder


def cross_build_environment(python_version: str) -> Path:
    """The folder for PYODIDE_XBUILDENV_PATH."""
    version, abi = PYODIDES[python_version]
    folder = TOOLCHAIN / "xbuildenv"
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / version / "xbuildenv" / "pyodide-root"
    installed = root / "cpython" / "installs" / f"python-{python_version}"
    (installed / "sysconfigdata").mkdir(parents=True)
    (installed / "include").symlink_to(headers())
    (root / "dist").symlink_to(pyodide(version))
    with zipfile.ZipFile(root / "dist" / "python_stdlib.zip") as library:
        data = library.read(f"{SYSCONFIG}.py")
    (installed / "sysconfigdata" / f"{SYSCONFIG}.py").write_bytes(data)
    (root.parent / "requirements.txt").touch()
    major, minor = python_version.split(".")
    settings = {
        "PYODIDE_VERSION": version,
        "PYODIDE_ABI_VERSION": abi,
        "PYODIDE_EMSCRIPTEN_VERSION": "3.1.69",
        "PYVERSION": f"{python_version}.0",
        "PYMAJOR": major,
        "PYMINOR": minor,
        "PYMICRO": "0",
        "PLATFORM_TRIPLET": "wasm32-emscripten",
        "SYSCONFIG_NAME": SYSCONFIG,
        "SYSCONFIGDATA_DIR": f"{installed}/sysconfigdata",
        "CPYTHONINSTALL": str(installed),
        "TARGETINSTALLDIR": str(installed),
        "PYTHONINCLUDE": f"{installed}/include",
        "CFLAGS_BASE": "-O2 -g0 -fPIC",
        "CXXFLAGS_BASE": "-O2 -g0 -fPIC",
        "LDFLAGS_BASE": "-O2 -sWASM_BIGINT",
    }
    lines = [f"export {name}={value}" for name, value in settings.items()]
    (root / "Makefile.envs").write_text("\n".join([*lines, ".output_vars:", "\tset", ""]))
    (folder / version / ".installed").touch()
    (folder / version / ".build-python-version").write_text(python_version)
    (folder / "xbuildenv").symlink_to(version)
    return folder


def build(python: Path, output: Path) -> Path:
    """The wheel, with the tag of the Pyodide it was built for, in ``output``. Exits on failure."""
    tools = build_environment(python)
    variables = {
        **environment(),
        "PYODIDE_XBUILDENV_PATH": str(cross_build_environment(version_of(python))),
        "SKIP_EMSCRIPTEN_VERSION_CHECK": "1",
        # Its own default is -Oz; the extension's calls are timed in hundreds of nanoseconds.
        "SIDE_MODULE_CFLAGS": f"-O2 -g0 -fPIC -I{headers()}",
        "SIDE_MODULE_LDFLAGS": "-O2 -sWASM_BIGINT -sSIDE_MODULE=1",
        "CMAKE_ARGS": (f"-DWASM_TORCH_PYTHON_INCLUDE={headers()} -DWASM_TORCH_ENGINE_DIR={ENGINE}"),
    }
    variables["PATH"] = f"{tools / 'bin'}{os.pathsep}{variables['PATH']}"
    command = [str(tools / "bin" / "pyodide"), "build", str(ROOT), "--outdir", str(output)]
    command += ["--no-isolation", f"-Cbuild-dir={ROOT / 'build' / 'pyodide-build'}"]
    result = subprocess.run(
        command,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    shutil.rmtree(ROOT / ".pyodide_build", ignore_errors=True)
    wheels = list(output.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        sys.exit(f"pyodide build failed:\n{result.stdout[-6000:]}")
    return wheels[0]
