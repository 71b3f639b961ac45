"""One Pyodide in a Node process, to which tests send Python."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import textwrap
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
DRIVER = Path(__file__).resolve().parent / "driver.mjs"
PYODIDE_VERSIONS = ("0.27.7", "0.29.5", "314.0.7")

_START = "import json\nasync def _body():\n"
_END = "\njson.dumps(await _body())\n"


def pinned_node() -> str:
    """The project's own Node, which has relaxed SIMD, or the one on PATH."""
    pinned = ROOT / ".toolchain" / "node" / "bin" / "node"
    return str(pinned) if pinned.exists() else shutil.which("node") or "node"


class PythonError(Exception):
    """Python code in Pyodide raised; the text is its traceback."""


class PyodideSession:
    """Runs code in one Pyodide. What it wrote to the JavaScript console is kept in `console`."""

    def __init__(self, version: str, wheels: list[Path], node: str | None = None) -> None:
        folder = ROOT / ".toolchain" / "pyodide" / version
        command = [node or pinned_node(), str(DRIVER), str(folder), *map(str, wheels)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.console: list[str] = []
        self.version = self._answer(120)["value"]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _answer(self, timeout: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            self.close()
            raise TimeoutError(f"Pyodide did not answer within {timeout} s") from None
        if not line:
            raise RuntimeError(f"the Node process ended with status {self._process.wait()}")
        return json.loads(line)

    def run(self, code: str, timeout: float = 60) -> Any:
        """Runs the body of an async function in Pyodide; returns what it returns, through JSON.

        Raises PythonError where the code raises, and TimeoutError (the process is killed then).
        """
        body = textwrap.indent(textwrap.dedent(code), "    ")
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"code": _START + body + _END}) + "\n")
        self._process.stdin.flush()
        answer = self._answer(timeout)
        self.console = answer["console"]
        if "error" in answer:
            raise PythonError(answer["error"])
        return json.loads(answer["value"])

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> PyodideSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
