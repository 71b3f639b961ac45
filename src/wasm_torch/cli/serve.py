"""``wasm-torch serve``: a local server with the headers that let a page use threads.

site/serve.py takes the handler from this file alone, so that it imports nothing of the package.
"""

from __future__ import annotations

import argparse
import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

ISOLATION_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".ipynb": "application/json",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".py": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".whl": "application/zip",
    ".woff2": "font/woff2",
    ".zip": "application/zip",
}


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
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

    #: Whether the page may share memory with workers: a subclass may say no.
    isolated = True
    extensions_map: ClassVar[dict[str, str]] = {
        **SimpleHTTPRequestHandler.extensions_map,
        **CONTENT_TYPES,
    }

    def end_headers(self) -> None:
        """Sends the headers of every answer."""
        if self.isolated:
            for name, value in ISOLATION_HEADERS.items():
                self.send_header(name, value)
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
