"""Builds the JupyterLite site with one MNIST notebook into ``build/site/lite``, offline.

Offline means: the finished site asks no other server for anything. It carries Pyodide, the
kernel's wheels and the wasm-torch wheel; ``%pip install wasm-shim-torch`` finds it in ``pypi/``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from registry import ROOT, TOOLCHAIN, pyodide, sha256, wheels

TOOLS = ROOT / "tools"
#: The Pyodide version that jupyterlite-pyodide-kernel 0.8.6 is made for.
PYODIDE_VERSION = "314.0.6"
PYODIDE_FILES = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
)
#: Wheels that the kernel asks the piplite index for, not Pyodide's lock file.
PIPLITE_WHEELS = ("comm",)
#: The listing's dates, the same in every build.
EPOCH = "2026-01-01T00:00:00Z"


def builder() -> Path:
    """The ``jupyter-lite`` program, in a virtual environment made on the first call."""
    requirements = TOOLS / "lite-requirements.txt"
    environment = TOOLCHAIN / "jupyterlite"
    stamp = environment / ".complete"
    key = sha256(requirements)
    if not (stamp.exists() and stamp.read_text() == key):
        print("installing the JupyterLite builder", flush=True)
        venv.create(environment, clear=True, with_pip=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run(
            [*pip, "--disable-pip-version-check", "-r", str(requirements)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        stamp.write_text(key)
    return environment / "bin" / "jupyter-lite"


def write_pyodide(target: Path) -> None:
    """Pyodide in ``target``, with a lock file that lists the wheels beside it and nothing else."""
    source = pyodide(PYODIDE_VERSION)
    target.mkdir(parents=True)
    for name in PYODIDE_FILES:
        shutil.copy2(source / name, target / name)
    lock = json.loads((source / "pyodide-lock.json").read_text())
    found = {}
    for wheel in wheels(TOOLS / "lite-wheels.txt", TOOLCHAIN / "lite-wheels"):
        name = wheel.name.split("-")[0].lower().replace("_", "-")
        if name in PIPLITE_WHEELS:
            continue
        entry = lock["packages"][name]
        # The lock's versions are ours, but its files were rebuilt: PyPI's have other hashes.
        found[name] = {**entry, "file_name": wheel.name, "sha256": sha256(wheel)}
        shutil.copy2(wheel, target / wheel.name)
    depends = {dep.replace("_", "-") for entry in found.values() for dep in entry["depends"]}
    missing = depends - set(found)
    if missing:
        raise SystemExit(f"tools/lite-wheels.txt lacks {', '.join(sorted(missing))}")
    lock["packages"] = found
    (target / "pyodide-lock.json").write_text(json.dumps(lock))


def write_wheels(target: Path, wheel: Path) -> None:
    """The wheels that ``%pip install`` finds: ours, and those the kernel asks for by name."""
    target.mkdir(parents=True)
    shutil.copy2(wheel, target / wheel.name)
    for other in wheels(TOOLS / "lite-wheels.txt", TOOLCHAIN / "lite-wheels"):
        if other.name.split("-")[0] in PIPLITE_WHEELS:
            shutil.copy2(other, target / other.name)


def write_settings(target: Path) -> None:
    """The site's configuration: no package index but its own."""
    plugin = "@jupyterlite/pyodide-kernel-extension:kernel"
    settings = {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {
            "appName": "wasm-torch notebooks",
            "contentsAllJsonFile": "all.json",
            "litePluginSettings": {plugin: {"disablePyPIFallback": True}},
        },
    }
    (target / "jupyter-lite.json").write_text(json.dumps(settings, indent=2))
    # The notebook is short: draw all of it, so that a search or a screen reader finds every cell.
    overrides = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
    (target / "overrides.json").write_text(json.dumps(overrides))


def write_contents(output: Path) -> None:
    """The notebooks and the listing that the file browser reads.

    The builder can make the listing itself, but only with the whole Jupyter server installed.
    """
    files = output / "files"
    files.mkdir(exist_ok=True)
    entry = {"format": "json", "mimetype": None, "created": EPOCH, "last_modified": EPOCH}
    listing = {**entry, "name": "", "path": "", "type": "directory", "size": None, "content": []}
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shutil.copy2(notebook, files / notebook.name)
        names = {"name": notebook.name, "path": notebook.name, "type": "notebook"}
        size = notebook.stat().st_size
        listing["content"].append(
            {**entry, **names, "format": None, "size": size, "content": None, "writable": True}
        )
    api = output / "api" / "contents"
    api.mkdir(parents=True, exist_ok=True)
    (api / "all.json").write_text(json.dumps({**listing, "writable": True}))


def build(wheel: Path, output: Path) -> None:
    """Builds the site with ``wheel`` into ``output``, replacing what was there."""
    program = builder()
    work = ROOT / "build" / "lite"
    shutil.rmtree(work, ignore_errors=True)
    write_pyodide(work / "static" / "pyodide")
    write_wheels(work / "pypi", wheel)
    write_settings(work)
    shutil.rmtree(output, ignore_errors=True)
    command = [str(program), "build", "--lite-dir", str(work), "--output-dir", str(output)]
    command += ["--apps", "lab", "--apps", "notebooks", "--no-sourcemaps", "--no-libarchive"]
    result = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if result.returncode or not (output / "lab" / "index.html").exists():
        raise SystemExit(f"jupyter-lite failed:\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}")
    write_contents(output)
    shutil.rmtree(work)


def newest_wheel() -> Path:
    """The wheel of ``make wheel``; an exit that says so when there is none."""
    found = sorted((ROOT / "dist").glob("wasm_shim_torch-*wasm32.whl"), key=_modified)
    if not found:
        raise SystemExit("There is no wheel in dist/ yet: run `make wheel` first.")
    return found[-1]


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="the wheel to offer (default: newest in dist/)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site" / "lite")
    arguments = parser.parse_args()
    build(arguments.wheel or newest_wheel(), arguments.output)
    files = [path for path in arguments.output.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    print(f"JupyterLite is in {arguments.output} ({len(files)} files, {megabytes:.0f} MB)")


if __name__ == "__main__":
    main()
