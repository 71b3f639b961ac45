"""Sizes of what is shipped, against their limits, and lines of code by room of the house.

Exits with status 1 where a limit is passed. Needs what `make wheel` and `make npm` build.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from build_wheel import DIST, LIMIT_BYTES
from registry import ROOT
from wasm_build import ENGINE, describe, sizes

#: Bytes of the larger packaged engine, compressed by brotli.
ENGINE_LIMIT_BYTES = 300_000
#: What a page fetches for a model: the script and the larger engine, compressed by brotli.
PAGE_LIMIT_BYTES = 350_000
PACKAGE = ROOT / "src" / "runtime" / "dist"
#: Room -> folder; a file counts for the deepest folder that holds it.
ROOMS = (
    "kernels/include",
    "kernels/src",
    "kernels/tests",
    "src/wasm_torch/_C",
    "src/wasm_torch/_host",
    "src/wasm_torch/ops",
    "src/wasm_torch/autograd",
    "src/wasm_torch/nn",
    "src/wasm_torch/compiler",
    "src/wasm_torch/export",
    "src/wasm_torch/optim",
    "src/wasm_torch/utils",
    "src/wasm_torch",
    "src/runtime",
    "site",
    "benchmarks",
    "tests",
    "tools",
)
SUFFIXES = (".c", ".h", ".py", ".pyi", ".ts", ".mjs", ".cmake")


def lines_of_code() -> dict[str, tuple[int, int]]:
    """Room -> (files, lines that are not blank), of the files that git tracks."""
    listing = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True)
    found = dict.fromkeys(ROOMS, (0, 0))
    for name in listing.splitlines():
        path = ROOT / name
        rooms = [room for room in ROOMS if name.startswith(f"{room}/")]
        if rooms and name.endswith(SUFFIXES) and path.exists():
            room = max(rooms, key=len)
            lines = sum(1 for line in path.read_text().splitlines() if line.strip())
            found[room] = (found[room][0] + 1, found[room][1] + lines)
    return found


def main() -> None:
    print("wasm")
    for module in sorted(ENGINE.glob("*.wasm")):
        print(f"  {module.name:32}{describe(module.read_bytes())}")
    (wheel,) = DIST.glob("*wasm32.whl")
    with zipfile.ZipFile(wheel) as archive:
        packaged = {name: archive.read(name) for name in archive.namelist()}
    extension = packaged["wasm_torch/_C.abi3.so"]
    script = packaged["wasm_torch/_host/engine/host.js"]
    print(f"  {'_C.abi3.so':32}{describe(extension)}")
    print(f"scripts\n  {'host.js':32}{describe(script)}")
    for bundle in sorted(PACKAGE.glob("*.js")):
        print(f"  {'npm: ' + bundle.name:32}{describe(bundle.read_bytes())}")
    for bundle in sorted((ROOT / "build" / "site").glob("**/*.js")):
        name = bundle.relative_to(ROOT / "build" / "site")
        if "lite" not in name.parts and "pyodide" not in name.parts:
            print(f"  {name!s:32}{describe(bundle.read_bytes())}")
    print(f"wheel\n  {wheel.stat().st_size:>41,} bytes of {LIMIT_BYTES:,}")
    print("lines of code (without blank ones)")
    counts = lines_of_code()
    for room, (files, lines) in counts.items():
        print(f"  {room:32}{lines:>9,} in {files} files")
    print(f"  {'all':32}{sum(lines for _, lines in counts.values()):>9,}")

    engines = [packaged[f"wasm_torch/_host/engine/{n}.wasm"] for n in ("simd", "relaxed")]
    larger = max(sizes(engine)[2] or 0 for engine in engines)
    print(f"larger engine: {larger:,} bytes brotli of {ENGINE_LIMIT_BYTES:,}")
    runtime = (PACKAGE / "wasm-torch.min.js").read_bytes()
    page = larger + (sizes(runtime)[2] or 0)
    print(
        f"runtime and engine, as a page fetches them: {page:,} bytes brotli of {PAGE_LIMIT_BYTES:,}"
    )
    if page > PAGE_LIMIT_BYTES or larger > ENGINE_LIMIT_BYTES or wheel.stat().st_size > LIMIT_BYTES:
        sys.exit("A limit is passed.")


if __name__ == "__main__":
    main()
