"""Installs everything that building and testing need, once; run by make.

Each step looks for what it would make and does nothing where that is there, so a second run takes a
moment and an interrupted one is continued. Downloads are pinned by SHA-256 or by signed indexes.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import emscripten
import node
import python
import system
from report import SetupError, say

from registry import DownloadError

#: In order: later steps use what earlier ones install.
STEPS = {
    "system": system.install,
    "node": node.install_node,
    "emscripten": emscripten.install,
    "python": python.install,
    "pyodide": node.install_pyodide,
    "npm": node.install_packages,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="setup", description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="*", choices=[*STEPS, []], help="only these (default: all)")
    arguments = parser.parse_args()
    started = time.monotonic()
    for name in arguments.steps or STEPS:
        try:
            STEPS[name]()
        except (SetupError, DownloadError) as error:
            sys.exit(f"[set-up] {name}: {error}")
    seconds = time.monotonic() - started
    if seconds > 2:
        say(f"done in {seconds:.0f} s")


if __name__ == "__main__":
    main()
