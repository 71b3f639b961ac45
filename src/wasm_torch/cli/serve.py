"""``wasm-torch serve``: a local server with the headers that let a page use threads."""

from __future__ import annotations

import argparse
import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "serve",
        help="serve a folder to pages that use threads",
        description="Serves a folder on this machine with the two headers (COOP and COEP) without "
        "which a page gets no shared memory for threads.",
    )
    parser.add_argument("folder", nargs="?", default=".", help="what to serve (this folder)")
    parser.add_argument(
        "--port", type=int, default=8000, help="the port (8000); 0 picks a free one"
    )
    parser.add_argument("--bind", default="127.0.0.1", help="the address (127.0.0.1)")
    parser.set_defaults(action=_serve)


class IsolatedHandler(SimpleHTTPRequestHandler):
    """Files, with cross-origin isolation and never from a cache."""

    extensions_map: ClassVar[dict[str, str]] = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".wasm": "application/wasm",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
    }

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def make_server(folder: Path, bind: str, port: int) -> ThreadingHTTPServer:
    """A server that is listening; `serve_forever` answers."""
    if not folder.is_dir():
        raise NotADirectoryError(f"there is no folder {folder}")
    handler = functools.partial(IsolatedHandler, directory=str(folder))
    return ThreadingHTTPServer((bind, port), handler)


def _serve(options: argparse.Namespace) -> None:
    with make_server(Path(options.folder), options.bind, options.port) as server:
        place = f"http://{options.bind}:{server.server_port}/"
        print(f"serving {options.folder} at {place} (stop with Ctrl-C)", flush=True)
        server.serve_forever()
