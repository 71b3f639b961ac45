"""The host of model files in Pyodide: the engine that eager operations run on, by its addresses.

Has the methods of `wasm_torch._host.wasmtime.Engine` that models use.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from pyodide.ffi import JsException, to_js

from wasm_torch import _errors
from wasm_torch._host import pyodide as host
from wasm_torch._host.status import raise_status

_MOST_BYTES = (1 << 32) - 1


class Engine:
    """The engine of this Pyodide. Its methods are those of the desktop's."""

    #: Tensors lie in this engine's memory: a model reads and writes them where they are.
    holds_tensors = True
    _shared: Engine | None = None

    @classmethod
    def shared(cls, simd: bool) -> Engine:
        """The one engine. Raises ModelError for a model without SIMD, which it does not run."""
        if not simd:
            raise _errors.ModelError(
                "the model was exported with use_simd=False, for the scalar engine, which is not "
                "in the wheel: export it with use_simd=True"
            )
        if cls._shared is None:
            cls._shared = cls()
        return cls._shared

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._engine = host.engine()
        self._exports = self._engine.exports

    # ---- memory ------------------------------------------------------------------------------
    def allocate(self, size: int) -> int:
        """The address of a new block. Raises MemoryError where there is none."""
        address = 0
        if size <= _MOST_BYTES:
            address = self._exports.wt_allocate(max(size, 1)) & _MOST_BYTES
        if not address:
            raise MemoryError(
                f"the engine's memory has no room for {size} bytes ({self.memory_stat(0)} are in "
                "use): release tensors or other models, or use a smaller input"
            )
        return int(address)

    def release(self, address: int) -> None:
        """Gives a block back."""
        self._exports.wt_release(address)

    def memory_stat(self, which: int) -> int:
        """Bytes: 0 in use now, 1 at the peak, 2 reserved, 3 the limit."""
        return int(self._exports.wt_memory_stat(which))

    def reset_peak(self) -> None:
        """Counts the peak from now on."""
        self._exports.wt_reset_peak_memory()

    def _at(self, address: int, size: int) -> Any:
        end = address + size
        return self._engine.views.reaching(end).bytes.subarray(address, end)

    def write(self, address: int, data: Any) -> None:
        """Copies bytes, or any C-contiguous buffer, into the engine's memory."""
        view = memoryview(data)
        if view.nbytes:
            self._at(address, view.nbytes).assign(view.cast("B"))

    def read(self, address: int, size: int) -> bytes:
        """A copy of bytes of the engine's memory."""
        return bytes(self._at(address, size).to_bytes()) if size else b""

    def unpack(self, out: int, source: int, count: int, dtype: int) -> None:
        """Copies elements of a dtype, by its code; 16-bit floats become float32."""
        self._exports.wt_unpack(out, source, count, dtype)

    # ---- models ------------------------------------------------------------------------------
    def compile(self, code: bytes, methods: Iterable[str], threads: bool) -> Any:
        """A module for `load`, whose calls take one thread without ``threads``.

        Raises Damaged where it is not valid or lacks a method, and MissingKernel where it asks for
        kernels that the engine lacks.
        """
        try:
            return host.script().modelCode(
                self._engine, to_js(code), to_js(list(methods)), not threads
            )
        except JsException as error:
            kind = getattr(_errors, error.name, _errors.ModelError)
            raise kind(error.message) from error

    def load(self, module: Any, weights: int, constants: int) -> Any:
        """Instantiates a model beside the engine; what comes has `run(method, call, arena)`."""
        return module(weights, constants)

    def raise_status(self, status: int, what: str) -> None:
        """Raises the error of a kernel's status; ``what`` says where it happened."""
        address = self._exports.wt_error_detail() & _MOST_BYTES
        raise_status(status, what, self.read(address, 24))
