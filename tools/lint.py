"""Style and types: ruff, mypy, clang-format, Biome and tsc, each over the tracked files.

With ``--fix``, Python, C and TypeScript files are rewritten in the project's format instead.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from registry import ROOT
from wasm_build import environment

BIN = ROOT / ".venv" / "bin"
TYPESCRIPT = ("src/runtime", "site")


def tracked(*patterns: str) -> list[str]:
    listing = subprocess.check_output(["git", "ls-files", *patterns], cwd=ROOT, text=True)
    return [name for name in listing.splitlines() if (ROOT / name).exists()]


def commands(fix: bool) -> list[tuple[str, list[str], Path]]:
    """(name, command, folder) of each check."""
    c_files = tracked("*.c", "*.h")
    biome = "node_modules/.bin/biome"
    if fix:
        return [
            ("ruff check", [f"{BIN}/ruff", "check", "--fix", "."], ROOT),
            ("ruff format", [f"{BIN}/ruff", "format", "."], ROOT),
            ("clang-format", [f"{BIN}/clang-format", "-i", *c_files], ROOT),
            *[("biome", [biome, "format", "--write"], ROOT / folder) for folder in TYPESCRIPT],
        ]
    return [
        ("ruff check", [f"{BIN}/ruff", "check", "."], ROOT),
        ("ruff format", [f"{BIN}/ruff", "format", "--check", "."], ROOT),
        ("mypy", [f"{BIN}/mypy"], ROOT),
        ("clang-format", [f"{BIN}/clang-format", "--dry-run", "--Werror", *c_files], ROOT),
        *[("biome", [biome, "format"], ROOT / folder) for folder in TYPESCRIPT],
        *[("tsc", ["npm", "run", "--silent", "check"], ROOT / folder) for folder in TYPESCRIPT],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fix", action="store_true", help="rewrite instead of checking")
    failed = []
    for name, command, folder in commands(parser.parse_args().fix):
        print(f"--- {name} ({folder.relative_to(ROOT)})", flush=True)
        if subprocess.run(command, cwd=folder, env=environment(), check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
