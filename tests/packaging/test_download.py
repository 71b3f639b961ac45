"""A release's index, and `wasm-torch download-runtime` from a server of this test's own."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import socket
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import release_index
from wasm_torch.cli import main

FILES = {
    "wasm-torch.js": b"export const WASMTorch = 1;\n" * 9000,
    "simd.wasm": b"\0asm\1\0\0\0" + bytes(range(256)) * 50,
    "types/api/model.d.ts": b"export {};\n",
}


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder; of those in `cut`, half."""

    cut: frozenset[str] = frozenset()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        data = source.read()
        half = self.path.lstrip("/") in self.cut
        outputfile.write(data[: len(data) // 2] if half else data)
        if half:
            outputfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder with two releases, the newer one of FILES."""
    dist = tmp_path / "dist"
    for name, data in FILES.items():
        (dist / name).parent.mkdir(parents=True, exist_ok=True)
        (dist / name).write_bytes(data)
    old = release_index.write_release(dist, "0.0.9", tmp_path / "release", prefix="old/")
    previous = json.loads(old.read_text())
    release_index.write_release(dist, "0.1.0", tmp_path / "release", previous=previous)
    return tmp_path / "release"


@pytest.fixture
def server(release: Path) -> Iterator[str]:
    handler = functools.partial(Handler, directory=str(release))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/{release_index.NAME}"
        running.shutdown()
        thread.join()


def download(index: str | Path, output: Path, *more: str) -> int:
    return main(["download-runtime", "--index", str(index), "--output", str(output), *more])


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_newest_release(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "public"
    assert download(server, output) == 0
    assert content(output) == FILES
    size = sum(map(len, FILES.values())) / 1e3
    assert f"wasm-torch 0.1.0, 3 files, {size:.1f} kB" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist", "public", "release"]


def test_an_index_on_this_machine(release: Path, tmp_path: Path) -> None:
    assert download(release / release_index.NAME, tmp_path / "public", "--version", "0.1.0") == 0
    assert content(tmp_path / "public") == FILES


def test_files_that_are_there_are_replaced(server: str, tmp_path: Path) -> None:
    output = tmp_path / "public"
    output.mkdir()
    (output / "simd.wasm").write_bytes(b"an older one")
    (output / "index.html").write_bytes(b"the page")
    assert download(server, output) == 0
    assert content(output) == {**FILES, "index.html": b"the page"}


def spoil(release: Path, name: str, data: bytes) -> None:
    (release / name).write_bytes(data)


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: spoil(r, "simd.wasm", FILES["simd.wasm"][:-1] + b"?"), "its SHA-256 is"),
        (lambda r: spoil(r, "simd.wasm", FILES["simd.wasm"] + b"?"), "is longer than the 12808"),
        (lambda r: spoil(r, "simd.wasm", b""), "ended after 0 of 12808 bytes"),
        (lambda r: (r / "simd.wasm").unlink(), "the server says 404"),
        (lambda r: spoil(r, release_index.NAME, b"<!doctype html>"), "is no index of releases"),
        (lambda r: spoil(r, release_index.NAME, b'{"format": 1}'), "is no index of releases"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(
    change: Any,
    message: str,
    existing: bool,
    release: Path,
    server: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "public"
    if existing:
        output.mkdir()
        (output / "simd.wasm").write_bytes(b"an older one")
    before = sorted(tmp_path.rglob("*"))
    change(release)
    after = sorted(path for path in before if path.exists())
    assert download(server, output) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == after
    assert not existing or (output / "simd.wasm").read_bytes() == b"an older one"


def test_a_connection_that_is_cut(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Handler, "cut", frozenset({"wasm-torch.js"}))
    assert download(server, tmp_path / "public") == 1
    said = capsys.readouterr().err
    assert "ended after 126000 of 252000 bytes" in said or "was cut" in said
    assert not (tmp_path / "public").exists()


def test_a_version_that_is_not_there(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert download(server, tmp_path / "public", "--version", "7.0") == 1
    assert "has no version 7.0; it has 0.0.9, 0.1.0" in capsys.readouterr().err
    assert download(server, tmp_path / "public", "--version", "0.0.9") == 1
    assert "old/simd.wasm cannot be had: the server says 404" in capsys.readouterr().err


def test_without_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:  # bound, and listening to nobody
        taken.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{taken.getsockname()[1]}/index.json"
        assert download(index, tmp_path / "public") == 1
    said = capsys.readouterr().err
    assert "cannot be reached" in said and "check the network" in said and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"path": "../outside.js"}, "outside of the folder"),
        ({"path": "/etc/outside.js"}, "outside of the folder"),
        ({"path": "a\\b.js"}, "outside of the folder"),
        ({"path": ""}, "outside of the folder"),
        ({"url": "file:///etc/hostname"}, "none of the web's"),
        ({"sha256": "abc"}, "does not say what"),
        ({"bytes": "12"}, "does not say what"),
        ({"sha256": 7}, "says nothing usable"),
    ],
)
def test_an_index_is_not_believed_everything(
    entry: dict[str, Any],
    message: str,
    release: Path,
    server: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    index = json.loads((release / release_index.NAME).read_text())
    index["versions"]["0.1.0"]["files"][0].update(entry)
    (release / release_index.NAME).write_text(json.dumps(index))
    assert download(server, tmp_path / "public") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "public").exists()


def test_places_that_cannot_be_written(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert download(server, tmp_path / "file") == 1
    assert "is a file; give the name of a folder" in capsys.readouterr().err
    assert download(server, tmp_path / "no" / "where") == 1
    assert "there is no folder" in capsys.readouterr().err
    assert download(tmp_path / "nothing.json", tmp_path / "public") == 1
    assert "there is no file" in capsys.readouterr().err


def test_the_projects_own_releases(
    server: str,
    release: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the package's metadata names the releases' page, the newest one's index is there."""
    metadata = Message()
    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: metadata)
    monkeypatch.chdir(tmp_path)
    assert main(["download-runtime"]) == 1
    assert "give --index URL-or-FILE" in capsys.readouterr().err

    metadata["Project-URL"] = f"Releases, {server.rpartition('/')[0]}/releases"
    place = release / "releases" / "latest" / "download"
    place.mkdir(parents=True)
    files = release_index.write_release(
        tmp_path / "dist", "0.1.0", place, prefix="../../download/v0.1.0/"
    )
    assets = release / "releases" / "download" / "v0.1.0"
    assets.mkdir(parents=True)
    for entry in json.loads(files.read_text())["versions"]["0.1.0"]["files"]:
        name = Path(entry["url"]).name
        (place / name).rename(assets / name)
    assert main(["download-runtime"]) == 0
    assert content(tmp_path / "wasm-torch-runtime") == FILES
