"""Files that are kept until what makes them changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent


def digest(sources: Iterable[Path], *more: str) -> str:
    """A key for what is made by these files, and by this torch."""
    found = hashlib.sha256("\0".join((torch.__version__, *more)).encode())
    for path in sorted(sources):
        found.update(path.read_bytes())
    return found.hexdigest()


def exporter() -> list[Path]:
    """The sources of the Python package, on which model files depend."""
    package = ROOT / "src" / "wasm_torch"
    return [*package.rglob("*.py"), package / "_C.abi3.so"]


def once(target: Path, key: str, make: Callable[[Path], object]) -> Path:
    """Makes a file unless the one that is there was made with the same key."""
    stamp = target.with_name(f"{target.name}.key")
    if target.is_file() and stamp.is_file() and stamp.read_text() == key:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    print(f"making {target.name}", flush=True)
    make(target)
    stamp.write_text(key)
    return target
