"""Times models here and in peers, interleaved in one run: see benchmarks/README.md.

python benchmarks/run_benchmarks.py --models resnet50 bert --backends native onnx wasm --threads 1 2
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import field_rows
from field_rows import BACKENDS, BROWSERS, MODELS, OURS

if TYPE_CHECKING:
    import numpy
    from field_models import FieldModel
    from field_pages import InPage
    from playwright.sync_api import Browser

RESULTS = Path(__file__).resolve().parent.parent / "build" / "bench" / "field.json"
#: Where each backend is fastest; ours brings its own worker.
PLACES = {"onnx": "worker", "litert": "worker", OURS: "page"}


class Contestant(Protocol):
    """A backend with a model; see field_native.py and field_pages.py."""

    def load(self) -> tuple[float, int]: ...
    def warm(self, seconds: float) -> None: ...
    def turn(self, pause: float) -> float: ...
    def output(self) -> numpy.ndarray: ...
    def peak(self) -> int | None: ...
    def close(self) -> None: ...


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    many: dict[str, Any] = {"nargs": "+"}
    parser.add_argument("--models", **many, choices=MODELS, default=list(MODELS))
    parser.add_argument("--backends", **many, choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument("--browsers", **many, choices=BROWSERS, default=["chromium"])
    parser.add_argument("--threads", **many, type=int, default=[1, 2])
    parser.add_argument("--dtype", **many, choices=field_rows.DTYPES, default=["float32"])
    parser.add_argument("--iterations", type=int, default=20, help="timed calls of each backend")
    parser.add_argument("--loads", type=int, default=3, help="times that each page is loaded")
    parser.add_argument("--warm", type=float, default=2.0, help="seconds of calls before timing")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds of rest before a turn")
    parser.add_argument("--peers", choices=("page", "worker"), help="where the peers run")
    parser.add_argument("--profile", action="store_true", help="time our kernels one by one, too")
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--packages", type=Path, help="where the zoo's packages are kept")
    options = parser.parse_args(arguments)
    if options.iterations < 1 or options.loads < 1 or min(options.threads) < 1:
        parser.error("--iterations, --loads and --threads are at least 1")
    options.backends = [name for name in BACKENDS if name in options.backends]
    return options


def relative_error(output: numpy.ndarray, wanted: numpy.ndarray) -> float:
    """The largest difference in parts of the largest element; infinite where sizes differ."""
    import numpy

    if output.size != wanted.size:
        return float("inf")
    difference = numpy.abs(output.astype(float) - wanted.ravel().astype(float)).max()
    error = float(difference / numpy.abs(wanted).max())
    return error if numpy.isfinite(error) else float("inf")


def contest(
    makers: dict[str, Callable[[], Contestant]], wanted: numpy.ndarray, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Loads, warms and times the backends in turn. What fails is left out with its error."""
    measured: dict[str, dict[str, Any]] = {name: {"loads": [], "times": []} for name in makers}
    running: dict[str, Contestant] = {}

    def attempt(step: Callable[[str], None], name: str) -> None:
        if "error" in measured[name]:
            return
        try:
            step(name)
        except Exception as error:
            measured[name]["error"] = str(error).removeprefix("Page.evaluate: ")
            if name in running:
                running.pop(name).close()

    def load(name: str) -> None:
        if name in running:
            running.pop(name).close()
        running[name] = makers[name]()
        milliseconds, measured[name]["download_bytes"] = running[name].load()
        measured[name]["loads"].append(milliseconds)

    def finish(name: str) -> None:
        contestant = running[name]
        measured[name]["rel_err"] = relative_error(contestant.output(), wanted)
        measured[name]["peak_bytes"] = contestant.peak()

    def turn(name: str) -> None:
        measured[name]["times"].append(running[name].turn(options.pause))

    def warm(name: str) -> None:
        running[name].warm(options.warm)

    steps = [*[load] * options.loads, warm, *[turn] * options.iterations, finish]
    try:
        for step in steps:
            for name in makers:
                attempt(step, name)
    finally:
        for contestant in running.values():
            contestant.close()
    return measured


class Suite:
    """A run: what it is set to, and the rows so far."""

    def __init__(self, options: argparse.Namespace, packages: Path):
        from field_models import FILES
        from field_pages import CountingServer
        from field_peers import mounts
        from op_profile import PEAKS, peak_module
        from zoo_hosts import PAGES

        self.options = options
        self.columns = list(options.backends)
        if "int8" in options.dtype and OURS in self.columns:
            self.columns.append(field_rows.OURS_INT8)
        self.packages = packages
        self.places = {
            name: place if name == OURS else options.peers or place
            for name, place in PLACES.items()
        }
        self.header = describe(options, self.places)
        self.rows: list[field_rows.Row] = []
        folders = mounts(options.backends) | {"files": FILES, "inputs": FILES}
        if options.profile:
            peak_module()
            folders["peaks"] = PEAKS
            self.header["profiles"] = []
        self.server = CountingServer(PAGES, folders)

    def settings(self, backend: str, model: FieldModel, threads: int) -> dict[str, Any]:
        """What a page is told."""
        return {
            "backend": OURS if backend == field_rows.OURS_INT8 else backend,
            "model": f"{model.name}.int8" if backend == field_rows.OURS_INT8 else model.name,
            "threads": threads,
            "inputs": model.inputs(),
            "place": self.places.get(backend),
        }

    def group(
        self, model: FieldModel, browser: Browser, threads: int, missing: dict[str, str]
    ) -> None:
        """Measures a model in all backends at one number of threads."""
        from field_native import Native
        from field_pages import InPage

        browser_name = browser.browser_type.name
        print(f"{model.name}, {browser_name}, threads {threads}", flush=True)
        makers: dict[str, Callable[[], Contestant]] = {}
        for name in self.columns:
            if name == "native":
                makers[name] = partial(Native, self.packages, model.name, threads)
            elif name not in missing:
                settings = self.settings(name, model, threads)
                makers[name] = partial(InPage, browser, self.server, settings)
        measured = contest(makers, model.output, self.options)
        measured |= {name: {"error": why} for name, why in missing.items()}
        what = {"model": model.name, "browser": browser_name, "threads": threads}
        what["dtype"] = "float32"
        done = []
        for name in self.columns:
            int8 = name == field_rows.OURS_INT8
            group = what | {"dtype": "int8"} if int8 else what
            done.append(field_rows.make_row(group, OURS if int8 else name, measured[name]))
        self.rows += done
        print(field_rows.table(done, self.columns), flush=True)
        if self.options.profile and OURS in makers:
            self.profile(what, InPage(browser, self.server, self.settings(OURS, model, threads)))
        field_rows.write(self.options.json, self.header, self.rows)

    def profile(self, what: dict[str, Any], page: InPage) -> None:
        """Times our kernels one by one."""
        from op_profile import read_profile, report

        try:
            told = page.profile(self.options.warm, self.options.iterations)
        finally:
            page.close()
        profile = read_profile(told, "forward", what["threads"])
        self.header["profiles"].append(what | profile)
        print(f"{report(profile)}\n", flush=True)

    def run(self) -> None:
        """Measures everything that the options ask for."""
        from field_models import prepare
        from field_pages import launch
        from field_peers import page_files
        from playwright.sync_api import sync_playwright

        self.server.start()
        with sync_playwright() as playwright:
            for name in self.options.models:
                model = prepare(name)
                missing = page_files(model, self.columns, self.packages)
                for browser_name in self.options.browsers:
                    browser = launch(playwright, browser_name)
                    self.header["browsers"][browser_name] = browser.version
                    for threads in self.options.threads:
                        self.group(model, browser, threads, missing)
                    browser.close()
        self.server.stop()


def describe(options: argparse.Namespace, places: dict[str, str]) -> dict[str, Any]:
    """The header: machine, versions and settings."""
    import torch
    from field_peers import LITERT_VERSION, ONNXRUNTIME_VERSION
    from places import machine

    from wasm_torch.version import __version__

    return {
        "machine": machine(),
        "versions": {
            "wasm-torch": __version__,
            "torch": torch.__version__,
            "onnxruntime-web": ONNXRUNTIME_VERSION,
            "litert.js": LITERT_VERSION,
        },
        "browsers": {},
        "places": places,
        "iterations": options.iterations,
    }


def main() -> None:
    options = parse()
    from zoo import PACKAGES, install

    packages = options.packages or PACKAGES
    install(packages)
    sys.path.append(str(packages))
    warnings.simplefilter("ignore")
    from architectures import declare_torchvision_operations

    library = declare_torchvision_operations()
    suite = Suite(options, packages)
    suite.run()
    del library
    print("\n" + field_rows.table(suite.rows, suite.columns))
    print(f"\nwritten to {options.json}")
    if not all(row["ok"] for row in suite.rows if row["backend"] == OURS):
        sys.exit(1)


if __name__ == "__main__":
    main()
