"""Builds the benchmark of gemm and convolution and runs it: natively, and in Node.

python kernels/bench/run.py native relaxed --filter gemm
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import wasm_build  # noqa: E402

KERNELS = ROOT / "kernels"
BUILD = ROOT / "build" / "kernel-bench"
COMMON = ["-std=c11", "-O3", "-ffp-contract=off", "-pthread", '-DWASM_TORCH_VERSION="bench"']
HOSTED = [
    "-DWT_HOSTED=1",
    *("-sPTHREAD_POOL_SIZE=2", "-sALLOW_MEMORY_GROWTH", "-sINITIAL_MEMORY=256MB"),
    *("-sENVIRONMENT=node,worker", "-sSTACK_SIZE=1MB", "-sEXIT_RUNTIME"),
    "-Wno-pthreads-mem-growth",
]
VARIANTS = {
    "native": ["cc", "-march=native"],
    "simd": ["emcc", *HOSTED, "-msimd128"],
    "relaxed": ["emcc", *HOSTED, "-msimd128", "-mrelaxed-simd"],
}


def build(variant: str) -> list[str]:
    """Builds one variant; returns the command that runs it."""
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / (variant if variant == "native" else f"{variant}.cjs")
    includes = [f"-I{KERNELS / 'include'}", f"-I{KERNELS / 'src'}"]
    sources = sorted(str(path) for path in (KERNELS / "src").rglob("*.c"))
    sources.append(str(KERNELS / "bench" / "bench.c"))
    compiler, *options = VARIANTS[variant]
    command = [compiler, *COMMON, *options, *includes, *sources, "-o", str(program), "-lm"]
    subprocess.run(command, check=True, env=wasm_build.environment())
    return [str(program)] if variant == "native" else ["node", str(program)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", help=f"of {', '.join(VARIANTS)}")
    parser.add_argument("--filter", default="", help="run the cases whose name contains this")
    arguments = parser.parse_args()
    print(platform.platform(), platform.processor())
    for variant in arguments.variants or VARIANTS:
        command = build(variant)
        print(f"== {variant}", flush=True)
        subprocess.run([*command, arguments.filter], check=True, env=wasm_build.environment())


if __name__ == "__main__":
    main()
