"""GFLOP/s of a 512x512x512 float32 product from Python in Chromium, with packing timed.

Three rates: a loop of multiply-adds in registers (the peak), the kernel called on a prepared
output, and torch.mm, on one thread and on two. Medians, with the tenth and ninetieth percentile.
"""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from places import ROOT, in_browser, machine, write

sys.path.insert(0, str(ROOT / "tools"))

import wasm_build

CODE = """
import base64, time
import js
from pyodide.ffi import to_js
import wasm_torch as torch
from wasm_torch import _C

SIZE, FLOP = 512, 2.0 * 512**3
await torch.threads_ready()
module = js.WebAssembly.Module.new(to_js(base64.b64decode("FMA_MODULE")))
fma = js.WebAssembly.Instance.new(module).exports.fma_loop
a, b = torch.rand(SIZE, SIZE), torch.rand(SIZE, SIZE)
out = torch.empty(SIZE, SIZE)

def rate(function, flop, seconds=2.0):
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        function()
    times = []
    for _ in range(200):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    times.sort()
    return {name: round(flop / times[at] / 1e9, 1) for name, at in
            (("median", 100), ("p10", 180), ("p90", 20))}

batch = [t.view(1, SIZE, SIZE) for t in (out, a, b)]
results = {"register_fma": rate(lambda: fma(100_000, 1e-3), 100_000 * 12 * 4 * 2.0)}
for threads in (1, 2):
    torch.set_num_threads(threads)
    await torch.threads_ready()
    if torch.get_num_threads() == threads:
        results[f"kernel_{threads}"] = rate(
            lambda: _C.launch("gemm", *batch, None, 1.0, 0.0), FLOP)
        results[f"mm_{threads}"] = rate(lambda: torch.mm(a, b), FLOP)
return results
"""


def fma_module() -> str:
    """The loop of fma.c as a bare module, in base64."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "fma.wasm"
        command = ["emcc", "-O3", "-msimd128", "-mrelaxed-simd", "--no-entry", "-sSTANDALONE_WASM"]
        command += ["-sEXPORTED_FUNCTIONS=_fma_loop", str(ROOT / "benchmarks" / "fma.c")]
        subprocess.run([*command, "-o", str(target)], check=True, env=wasm_build.environment())
        return base64.b64encode(target.read_bytes()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browsers", nargs="+", default=["chromium"])
    arguments = parser.parse_args()
    code = CODE.replace("FMA_MODULE", fma_module())
    results: dict[str, Any] = {"machine": machine()}
    for browser in arguments.browsers:
        with in_browser(browser) as place:
            figures = results[browser] = place.run(code, timeout=300)
        print(f"\n{browser}: GFLOP/s, median (p10..p90)")
        for name, value in figures.items():
            print(f"  {name:13} {value['median']:6.1f}  ({value['p10']}..{value['p90']})")
    print(f"\nwritten to {write('matmul', results)}")


if __name__ == "__main__":
    main()
