"""Milliseconds from nothing to the first output of ResNet-50, beside onnxruntime-web.

Both load the same network from the same local server, each time in a new page of one browser. The
figures are medians with the smallest and largest; `build/bench/load.json` has them all.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy
from places import ROOT, ask, launch, machine, write
from playwright.sync_api import Browser, sync_playwright
from serve import SiteServer
from zoo import FILES, PACKAGES, install
from zoo_hosts import PACKAGE, PAGES

sys.path.insert(0, str(ROOT / "tools"))

from registry import TOOLCHAIN, npm_package

PEER = "onnxruntime-web"
FIELDS = ("start_ms", "load_ms", "first_output_ms", "total_ms")


def make_files() -> None:
    """resnet50.wasm and resnet50.onnx with the same random weights."""
    import torch
    from architectures import declare_torchvision_operations

    from wasm_torch.export import export_to_wasm

    library = declare_torchvision_operations()
    from torchvision import models

    torch.manual_seed(0)
    model = models.resnet50(weights=None).eval()
    example = torch.randn(1, 3, 224, 224)
    FILES.mkdir(parents=True, exist_ok=True)
    export_to_wasm(model, FILES / "resnet50.wasm", example, verify=False)
    names = {"input_names": ["x"], "output_names": ["y"]}
    torch.onnx.export(model, (example,), FILES / "resnet50.onnx", dynamo=False, **names)
    del library


def measure(browser: Browser, url: str, function: str, threads: int) -> dict[str, Any]:
    """One load in a page of its own."""
    return ask(browser, f"{url}load.html", function, threads, seconds=120)


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Median, smallest and largest of each figure."""
    result: dict[str, Any] = {}
    for name in FIELDS:
        values = [run[name] for run in runs]
        rounded = (round(f(values), 1) for f in (statistics.median, min, max))
        result[name] = dict(zip(("median", "min", "max"), rounded, strict=True))
    heaps = [run["heap"] for run in runs if run["heap"]]
    result["js_heap_bytes"] = int(statistics.median(heaps)) if heaps else None
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="loads of each, in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--browser", default="chromium", choices=("chromium", "firefox"))
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="where packages are kept")
    options = parser.parse_args()
    install(options.packages)
    sys.path.append(str(options.packages))
    warnings.simplefilter("ignore")
    make_files()
    peer = npm_package(PEER, "1.30.0", TOOLCHAIN / PEER)
    mounts = {"dist": PACKAGE, "files": FILES, "ort": peer / "dist"}
    server = SiteServer(PAGES, isolated=True, mounts=mounts).start()
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "onnxruntime": []}
    with sync_playwright() as playwright:
        browser = launch(playwright, options.browser)
        for _ in range(options.rounds):
            for function, measured in runs.items():
                measured.append(measure(browser, server.url, function, options.threads))
        browser.close()
    server.stop()
    ours, theirs = (numpy.array(r[0]["output"]) for r in runs.values())
    scale = float(numpy.abs(theirs).max())
    results = {
        "machine": machine(),
        "browser": options.browser,
        "threads": options.threads,
        "model": "resnet50",
        "outputs_differ_by": float(numpy.abs(ours - theirs).max()) / scale,
        **{name: summary(measured) for name, measured in runs.items()},
    }
    print(f"resnet50, {options.browser}, {options.threads} threads: ms, median (min..max)")
    for name in runs:
        for field in FIELDS:
            value = results[name][field]
            spread = f"({value['min']:.0f}..{value['max']:.0f})"
            print(f"  {name:12} {field:16} {value['median']:8.0f}  {spread}")
        print(f"  {name:12} JavaScript heap  {(results[name]['js_heap_bytes'] or 0) / 1e6:8.1f} MB")
    for field in ("first_output_ms", "total_ms"):
        ratio = results["ours"][field]["median"] / results["onnxruntime"][field]["median"]
        print(f"  {field}: {ratio:.2f} of {PEER}'s")
    print(f"written to {write('load', results)}")


if __name__ == "__main__":
    main()
