"""Builds the kernels' test program in one or more variants and runs it.

Natively: ``native`` (optimised, for this machine), ``address`` (AddressSanitizer and
UndefinedBehaviorSanitizer), ``thread`` (ThreadSanitizer), ``reference`` (the scalar references).
In Node: ``scalar``, ``simd``, ``relaxed``. Without a name, all of them.

    python kernels/tests/run.py address --filter gemm
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import wasm_build  # noqa: E402

BUILD = ROOT / "build" / "kernel-tests"
NATIVE = {
    "native": [],
    "reference": ["-DCMAKE_C_FLAGS=-DWT_USE_REFERENCE=1"],
    "address": ["-DWASM_TORCH_SANITIZE=address,undefined"],
    "thread": ["-DWASM_TORCH_SANITIZE=thread"],
}
WASM = ("scalar", "simd", "relaxed")


def compiler() -> str:
    """clang where there is one: its sanitizers know more than gcc's."""
    for name in ("clang-19", "clang", "cc"):
        if shutil.which(name):
            return name
    sys.exit("no C compiler: install clang or gcc")


def build_native(variant: str, jobs: int) -> list[str]:
    """Builds the native program; returns the command that runs it."""
    folder = BUILD / variant
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja"]
    configure += ["-DWASM_TORCH_BUILD_TESTS=ON", f"-DCMAKE_C_COMPILER={compiler()}"]
    configure += [f"-DPython_EXECUTABLE={sys.executable}", *NATIVE[variant]]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    target = ["--target", "kernel_tests", "-j", str(jobs)]
    subprocess.run(["cmake", "--build", str(folder), *target], check=True)
    return [str(folder / "kernel_tests")]


def build_wasm(variant: str) -> list[str]:
    """Builds the program for Node; returns the command that runs it."""
    folder = BUILD / "wasm"
    target = f"kernel_tests_{variant}"
    wasm_build.build("WASM_TORCH_BUILD_TESTS=ON", folder=folder, target=target)
    return ["node", str(folder / f"{target}.cjs")]


def run(variant: str, name_filter: str, jobs: int) -> bool:
    """Builds and runs one variant; true if it was built and every case passed."""
    print(f"== {variant}", flush=True)
    try:
        command = build_native(variant, jobs) if variant in NATIVE else build_wasm(variant)
    except (subprocess.CalledProcessError, SystemExit) as error:
        print(error, flush=True)
        return False
    environment = wasm_build.environment()
    environment.setdefault("ASAN_OPTIONS", "detect_leaks=1")
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    arguments = [name_filter] if name_filter else []
    return subprocess.run([*command, *arguments], env=environment, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", help=f"of {', '.join([*NATIVE, *WASM])}")
    parser.add_argument("--filter", default="", help="run the cases whose name contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    variants = arguments.variants or [*NATIVE, *WASM]
    unknown = set(variants) - {*NATIVE, *WASM}
    if unknown:
        parser.error(f"unknown variants: {', '.join(sorted(unknown))}")
    failed = [name for name in variants if not run(name, arguments.filter, arguments.jobs)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
