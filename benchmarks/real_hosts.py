"""The hosts in which real models run: the desktop, and pages in two browsers.

Each takes a `Job` and returns its outputs, with the milliseconds of each call.
"""

from __future__ import annotations

import base64
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from places import launch
from playwright.sync_api import Browser, sync_playwright
from real_models.job import Job, Outputs, Transcription
from serve import SiteServer
from zoo_hosts import PACKAGE, PAGES

HOSTS = ("desktop", "chromium", "firefox")

#: Runs a job: its outputs, and what the host tells of itself.
Run = Callable[[Job], tuple[Outputs, dict[str, Any]]]

#: Calls a method: its only output.
Call = Callable[..., numpy.ndarray]


def on_desktop(folder: Path, job: Job) -> tuple[Outputs, dict[str, Any]]:
    """The file in this process, through wasmtime."""
    from wasm_torch.model import load

    call_ms: dict[str, list[float]] = defaultdict(list)
    begun = time.perf_counter()
    with load(folder / f"{job.name}.wasm") as model:
        load_ms = 1000 * (time.perf_counter() - begun)
        model.reset_peak()

        def call(method: str, *given: numpy.ndarray) -> numpy.ndarray:
            called = time.perf_counter()
            result = model.call(method, *given).numpy()
            call_ms[method].append(1000 * (time.perf_counter() - called))
            return result

        if isinstance(job, Transcription):
            _transcribe(job, call)  # the second begins with what this leaves in the buffers
            outputs = _transcribe(job, call)
        else:
            outputs = _run(job, call)
        peak = model.memory_stats().peak_bytes
    return outputs, {"call_ms": call_ms, "load_ms": load_ms, "peak_bytes": peak}


def _run(job: Job, call: Call) -> Outputs:
    return {"output": numpy.stack([call("forward", *r) for r in zip(*job.inputs, strict=True)])}


def _transcribe(job: Transcription, call: Call) -> Outputs:
    mel = call("mel", job.samples)
    features = call("encode", mel)
    tokens, scores = list(job.prompt), []
    while len(scores) < len(tokens) < job.most:
        place = len(scores)
        scores.append(call("step", numpy.array([tokens[place]]), numpy.array([place])))
        best = int(scores[-1].argmax())
        if len(scores) == len(tokens) and best != job.end:
            tokens.append(best)
    return {
        "mel": mel,
        "features": features,
        "scores": numpy.concatenate(scores),
        "tokens": numpy.array(tokens),
    }


def in_page(browser: Browser, url: str, job: Job) -> tuple[Outputs, dict[str, Any]]:
    """The npm package in an isolated page."""
    asked: dict[str, Any] = {
        "name": job.name,
        "inputs": [
            {"file": input_file(job, i), "dtype": str(array.dtype)}
            for i, array in enumerate(job.inputs)
        ],
    }
    if isinstance(job, Transcription):
        function = "transcribe"
        asked |= {"prompt": job.prompt, "end": job.end, "most": job.most}
    else:
        function = "runCalls"
        asked["calls"] = len(job.inputs[0])
    page = browser.new_page()
    page.set_default_timeout(600_000)
    try:
        page.goto(f"{url}real.html")
        page.wait_for_function(f"window.{function} !== undefined")
        told = page.evaluate(function, asked)
    finally:
        page.close()
    outputs = {}
    for name, text in told.pop("outputs").items():
        wanted = job.wanted[name]
        outputs[name] = numpy.frombuffer(base64.b64decode(text), wanted.dtype)
        if outputs[name].size == wanted.size:
            outputs[name] = outputs[name].reshape(wanted.shape)
    return outputs, told


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
