"""What a call costs that computes nothing, in Chromium and Firefox: ``make bench-overhead``.

A model that copies one number is called from a page, in turn with a bare round trip of a message to
a worker; the engine runs jobs without work across its pool. Medians; `build/bench/overhead.json`
has them with the tenth and the ninetieth percentile.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from places import ROOT, ask, launch, machine, write
from playwright.sync_api import Browser, sync_playwright
from serve import SiteServer
from zoo_hosts import PACKAGE, PAGES

FILES = ROOT / "build" / "overhead"
BROWSERS = ("chromium", "firefox")
#: Milliseconds of a call above a message's round trip, and microseconds of a job: the aims.
CALL_AIM_MS = 0.05
JOB_AIM_US = 5


def make_file() -> None:
    """identity.wasm: one number, copied."""
    import torch

    from wasm_torch.export import export_to_wasm

    FILES.mkdir(parents=True, exist_ok=True)
    export_to_wasm(torch.nn.Identity(), FILES / "identity.wasm", torch.zeros(1))


def spread(values: list[float]) -> dict[str, float]:
    """Median, tenth and ninetieth percentile."""
    tenths = statistics.quantiles(values, n=10)
    figures = {"median": statistics.median(values), "p10": tenths[0], "p90": tenths[-1]}
    return {name: round(value, 4) for name, value in figures.items()}


def measure(browser: Browser, url: str, rounds: int) -> dict[str, Any]:
    """The figures of one browser."""
    page = f"{url}overhead.html"
    results: dict[str, Any] = {}
    for threads in (1, 2):
        asked = {"file": "/files/identity.wasm", "threads": threads, "calls": 20, "rounds": rounds}
        told = ask(browser, page, "perCall", asked, seconds=300)
        above = [a - b for a, b in zip(told["forward"], told["bare"], strict=True)]
        results[f"call_{threads}"] = {
            "message_ms": spread(told["bare"]),
            "forward_ms": spread(told["forward"]),
            "above_ms": spread(above),
        }
    asked = {"engine": "/dist/relaxed.wasm", "jobs": 200, "rounds": 20}
    told = ask(browser, page, "perJob", asked, seconds=300)
    if told["joined"] < 2:
        raise RuntimeError("the pool's worker did not join")
    results["job_us"] = {threads: spread(told[threads]) for threads in ("1", "2")}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200, help="batches of 20 calls of each")
    parser.add_argument("--browser", choices=BROWSERS, help="only this one")
    options = parser.parse_args()
    make_file()
    mounts = {"dist": PACKAGE, "files": FILES}
    server = SiteServer(PAGES, isolated=True, mounts=mounts).start()
    results: dict[str, Any] = {"machine": machine()}
    with sync_playwright() as playwright:
        for name in [options.browser] if options.browser else BROWSERS:
            browser = launch(playwright, name)
            results[name] = {
                "version": browser.version,
                **measure(browser, server.url, options.rounds),
            }
            browser.close()
            told = results[name]
            for threads in (1, 2):
                figures = told[f"call_{threads}"]
                medians = [
                    figures[key]["median"] for key in ("message_ms", "forward_ms", "above_ms")
                ]
                print(
                    f"{name:9} {threads} thread(s): message {medians[0]:.3f} ms, forward "
                    f"{medians[1]:.3f}, above it {medians[2]:.3f} (aim {CALL_AIM_MS})"
                )
            one, two = (told["job_us"][threads]["median"] for threads in ("1", "2"))
            print(f"{name:9} job: {one:.2f} us on one thread, {two:.2f} on two (aim {JOB_AIM_US})")
    server.stop()
    print(f"written to {write('overhead', results)}")


if __name__ == "__main__":
    main()
