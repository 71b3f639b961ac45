"""The recipes are valid to the tools that read them, and agree with pyproject.toml."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from rattler_build import PlatformConfig, RenderConfig, Stage0Recipe, VariantConfig

ROOT = Path(__file__).resolve().parents[2]
FORGE = ROOT / "recipes" / "emscripten-forge" / "recipe.yaml"
PYODIDE = ROOT / "recipes" / "pyodide" / "wasm-shim-torch" / "meta.yaml"
PYODIDE_BUILD = ROOT / ".toolchain" / "pyodide-build" / "bin" / "python"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

READ_RECIPE = """
import sys
from pathlib import Path
from pyodide_build.recipe.spec import MetaConfig
recipe = MetaConfig.from_yaml(Path(sys.argv[1]))
print(recipe.package.name, recipe.package.version, recipe.source.path.resolve())
"""


def test_emscripten_forge_recipe_renders() -> None:
    platform = PlatformConfig(
        target_platform="emscripten-wasm32",
        host_platform="emscripten-wasm32",
        build_platform="linux-64",
    )
    variants = VariantConfig.from_yaml("c_compiler: [emscripten]\npython: ['3.13.* *_cp313']\n")
    (rendered,) = Stage0Recipe.from_file(FORGE).render(variants, RenderConfig(platform=platform))
    recipe = rendered.recipe.to_dict()
    assert recipe["package"] == {"name": PROJECT["name"], "version": PROJECT["version"]}
    build = [str(entry) for entry in recipe["requirements"]["build"]]
    assert any("emscripten_emscripten-wasm32" in entry for entry in build)
    assert any("cross-python_emscripten-wasm32" in entry for entry in build)


def test_pyodide_recipe_is_read_by_pyodide_build() -> None:
    if not PYODIDE_BUILD.exists():
        pytest.skip("pyodide-build needs Python 3.12 or later, which this machine does not have")
    output = subprocess.check_output(
        [str(PYODIDE_BUILD), "-c", READ_RECIPE, str(PYODIDE)], text=True
    )
    assert output.split() == [PROJECT["name"], PROJECT["version"], str(ROOT)]


def test_pyodide_recipe_agrees_with_the_project() -> None:
    recipe = yaml.safe_load(PYODIDE.read_text())
    assert recipe["package"]["name"] == PROJECT["name"]
    assert recipe["package"]["version"] == PROJECT["version"]
    assert recipe["about"]["summary"] == PROJECT["description"].partition(",")[0]
    assert recipe["about"]["license"] == PROJECT["license"]
    for name in recipe["test"]["imports"]:
        assert (ROOT / "src" / name.replace(".", "/") / "__init__.py").exists(), name
