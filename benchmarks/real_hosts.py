"""The hosts in which real models run: the desktop, and pages in two browsers.

Each takes a `Job` and returns its outputs with the milliseconds of each call.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from places import launch
from playwright.sync_api import Browser, sync_playwright
from real_models.job import Job
from serve import SiteServer
from zoo_hosts import PACKAGE, PAGES

HOSTS = ("desktop", "chromium", "firefox")

#: Runs a job: its outputs, and what the host tells of itself.
Run = Callable[[Job], tuple[numpy.ndarray, dict[str, Any]]]


def on_desktop(folder: Path, job: Job) -> tuple[numpy.ndarray, dict[str, Any]]:
    """The file in this process, through wasmtime."""
    from wasm_torch.model import load

    begun = time.perf_counter()
    with load(folder / f"{job.name}.wasm") as model:
        load_ms = 1000 * (time.perf_counter() - begun)
        model.reset_peak()
        outputs, call_ms = [], []
        for given in zip(*job.inputs, strict=True):
            begun = time.perf_counter()
            outputs.append(model(*given).numpy())
            call_ms.append(1000 * (time.perf_counter() - begun))
        peak = model.memory_stats().peak_bytes
    return numpy.stack(outputs), {"call_ms": call_ms, "load_ms": load_ms, "peak_bytes": peak}


def in_page(browser: Browser, url: str, job: Job) -> tuple[numpy.ndarray, dict[str, Any]]:
    """The npm package in an isolated page."""
    asked = {
        "name": job.name,
        "calls": len(job.wanted),
        "inputs": [
            {"file": input_file(job, i), "dtype": str(array.dtype)}
            for i, array in enumerate(job.inputs)
        ],
    }
    page = browser.new_page()
    page.set_default_timeout(600_000)
    try:
        page.goto(f"{url}real.html")
        page.wait_for_function("window.runCalls !== undefined")
        told = page.evaluate("runCalls", asked)
    finally:
        page.close()
    data = base64.b64decode(told.pop("output"))
    return numpy.frombuffer(data, job.wanted.dtype).reshape(job.wanted.shape), told


def input_file(job: Job, number: int) -> str:
    """The name of the file in which pages find an input."""
    return f"{job.name}.input{number}.bin"


@contextmanager
def hosts(names: Sequence[str], folder: Path) -> Iterator[dict[str, Run]]:
    """The hosts of these names, of `HOSTS`, for model files in a folder."""
    server = SiteServer(PAGES, isolated=True, mounts={"dist": PACKAGE, "files": folder}).start()
    try:
        with sync_playwright() as playwright:
            browsers = {n: launch(playwright, n) for n in names if n != "desktop"}
            runs: dict[str, Run] = {"desktop": partial(on_desktop, folder)}
            for name, browser in browsers.items():
                runs[name] = partial(in_page, browser, server.url)
            yield {name: runs[name] for name in names}
            for browser in browsers.values():
                browser.close()
    finally:
        server.stop()
