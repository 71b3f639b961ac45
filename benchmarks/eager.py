"""Nanoseconds of small eager operations in Pyodide, under Node and in Chromium.

Operands are 4-element vectors and 4x4 matrices of float32. The loop is not subtracted, the result
is discarded, the pool runs, and each figure is the median of 7 measurements.
"""

from __future__ import annotations

import argparse
from typing import Any

from places import in_browser, in_node, machine, write

CODE = """
import time
import wasm_torch as torch
await torch.threads_ready()

CASES = {
    "add": "a + b", "mul_scalar": "a * 2", "sum": "a.sum()", "index": "a[1]",
    "view": "a.view(-1)", "matmul": "m @ n",
}
LINES = [
    "def loop(count, a, b, m, n):",
    " start = clock()",
    " for _ in range(count):",
    "  {statement}",
    " return (clock() - start) / count * 1e9",
]

def median(statement, operands, count):
    scope = {"clock": time.perf_counter, "nothing": lambda: None}
    exec("\\n".join(LINES).format(statement=statement), scope)
    loop = scope["loop"]
    loop(count, *operands)
    return sorted(loop(count, *operands) for _ in range(7))[3]

def operands(requires_grad):
    made = torch.rand(4), torch.rand(4), torch.rand(4, 4), torch.rand(4, 4)
    return [t.requires_grad_(requires_grad) for t in made]

plain, tracked = operands(False), operands(True)
results = {}
for name, statement in CASES.items():
    results[name] = {
        "nograd_ns": round(median(statement, plain, COUNT)),
        "grad_ns": round(median(statement, tracked, COUNT)),
    }
results["empty_call_ns"] = round(median("nothing()", plain, COUNT))
results["threads"] = torch.get_num_threads()
return results
"""


def measure(place: Any, count: int) -> dict[str, Any]:
    """The figures of one place."""
    return place.run(CODE.replace("COUNT", str(count)), timeout=600)


def show(name: str, figures: dict[str, Any]) -> None:
    print(f"\n{name} ({figures['threads']} threads, empty call {figures['empty_call_ns']} ns)")
    for case, value in figures.items():
        if isinstance(value, dict):
            print(f"  {case:12} {value['nograd_ns']:7} ns   recorded {value['grad_ns']:7} ns")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="operations a measurement")
    parser.add_argument("--places", nargs="+", default=["314", "0.29", "0.27", "chromium-314"])
    arguments = parser.parse_args()
    versions = {"314": "314.0.7", "0.29": "0.29.5", "0.27": "0.27.7"}
    results: dict[str, Any] = {"machine": machine()}
    for name in arguments.places:
        opened = in_node(versions[name]) if name in versions else in_browser(name.split("-")[0])
        with opened as place:
            results[name] = measure(place, arguments.count)
        show(name, results[name])
    print(f"\nwritten to {write('eager', results)}")


if __name__ == "__main__":
    main()
