"""Seconds of one MNIST epoch in Chromium, in Firefox and on native torch, on 1 and 2 threads."""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
from typing import Any

from places import ROOT, in_browser, machine, write

EPOCH = ROOT / "benchmarks" / "mnist_epoch.py"
DATA = ROOT / "build" / "data"

IN_PYODIDE = """
import gzip, sys
from pyodide.http import pyfetch
import wasm_torch as torch

async def idx(name, header):
    response = await pyfetch(f"/data/{name}-ubyte.gz")
    response.raise_for_status()
    return gzip.decompress(await response.bytes())[header:]

if "mnist_epoch" not in sys.modules:
    with open("mnist_epoch.py", "wb") as file:
        file.write(await (await pyfetch("/epoch")).bytes())
    sys.path.insert(0, ".")
import mnist_epoch

torch.set_num_threads(THREADS)
await torch.threads_ready()
train = await idx("train-images-idx3", 16), await idx("train-labels-idx1", 8)
test = await idx("t10k-images-idx3", 16), await idx("t10k-labels-idx1", 8)
result = mnist_epoch.run(torch, train, test, LIMIT)
result["threads"] = torch.get_num_threads()
return result
"""


def on_torch(threads: int, limit: int | None) -> dict[str, Any]:
    """The epoch on native torch, in a process of its own."""
    command = [sys.executable, __file__, "--torch", str(threads)]
    command += [] if limit is None else ["--limit", str(limit)]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def run_torch(threads: int, limit: int | None) -> None:
    import mnist_epoch
    import torch

    torch.set_num_threads(threads)
    train, test = (
        tuple(
            gzip.decompress((DATA / f"{part}-{name}-ubyte.gz").read_bytes())[header:]
            for name, header in (("images-idx3", 16), ("labels-idx1", 8))
        )
        for part in ("train", "t10k")
    )
    print(json.dumps(mnist_epoch.run(torch, train, test, limit)))


def in_page(browser: str, threads: int, limit: int | None) -> dict[str, Any]:
    """The epoch in a browser's worker."""
    code = IN_PYODIDE.replace("THREADS", str(threads)).replace("LIMIT", repr(limit))
    with in_browser(browser, {"data": DATA, "epoch": EPOCH}) as place:
        return place.run(code, timeout=3600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--places", nargs="+", default=["torch", "chromium", "firefox"])
    parser.add_argument("--limit", type=int, help="train on this many images only")
    parser.add_argument("--torch", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.torch:
        run_torch(arguments.torch, arguments.limit)
        return
    results: dict[str, Any] = {"machine": machine()}
    for threads in arguments.threads:
        for place in arguments.places:
            measure = on_torch if place == "torch" else None
            figures = (
                measure(threads, arguments.limit)
                if measure
                else in_page(place, threads, arguments.limit)
            )
            results.setdefault(place, {})[str(threads)] = figures
            native = results.get("torch", {}).get(str(threads))
            ratio = f", {figures['epoch_s'] / native['epoch_s']:.2f}x torch" if native else ""
            print(
                f"{place:9} {threads} threads: {figures['epoch_s']:7.2f} s, "
                f"{figures['accuracy']:.2%}{ratio}",
                flush=True,
            )
    print(f"written to {write('train', results)}")


if __name__ == "__main__":
    main()
