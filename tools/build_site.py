"""The demo pages in ``build/site``: bundled scripts, Pyodide, the wheel, MNIST, the npm package,
MobileNetV2 as a model file, and what is where.

The JupyterLite site in ``build/site/lite`` is left as it is and linked where it exists.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import fetch_images
from build_lite import PYODIDE_FILES, newest_wheel
from export_classifier import export
from fetch_data import FILES, fetch
from registry import ROOT, TOOLCHAIN, pyodide, wheels
from wasm_build import environment

SOURCE = ROOT / "site" / "src"
PYODIDE_VERSION = "314.0.7"
#: Wheels which Pyodide's npm package lacks and the page needs.
TOOLS = ("micropip", "packaging")
#: Bundled by esbuild; the page loads them by these names.
ENTRIES = ("main.ts", "worker.ts", "classify.ts", "style.css")
STATIC = ("index.html", "classify.html", "favicon.svg")
#: What `make npm` has built.
PACKAGE = ROOT / "src" / "runtime" / "dist"
PACKAGE_FILES = ("wasm-torch.min.js", "relaxed.wasm", "simd.wasm", "scalar.wasm")


def bundle(target: Path) -> None:
    """Scripts, styles and fonts. Exits with esbuild's messages where it fails."""
    esbuild = ROOT / "site" / "node_modules" / ".bin" / "esbuild"
    command = [str(esbuild), *(str(SOURCE / name) for name in ENTRIES), "--bundle", "--minify"]
    command += ["--format=esm", "--target=es2022", "--loader:.py=text", "--loader:.woff2=file"]
    command += ["--asset-names=fonts/[name]", f"--outdir={target}", "--log-level=warning"]
    if subprocess.run(command, env=environment(), check=False).returncode:
        sys.exit("esbuild could not bundle the demo page")


def copy_pyodide(target: Path) -> None:
    source = pyodide(PYODIDE_VERSION)
    target.mkdir(parents=True)
    for name in (*PYODIDE_FILES, "pyodide-lock.json"):
        shutil.copy2(source / name, target / name)


def copy_tools(target: Path) -> list[str]:
    """The wheels of TOOLS; returns their paths in the site."""
    target.mkdir(parents=True)
    requirements = Path(__file__).resolve().parent / "lite-wheels.txt"
    found = {w.name.split("-")[0]: w for w in wheels(requirements, TOOLCHAIN / "lite-wheels")}
    for name in TOOLS:
        shutil.copy2(found[name], target / found[name].name)
    return [f"{target.name}/{found[name].name}" for name in TOOLS]


def copy_classifier(output: Path) -> list[dict[str, str]]:
    """The npm package, the network with its classes, and the examples; returns what they are."""
    for folder in ("wasm-torch", "models", "samples"):
        (output / folder).mkdir()
    for name in PACKAGE_FILES:
        shutil.copy2(PACKAGE / name, output / "wasm-torch" / name)
    shutil.copy2(export(), output / "models" / "mobilenet_v2.wasm")
    (output / "models" / "classes.json").write_text(json.dumps(fetch_images.class_names()))
    samples = []
    for title, picture in fetch_images.sample_pictures().items():
        shutil.copy2(picture, output / "samples" / picture.name)
        samples.append({"title": title, "address": f"samples/{picture.name}"})
    return samples


def build(wheel: Path, output: Path) -> None:
    """Assembles the site with ``wheel`` in ``output``, replacing all but its ``lite`` folder."""
    output.mkdir(parents=True, exist_ok=True)
    for entry in output.iterdir():
        if entry.name != "lite":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    bundle(output)
    for name in STATIC:
        shutil.copy2(SOURCE / name, output / name)
    copy_pyodide(output / "pyodide")
    tools = copy_tools(output / "tools")
    (output / "wheels").mkdir()
    shutil.copy2(wheel, output / "wheels" / wheel.name)
    data = fetch()
    (output / "data").mkdir()
    for name in FILES:
        shutil.copy2(data / f"{name}.gz", output / "data" / f"{name}.gz")
    samples = copy_classifier(output)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    places = {
        "version": project["version"],
        "pyodide": "pyodide/",
        "pyodideVersion": PYODIDE_VERSION,
        "wheel": f"wheels/{wheel.name}",
        "tools": tools,
        "lite": (output / "lite" / "index.html").exists(),
        "samples": samples,
    }
    (output / "site.json").write_text(json.dumps(places, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="the wheel to offer (default: newest in dist/)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site")
    arguments = parser.parse_args()
    build(arguments.wheel or newest_wheel(), arguments.output)
    print(f"the demo pages are in {arguments.output}")


if __name__ == "__main__":
    main()
