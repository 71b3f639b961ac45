"""Bytes that a page fetches before its model, beside onnxruntime-web and LiteRT.js.

Each is given as its package has it: the scripts and the binary for the CPU, with threads and SIMD.
`build/bench/shipped.json` has the figures.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from places import ROOT, write
from zoo_hosts import PACKAGE

sys.path.insert(0, str(ROOT / "tools"))

from registry import TOOLCHAIN, npm_package
from wasm_build import sizes

KINDS = ("bytes", "gzip", "brotli")


def runtimes() -> dict[str, list[Path]]:
    """The files of each."""
    onnxruntime = npm_package("onnxruntime-web", "1.30.0", TOOLCHAIN / "onnxruntime-web") / "dist"
    litert, utilities = (
        npm_package(f"@litertjs/{name}", "2.5.3", TOOLCHAIN / f"litertjs-{name}" / "2.5.3")
        for name in ("core", "wasm-utils")
    )
    return {
        "wasm-torch": [PACKAGE / "wasm-torch.min.js", PACKAGE / "relaxed.wasm"],
        "onnxruntime-web 1.30.0": [
            onnxruntime / "ort.wasm.min.js",
            onnxruntime / "ort-wasm-simd-threaded.mjs",
            onnxruntime / "ort-wasm-simd-threaded.wasm",
        ],
        "LiteRT.js 2.5.3": [
            litert / "dist" / "index.js",
            utilities / "dist" / "index.js",
            litert / "wasm" / "litert_wasm_threaded_internal.js",
            litert / "wasm" / "litert_wasm_threaded_internal.wasm",
        ],
    }


def main() -> None:
    results: dict[str, Any] = {}
    print(f"{'':32}{'bytes':>12}{'gzip':>12}{'brotli':>12}")
    for name, files in runtimes().items():
        figures = [
            {"file": file.name, **dict(zip(KINDS, sizes(file.read_bytes()), strict=True))}
            for file in files
        ]
        total = {kind: sum(f[kind] for f in figures) for kind in KINDS}
        results[name] = {"files": figures, **total}
        print(f"{name:32}" + "".join(f"{total[key]:>12,}" for key in total), flush=True)
    ours = results["wasm-torch"]["brotli"]
    for name, figures in results.items():
        if name != "wasm-torch":
            print(f"{name} takes {figures['brotli'] / ours:.0f} times the bytes (brotli)")
    print(f"written to {write('shipped', results)}")


if __name__ == "__main__":
    main()
