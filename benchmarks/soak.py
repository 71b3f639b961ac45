"""ResNets called and loaded again and again in a page: ``make soak``.

1,000 calls must leave the engine's memory as the first left it and give the same outputs, and 50
rounds of loading, calling and disposing must leave it as it was without a model. Meanwhile the
page's own thread is watched. Prints the figures, writes build/bench/soak.json, and exits with
status 1 where one is not what it must be.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

from places import ROOT, launch, machine, write
from playwright.sync_api import Browser, Page, sync_playwright
from serve import SiteServer
from zoo import PACKAGES, calibrate, install
from zoo_hosts import PACKAGE, PAGES

FILES = ROOT / "build" / "soak"
PARTS = 10
#: Milliseconds that a page has for a frame.
FRAME_MS = 16
#: Bytes that the browser may grow by from the first tenth of the calls or rounds to the last. That
#: is what its collectors leave for later: one kept input or model for each would be far more.
GROWTH = 128 << 20


def make_file(name: str) -> None:
    """NAME.wasm of torchvision's ResNet with random weights."""
    import torch
    from architectures import declare_torchvision_operations

    from wasm_torch.export import export_to_wasm

    library = declare_torchvision_operations()
    from torchvision import models

    torch.manual_seed(0)
    model = getattr(models, name)(weights=None).eval()
    example = torch.randn(1, 3, 224, 224)
    calibrate(model, example)
    FILES.mkdir(parents=True, exist_ok=True)
    export_to_wasm(model, FILES / f"{name}.wasm", example, verify=False)
    del library


def resident_bytes() -> int:
    """Of this process's descendants: the browser."""
    parents, resident = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = dict(
                line.split(":", 1) for line in (folder / "status").read_text().splitlines()
            )
        except OSError:
            continue
        process = int(folder.name)
        parents[process] = int(fields["PPid"])
        resident[process] = 1024 * int(fields.get("VmRSS", "0 kB").split()[0])
    found = {os.getpid()}
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return sum(resident[process] for process in found - {os.getpid()})


def soak(page: Page, name: str, threads: int, calls: int, rounds: int) -> dict[str, Any]:
    """The figures of one model; `flat` and `good` say whether they are what they must be."""
    file = f"/files/{name}.wasm"
    empty = page.evaluate("begin", threads)
    loaded = page.evaluate("load", file)
    gaps = page.evaluate("gaps", 20)
    parts = []
    for _ in range(PARTS):
        told = page.evaluate("call", calls // PARTS)
        parts.append({**told, "resident": resident_bytes()})
    disposed = page.evaluate("dispose")
    rounded = []
    for _ in range(PARTS):
        told = page.evaluate("([n, file]) => rounds(n, file)", [rounds // PARTS, file])
        rounded.append({**told, "resident": resident_bytes()})
    medians = [statistics.median(part.pop("times")) for part in parts]
    flat = all(
        part["heapUsed"] == loaded["heapUsed"] and part["reservedBytes"] == loaded["reservedBytes"]
        for part in parts
    ) and all(
        part["heapUsed"] == empty["heapUsed"] and part["reservedBytes"] == loaded["reservedBytes"]
        for part in [disposed, *rounded]
    )
    grown = {
        "calls": parts[-1]["resident"] - parts[0]["resident"],
        "rounds": rounded[-1]["resident"] - rounded[0]["resident"],
    }
    return {
        "model": name,
        "threads": empty["threads"],
        "calls": calls,
        "rounds": rounds,
        "good": all(part["good"] for part in [*parts, *rounded]),
        "flat": flat,
        "engine_bytes": {key: loaded[key] for key in ("heapUsed", "reservedBytes", "peakBytes")},
        "resident_growth_bytes": grown,
        "call_ms": {"first_tenth": round(medians[0], 1), "last_tenth": round(medians[-1], 1)},
        "longest_gap_ms": {
            "least": round(min(g["gap"] for g in gaps), 1),
            "median": round(statistics.median(g["gap"] for g in gaps), 1),
            "most": round(max(g["gap"] for g in gaps), 1),
        },
        "parts": parts,
        "rounds_parts": rounded,
    }


def run(browser: Browser, url: str, name: str, threads: int, calls: int, rounds: int) -> Any:
    """One model in a page of its own."""
    page = browser.new_page()
    page.set_default_timeout(0)
    page.goto(f"{url}soak.html")
    page.wait_for_function("window.ready === true", timeout=60_000)
    figures = soak(page, name, threads, calls, rounds)
    page.close()
    growth, gap = figures["resident_growth_bytes"], figures["longest_gap_ms"]
    figures["ok"] = (
        figures["good"]
        and figures["flat"]
        and max(growth.values()) <= GROWTH
        and gap["least"] <= FRAME_MS
    )
    engine, call = figures["engine_bytes"], figures["call_ms"]
    outputs = "the same" if figures["good"] else "DIFFERENT"
    memory = "flat" if figures["flat"] else "NOT FLAT"
    print(
        f"{name}, {figures['threads']} thread(s): {'ok' if figures['ok'] else 'FAILED'}\n"
        f"  {calls} calls and {rounds} rounds of loading: outputs {outputs}, the engine's memory "
        f"{memory} at {engine['heapUsed'] / 1e6:.1f} MB of {engine['reservedBytes'] / 1e6:.1f}\n"
        f"  the browser grew by {growth['calls'] / 1e6:.1f} MB over the calls, "
        f"{growth['rounds'] / 1e6:.1f} over the rounds\n"
        f"  a call {call['first_tenth']:.0f} ms at first, {call['last_tenth']:.0f} at last\n"
        f"  the page's thread was kept {gap['median']:.1f} ms at most in a call (median; "
        f"{gap['least']:.1f} to {gap['most']:.1f}; a timer alone comes after 4)",
        flush=True,
    )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet50", help="one of torchvision's ResNets")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="once for each")
    parser.add_argument("--browser", default="chromium", choices=("chromium", "firefox"))
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="where packages are kept")
    options = parser.parse_args()
    install(options.packages)
    sys.path.append(str(options.packages))
    warnings.simplefilter("ignore")
    make_file(options.model)
    mounts = {"dist": PACKAGE, "files": FILES, "tests": ROOT / "tests" / "models" / "pages"}
    server = SiteServer(PAGES, isolated=True, mounts=mounts).start()
    asked = (options.calls, options.rounds)
    with sync_playwright() as playwright:
        browser = launch(playwright, options.browser)
        figures = [run(browser, server.url, options.model, n, *asked) for n in options.threads]
        browser.close()
    server.stop()
    results = {"machine": machine(), "browser": options.browser, "runs": figures}
    print(f"written to {write('soak', results)}")
    if not all(f["ok"] for f in figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
