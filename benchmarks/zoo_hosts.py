"""The hosts in which the zoo's files run: the desktop, Pyodide in Node, and pages in two browsers.

Each takes a `Case` and returns the largest errors, the milliseconds of loading and the peak of the
engine's memory during one call.
"""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from places import BROWSER_PYODIDE, ROOT, ask, in_node, launch
from playwright.sync_api import Browser, sync_playwright
from serve import SiteServer

PAGES = Path(__file__).resolve().parent / "pages"
PACKAGE = ROOT / "src" / "runtime" / "dist"
HOSTS = ("desktop", "pyodide", "chromium", "firefox")

#: Checks a case; see the module.
Check = Callable[["Case"], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """A model file NAME.wasm in a folder, with inputs and torch's outputs, flat and in order."""

    name: str
    folder: Path
    inputs: list[numpy.ndarray]
    outputs: list[numpy.ndarray]

    @property
    def path(self) -> Path:
        """The model's file."""
        return self.folder / f"{self.name}.wasm"

    def write(self) -> None:
        """Puts the arrays beside the model's file, where pages and Pyodide find them."""
        for kind, arrays in (("input", self.inputs), ("output", self.outputs)):
            for i, array in enumerate(arrays):
                (self.folder / f"{self.name}.{kind}{i}.bin").write_bytes(array.tobytes())

    def described(self) -> dict[str, Any]:
        """The files of the arrays, for a page or for Pyodide."""
        return {
            "name": self.name,
            **{
                f"{kind}s": [
                    {"file": f"{self.name}.{kind}{i}.bin", "dtype": str(a.dtype), "shape": a.shape}
                    for i, a in enumerate(arrays)
                ]
                for kind, arrays in (("input", self.inputs), ("output", self.outputs))
            },
        }

    def remove(self) -> None:
        """Deletes the arrays' files; the model's stays."""
        for file in self.folder.glob(f"{self.name}.*put*.bin"):
            file.unlink()


def errors(got: list[numpy.ndarray], wanted: list[numpy.ndarray]) -> tuple[float, float]:
    """The largest difference, absolute and in parts of its output's largest element."""
    worst, relative = 0.0, 0.0
    for ours, theirs in zip(got, wanted, strict=True):
        difference = float(numpy.abs(ours.astype(float) - theirs.astype(float)).max(initial=0.0))
        scale = float(numpy.abs(theirs.astype(float)).max(initial=0.0))
        worst = max(worst, difference)
        relative = max(relative, difference / scale if scale else difference)
    return worst, relative


def on_desktop(case: Case) -> dict[str, Any]:
    """The file in this process, through wasmtime."""
    from wasm_torch.model import load

    started = time.perf_counter()
    with load(case.path) as model:
        load_ms = 1000 * (time.perf_counter() - started)
        model.reset_peak()
        outputs = model.call_flat(model.default_method, *case.inputs).values()
        peak = model.memory_stats().peak_bytes
        absolute, relative = errors([t.numpy() for t in outputs], case.outputs)
    return {
        "max_abs_err": absolute,
        "rel_err": relative,
        "load_ms": round(load_ms, 1),
        "peak_bytes": peak,
    }


_IN_PYODIDE = """
import json, time
import wasm_torch as torch

def array(entry):
    with open("/zoo/" + entry["file"], "rb") as file:
        data = bytearray(file.read())
    return torch.frombuffer(data, dtype=getattr(torch, entry["dtype"])).reshape(entry["shape"])

def errors(got, wanted):
    worst, relative = 0.0, 0.0
    for ours, theirs in zip(got, wanted):
        assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
        if not ours.numel():
            continue
        difference = (ours.double() - theirs.double()).abs().max().item()
        scale = theirs.double().abs().max().item()
        worst = max(worst, difference)
        relative = max(relative, difference / scale if scale else difference)
    return worst, relative

def check(case):
    inputs = [array(entry) for entry in case["inputs"]]
    started = time.perf_counter()
    with torch.load_model(f"/zoo/{case['name']}.wasm") as model:
        load_ms = 1000 * (time.perf_counter() - started)
        model.reset_peak()
        got = list(model.call_flat(model.default_method, *inputs).values())
        peak = model.memory_stats().peak_bytes
        worst, relative = errors(got, [array(entry) for entry in case["outputs"]])
    return {"max_abs_err": worst, "rel_err": relative, "load_ms": round(load_ms, 1),
            "peak_bytes": peak}
"""


def in_pyodide(case: Case) -> dict[str, Any]:
    """Pyodide in Node, on the wheel's engine. A process for each model, since memory stays."""
    ask = f"""
        import pyodide_js
        from wasm_torch import threads_ready

        pyodide_js.mountNodeFS("/zoo", {str(case.folder)!r})
        await threads_ready()
        return check(json.loads({json.dumps(case.described())!r}))
    """
    with in_node(BROWSER_PYODIDE) as session:
        return session.run(_IN_PYODIDE + textwrap.dedent(ask), timeout=600)


def in_page(browser: Browser, url: str, case: Case) -> dict[str, Any]:
    """The npm package in an isolated page."""
    return ask(browser, f"{url}zoo.html", "check", case.described(), seconds=300)


@contextmanager
def hosts(names: Sequence[str], folder: Path) -> Iterator[dict[str, Check]]:
    """The hosts of these names, of `HOSTS`, for cases in a folder."""
    checks: dict[str, Check] = {"desktop": on_desktop, "pyodide": in_pyodide}
    mounts = {"dist": PACKAGE, "files": folder}
    server = SiteServer(PAGES, isolated=True, mounts=mounts).start()
    try:
        with sync_playwright() as playwright:
            browsers = {name: launch(playwright, name) for name in names if name not in checks}
            for name, browser in browsers.items():
                checks[name] = partial(in_page, browser, server.url)
            yield {name: checks[name] for name in names}
            for browser in browsers.values():
                browser.close()
    finally:
        server.stop()
