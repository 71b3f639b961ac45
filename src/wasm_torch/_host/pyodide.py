"""The host in Pyodide: a script that instantiates the engine beside Python's own module.

The extension cannot reach the engine's memory; the script puts the engine's functions into
Pyodide's function table, and `_C.connect` takes their indexes. Nothing here is asynchronous, so
that `import` works on a page's main thread and in a worker alike.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import js
import pyodide_js
from pyodide.ffi import to_js

from .. import _C

_script: Any = None  #: what the host script exports, once evaluated
_host: Any = None  #: the script's PyodideHost, once started


def start() -> None:
    """Evaluates the host script and connects the engine; does nothing the second time.

    Raises ImportError where this browser runs none of the packaged binaries.
    """
    global _host, _script
    if _host is not None:
        return
    folder = files(__package__) / "engine"
    _script = js.eval((folder / "host.js").read_text(encoding="utf-8"))
    variant = _script.bestVariant()
    if variant not in ("relaxed", "simd"):
        missing = "SIMD" if variant == "scalar" else "shared memory"
        raise ImportError(
            f"wasm_torch needs WebAssembly with {missing}, which this browser does not have; "
            "a current Chrome, Edge, Firefox or Safari does"
        )
    binary = to_js((folder / f"{variant}.wasm").read_bytes())
    host = _script.start(pyodide_js._module, binary, variant)
    _C.connect(*host.connection)
    _host = host


async def threads_ready() -> int:
    """Yields to the event loop until the workers that are starting have joined."""
    return await _host.engine.threadsReady()


def info() -> dict[str, Any]:
    """The fields of HostInfo."""
    because = _host.engine.singleThreadedBecause
    return {
        "name": "pyodide",
        "engine": _host.engine.variant,
        "isolated": because is None,
        "threads": _C.get_num_threads(),
        "single_threaded_because": because,
    }


def script() -> Any:
    """What the host script exports."""
    return _script


def engine() -> Any:
    """The script's engine, in JavaScript."""
    return _host.engine
