"""``wasm-torch download-runtime``: the JavaScript runtime's files, from an index of releases.

The index is JSON, as `tools/release_index.py` writes it:

    {"format": 1, "latest": "0.1.0", "versions": {"0.1.0": {"files": [
        {"path": "wasm-torch.js", "url": "wasm-torch.js", "bytes": 68763, "sha256": "..."}]}}}

A ``url`` is relative to the index, a ``path`` to the folder that takes the files.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import importlib.metadata
import json
import os
import re
import secrets
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urljoin, urlsplit

from wasm_torch.cli._arguments import bar, megabytes

FORMAT = 1
_INDEX_NAME = "runtime-index.json"
_MOST_INDEX_BYTES = 16_000_000
_PIECE_BYTES = 1 << 16
_TIMEOUT_S = 30


class DownloadError(OSError):
    """Something could not be fetched, or is not what the index says."""


@dataclass(frozen=True, slots=True)
class RuntimeFile:
    """A file of a release: where it goes, where it comes from, and what it must be."""

    path: PurePosixPath
    url: str
    bytes: int
    sha256: str


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "download-runtime",
        help="download the JavaScript runtime that runs model files in pages",
        description="Downloads the runtime's scripts and engines, checks them, and puts them into "
        "a folder, all or none.",
        epilog="example: wasm-torch download-runtime --output public/wasm-torch",
    )
    parser.add_argument("--version", default="latest", help="which release (latest)")
    parser.add_argument(
        "--index", metavar="URL-or-FILE", help="an index of releases, in place of the project's"
    )
    parser.add_argument(
        "--output",
        default="wasm-torch-runtime",
        metavar="DIR",
        help="the folder for the files (wasm-torch-runtime)",
    )
    parser.set_defaults(action=_download)


def _download(options: argparse.Namespace) -> None:
    index = _location(options.index or _default_index())
    output = Path(options.output)
    if output.exists() and not output.is_dir():
        raise NotADirectoryError(f"{output} is a file; give the name of a folder")
    if not output.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {output.parent} to make {output.name} in")
    version, files = _release(index, options.version)
    size = sum(file.bytes for file in files)
    tell = bar if sys.stderr.isatty() else lambda step, done: None
    _fetch_all(files, output, tell)
    print(f"{output}: wasm-torch {version}, {len(files)} files, {megabytes(size)}")


# ---- the index -----------------------------------------------------------------------------------
def _default_index() -> str:
    """The index of the newest release, where this package's metadata names the releases' page."""
    try:
        urls = importlib.metadata.metadata("wasm-shim-torch").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:
        urls = []
    for entry in urls:
        label, _, url = entry.partition(",")
        if label.strip().lower() == "releases":
            return f"{url.strip().rstrip('/')}/latest/download/{_INDEX_NAME}"
    raise ValueError(
        "this installation does not say where its releases are: give --index URL-or-FILE"
    )


def _location(text: str) -> str:
    """An address; that of a file where it is none."""
    if urlsplit(text).scheme in ("http", "https", "file"):
        return text
    path = Path(text)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {text}")
    return path.resolve().as_uri()


def _release(index: str, version: str) -> tuple[str, list[RuntimeFile]]:
    """The release's version and files. Raises ValueError where the index has none such."""
    text = bytearray()

    def keep(piece: bytes) -> None:
        text.extend(piece)
        if len(text) > _MOST_INDEX_BYTES:
            raise DownloadError(f"{index} is no index of releases: it is too large")

    _fetch(index, keep)
    try:
        found = json.loads(text)
        form, versions, latest = found["format"], dict(found["versions"]), found["latest"]
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(f"{index} is no index of releases") from error
    if form != FORMAT:
        raise DownloadError(
            f"{index} has format {form}, and this version of wasm-torch reads {FORMAT}: update it"
        )
    wanted = latest if version == "latest" else version
    if wanted not in versions:
        raise ValueError(f"{index} has no version {wanted}; it has {', '.join(versions)}")
    try:
        files = [_file(entry, index) for entry in versions[wanted]["files"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise DownloadError(f"{index} says nothing usable of version {wanted}") from error
    if not files or len({file.path for file in files}) < len(files):
        raise DownloadError(f"{index} says nothing usable of version {wanted}")
    return wanted, files


def _file(entry: dict[str, Any], index: str) -> RuntimeFile:
    path, url = PurePosixPath(entry["path"]), urljoin(index, entry["url"])
    plain = all(re.fullmatch(r"[\w.@+-]*\w", part) for part in path.parts)
    if path.is_absolute() or not path.parts or ".." in path.parts or not plain:
        raise DownloadError(f"{index} names a file outside of the folder: {entry['path']!r}")
    if urlsplit(url).scheme not in ("http", "https", urlsplit(index).scheme):
        raise DownloadError(f"{index} names an address that is none of the web's: {url}")
    size, sha256 = entry["bytes"], entry["sha256"].lower()
    if not isinstance(size, int) or size < 0 or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise DownloadError(f"{index} does not say what {path} must be")
    return RuntimeFile(path, url, size, sha256)


# ---- files ---------------------------------------------------------------------------------------
def _fetch_all(files: list[RuntimeFile], output: Path, tell: Callable[[str, float], None]) -> None:
    """Puts the files into the folder once all of them are there and right."""
    output = output.absolute()
    partial = output.parent / f".{output.name}.{secrets.token_hex(4)}.partial"
    total, done = max(sum(file.bytes for file in files), 1), 0
    partial.mkdir()
    try:
        for file in files:

            def progress(part: int, file: RuntimeFile = file, before: int = done) -> None:
                tell(file.path.name, min((before + part) / total, 0.999))

            _fetch_file(file, partial / file.path, progress)
            done += file.bytes
        if output.exists():
            for file in files:
                target = output / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial / file.path, target)
        else:
            os.replace(partial, output)
        tell("done", 1.0)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fetch_file(file: RuntimeFile, target: Path, progress: Callable[[int], None]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as out:

        def write(piece: bytes) -> None:
            nonlocal size
            size += len(piece)
            if size > file.bytes:
                raise DownloadError(
                    f"{file.url} is longer than the {file.bytes} bytes of the index"
                )
            digest.update(piece)
            out.write(piece)
            progress(size)

        _fetch(file.url, write)
    if size < file.bytes:
        raise DownloadError(f"{file.url} ended after {size} of {file.bytes} bytes: try again")
    if digest.hexdigest() != file.sha256:
        raise DownloadError(
            f"{file.url} is not the file of the release: its SHA-256 is {digest.hexdigest()}, and "
            f"the index says {file.sha256}"
        )


def _fetch(url: str, take: Callable[[bytes], None]) -> None:
    """Gives what is at an address to ``take``, in pieces. Raises DownloadError in one sentence."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            while piece := response.read(_PIECE_BYTES):
                take(piece)
    except DownloadError:
        raise
    except urllib.error.HTTPError as error:
        raise DownloadError(f"{url} cannot be had: the server says {error.code}") from error
    except TimeoutError as error:
        raise DownloadError(f"{url} did not answer within {_TIMEOUT_S} s: try again") from error
    except urllib.error.URLError as error:
        raise DownloadError(
            f"{url} cannot be reached ({error.reason}): check the network, or name another place "
            "with --index"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"the connection to {url} was cut ({error}): try again") from error
