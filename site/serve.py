"""Serves the assembled site twice: with the cross-origin isolation headers, and without them.

Isolation (COOP and COEP) is what lets a page share memory with worker threads. The second port
shows what a page does on a server that does not send them: everything works, on one thread.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

DEFAULT_ROOT = Path(__file__).resolve().parent.parent / "build" / "site"


def _handler_of_the_command_line() -> Any:
    """IsolatedHandler of `wasm-torch serve`, from its file: the package wants a built extension."""
    file = Path(__file__).resolve().parent.parent / "src" / "wasm_torch" / "cli" / "serve.py"
    specification = importlib.util.spec_from_file_location("wasm_torch_cli_serve", file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.IsolatedHandler


class Handler(_handler_of_the_command_line()):  # type: ignore[misc]
    """Files below one root, with the right types, and nothing outside it."""

    protocol_version = "HTTP/1.1"
    server: SiteServer

    def translate_path(self, path: str) -> str:
        """The file of a URL path, or a name that does not exist where the path leaves the root."""
        relative = unquote(urlsplit(path).path).lstrip("/")
        for prefix, folder in self.server.mounts.items():
            if relative == prefix or relative.startswith(f"{prefix}/"):
                root, relative = folder, relative[len(prefix) :].lstrip("/")
                break
        else:
            root = self.server.root
        target = (root / relative).resolve() if "\0" not in relative else root / "\N{BULLET}"
        hidden = any(part.startswith(".") for part in Path(relative).parts)
        if hidden or not target.is_relative_to(root):
            return str(root / "\N{BULLET}")
        # The trailing slash tells the base class that a folder was asked for.
        return f"{target}/" if relative.endswith("/") else str(target)

    @property
    def isolated(self) -> bool:
        return self.server.isolated

    def send_head(self) -> BinaryIO | None:  # type: ignore[override]
        """A file counts as unchanged only where its date is the very one the browser has: after
        a rebuild, an older file may have taken the place of a newer one.
        """
        known = self.headers.get("If-Modified-Since")
        file = Path(self.translate_path(self.path))
        if known and file.is_file() and known != self.date_time_string(int(file.stat().st_mtime)):
            del self.headers["If-Modified-Since"]
        return super().send_head()  # type: ignore[return-value]

    def list_directory(self, path: str) -> None:  # type: ignore[override]
        self.send_error(HTTPStatus.NOT_FOUND, "File not found")

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if self.server.verbose:
            super().log_request(code, size)

    def log_error(self, format: str, *args: object) -> None:
        if self.server.verbose:
            super().log_error(format, *args)


class SiteServer(ThreadingHTTPServer):
    """One port of the site.

    root: the folder at ``/``. mounts: URL prefix -> another folder. isolated: whether the
    cross-origin isolation headers are sent. Port 0 picks a free one; see ``url``.
    Raises OSError when the port is taken.
    """

    daemon_threads = True
    # A second server on a port in use must fail, not share it; Windows reuses it otherwise.
    allow_reuse_address = sys.platform != "win32"

    def __init__(
        self,
        root: Path,
        *,
        isolated: bool,
        port: int = 0,
        host: str = "127.0.0.1",
        mounts: dict[str, Path] | None = None,
        verbose: bool = False,
    ) -> None:
        self.root = root.resolve()
        self.isolated = isolated
        self.mounts = {prefix: folder.resolve() for prefix, folder in (mounts or {}).items()}
        self.verbose = verbose
        super().__init__((host, port), partial(Handler, directory=str(self.root)))

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it, with a trailing slash."""
        host = self.server_address[0]
        name = "localhost" if host in ("127.0.0.1", "0.0.0.0") else host
        return f"http://{name}:{self.server_address[1]}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closes a connection early is not an error worth a traceback."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def start(self) -> SiteServer:
        """Serves from a thread in the background until ``stop``."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


def open_port(arguments: argparse.Namespace, port: int, isolated: bool) -> SiteServer:
    """A server on one port, or an exit that says which port was taken and what to do."""
    try:
        return SiteServer(
            arguments.root,
            isolated=isolated,
            port=port,
            host=arguments.host,
            verbose=arguments.verbose,
        )
    except OSError as error:
        raise SystemExit(
            f"Port {port} cannot be opened ({error.strerror}). "
            "Stop the program that uses it, or choose another: --port 9000"
        ) from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000, help="isolated port; the plain one is +1")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, help="the assembled site")
    parser.add_argument("--verbose", action="store_true", help="print every request")
    arguments = parser.parse_args()
    if not (arguments.root / "index.html").exists():
        raise SystemExit(f"{arguments.root} holds no site yet: build it with `make site`")
    isolated = open_port(arguments, arguments.port, isolated=True)
    plain_port = arguments.port + 1 if arguments.port else 0
    plain = open_port(arguments, plain_port, isolated=False).start()
    print(f"wasm-torch demo     {isolated.url}", flush=True)
    if (arguments.root / "lite").exists():
        print(f"  notebook          {isolated.url}lite/lab/index.html?path=mnist.ipynb", flush=True)
    print(f"  without isolation {plain.url}   (one thread)", flush=True)
    print("Ctrl-C stops the server.", flush=True)
    try:
        isolated.serve_forever()
    except KeyboardInterrupt:
        print("\nStopped.")
    finally:
        plain.stop()
        isolated.server_close()


if __name__ == "__main__":
    main()
