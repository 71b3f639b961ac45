"""A page that Vite bundles with the npm package."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy
import pytest
from browsers import ask
from playwright.sync_api import Browser
from serve import SiteServer
from small_models import TOLERANCE, Case

ROOT = Path(__file__).resolve().parent.parent.parent
RUNTIME = ROOT / "src" / "runtime"
PROJECT = Path(__file__).resolve().parent / "vite"


@pytest.fixture(scope="session")
def bundle(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built page; the package is installed as npm would, with the files that it lists."""
    project = tmp_path_factory.mktemp("vite") / "project"
    shutil.copytree(PROJECT, project)
    installed = project / "node_modules" / "wasm-torch"
    shutil.copytree(package, installed / "dist")
    shutil.copy(RUNTIME / "package.json", installed)
    vite = RUNTIME / "node_modules" / "vite" / "bin" / "vite.js"
    command = ["node", str(vite), "build", "--outDir", "dist", "--logLevel", "warn"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return project / "dist"


def test_the_bundle_has_the_engine(bundle: Path) -> None:
    assert len(list(bundle.glob("assets/*.wasm"))) == 3


RUN = """async (ids) => {
    const data = await run("models/sentence.wasm", ids);
    const resources = performance.getEntriesByType("resource");
    return { data, fetched: resources.map(({ name }) => name.split("/").at(-1)) };
}"""


def test_the_page_runs(browser: Browser, bundle: Path, exported: tuple[Path, list[Case]]) -> None:
    folder, cases = exported
    case = next(case for case in cases if case.model == "sentence")
    server = SiteServer(bundle, isolated=True, mounts={"models": folder}).start()
    try:
        got = ask(browser, server.url, RUN, case.inputs[0].tolist())
    finally:
        server.stop()
    difference = numpy.abs(numpy.array(got["data"]) - case.outputs[0].reshape(-1)).max()
    assert difference <= TOLERANCE * numpy.abs(case.outputs[0]).max()
    engines = [name for name in got["fetched"] if name.startswith(("relaxed", "simd", "scalar"))]
    assert len(engines) <= 1, "one engine is fetched, the one that runs"
