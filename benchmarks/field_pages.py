"""Backends in pages: a server that counts what it sends, and a page of its own for each."""

from __future__ import annotations

import base64
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from places import launch as launch
from playwright.sync_api import Browser
from playwright.sync_api import Error as PlaywrightError
from serve import Handler, SiteServer

#: What is not counted: the benchmark's own pages, and inputs.
_OWN = ("/field", "/memories", "/backend_", "/inputs/", "/peaks/", "/op_profile")
#: Seconds until a page that does not answer is given up.
PATIENCE = 300
#: The same, of loading.
LOAD_PATIENCE = 60


class CountingHandler(Handler):
    """Adds up the bytes of the files that it sends."""

    server: CountingServer

    def copyfile(self, source: Any, outputfile: Any) -> None:
        if not self.path.startswith(_OWN):
            self.server.sent += os.fstat(source.fileno()).st_size
        super().copyfile(source, outputfile)


class CountingServer(SiteServer):
    """``sent``: bytes of the files sent so far, uncompressed."""

    def __init__(self, root: Path, mounts: dict[str, Path]):
        super().__init__(root, isolated=True, mounts=mounts)
        self.sent = 0
        self.RequestHandlerClass = partial(CountingHandler, directory=str(self.root))


class InPage:
    """A backend in a page. The parameters are those of the runner, for which see
    pages/field_runner.mjs; ``place`` is "page" or "worker".
    """

    def __init__(self, browser: Browser, server: CountingServer, settings: dict[str, Any]):
        self._browser = browser
        self._server = server
        self._settings = settings
        self._open()

    def _open(self) -> None:
        # A context has a cache of its own, so that every load downloads.
        self._context = self._browser.new_context()
        self._page = self._context.new_page()
        self._page.goto(f"{self._server.url}field.html")
        self._page.wait_for_function("window.ask !== undefined")

    def _ask(self, name: str, argument: Any = None, seconds: float = PATIENCE) -> Any:
        return self._page.evaluate("ask", [name, argument, seconds])

    def load(self) -> tuple[float, int]:
        """Milliseconds of starting the runtime and loading the model, and the bytes downloaded.

        A driven Firefox sometimes never starts a worker (see `browsers.ask`); a new page then tries
        again.
        """
        for attempts_left in reversed(range(3)):
            before = self._server.sent
            try:
                took = self._ask("load", self._settings, LOAD_PATIENCE)
                return took, self._server.sent - before
            except PlaywrightError as error:
                if attempts_left == 0 or "load took more than" not in str(error):
                    raise
                self._context.close()
                self._open()
        raise AssertionError

    def warm(self, seconds: float) -> None:
        """Calls for some seconds."""
        self._ask("warm", seconds)

    def turn(self, pause: float) -> float:
        """Milliseconds of a call, after a pause in seconds and a call that is not timed."""
        return self._ask("turn", pause)

    def output(self) -> numpy.ndarray:
        """What a call gives, flat."""
        return numpy.frombuffer(base64.b64decode(self._ask("output")), numpy.float32)

    def peak(self) -> int | None:
        """Bytes of the linear memory."""
        return self._ask("peak")

    def profile(self, seconds: float, rounds: int) -> dict[str, Any]:
        """Times of the kernel calls of a model of ours; see pages/op_profile.mjs."""
        settings = self._settings | {"place": "worker", "seconds": seconds, "rounds": rounds}
        return self._ask("profile", settings)

    def close(self) -> None:
        """Closes the page."""
        self._context.close()
