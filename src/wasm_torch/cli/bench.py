"""``wasm-torch bench``: how long a call of a model file takes, through wasmtime."""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from wasm_torch.cli._arguments import megabytes, numpy_for, random_array


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "bench",
        help="time a model file",
        description="Times calls of a model file on random inputs, through wasmtime on one thread.",
    )
    parser.add_argument("file", help="a model file")
    parser.add_argument("--method", help="the method to time (forward)")
    parser.add_argument("--iterations", type=_positive, default=20, metavar="N", help="calls (20)")
    parser.add_argument(
        "--warm-up", type=float, default=1.0, metavar="S", help="seconds before the first (1)"
    )
    parser.add_argument(
        "--size",
        action="append",
        default=[],
        type=_size,
        metavar="NAME=N",
        help="a size that varies (its minimum); once for each",
    )
    parser.set_defaults(action=_bench)


def _size(text: str) -> tuple[str, int]:
    name, _, size = text.partition("=")
    return name, _positive(size)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _bench(options: argparse.Namespace) -> None:
    from wasm_torch.model import load

    numpy_for("bench")
    started = time.perf_counter()
    with load(options.file) as model:
        loaded = time.perf_counter() - started
        method = options.method or model.default_method
        inputs, _ = model.signature(method)
        symbols = model.manifest["methods"][method]["symbols"]
        sizes = {symbol["name"]: symbol["minimum"] for symbol in symbols}
        unknown = dict(options.size).keys() - sizes.keys()
        if unknown:
            raise ValueError(f"{method} has no size {unknown.pop()!r} that varies")
        sizes |= dict(options.size)
        infos = [info.at(sizes) for info in inputs]
        given = [random_array(info.dtype, info.shape, seed) for seed, info in enumerate(infos)]
        end = time.perf_counter() + options.warm_up
        while time.perf_counter() < end:
            model.call(method, *given)
        times = []
        for _ in range(options.iterations):
            before = time.perf_counter()
            model.call(method, *given)
            times.append(1000 * (time.perf_counter() - before))
        memory = model.memory_stats()
    print(f"load    {1000 * loaded:.1f} ms")
    print(
        f"{method}  median {statistics.median(times):.2f} ms, fastest {min(times):.2f} ms, slowest "
        f"{max(times):.2f} ms over {len(times)} calls"
    )
    print(
        f"memory  {megabytes(memory.heap_used)} in use, {megabytes(memory.peak_bytes)} at the peak"
    )
