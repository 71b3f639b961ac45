"""The desktop host of model files: the same WebAssembly engine as in a browser, run by wasmtime.

One `Engine` serves all models of the process. Its memory is reached by address: what is written
there is checked against the memory's length first.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from wasm_torch._errors import Damaged, MissingKernel, ModelError
from wasm_torch._host.status import raise_status

try:
    import wasmtime
except ImportError as error:
    raise ImportError(
        "model files run on the desktop through wasmtime, which is not installed: "
        "pip install 'wasm-shim-torch[export]'"
    ) from error

_PAGE = 65536
_INITIAL_PAGES = 64
_MAXIMUM_PAGES = 65536


class _SharedMemory(wasmtime.SharedMemory):
    """A shared memory that can be imported: wasmtime 50 passes a pointer to its pointer."""

    def _as_extern(self) -> Any:
        from wasmtime import _ffi

        union = _ffi.wasmtime_extern_union(sharedmemory=self.ptr())
        return _ffi.wasmtime_extern_t(_ffi.WASMTIME_EXTERN_SHAREDMEMORY, union)


def _binary(simd: bool) -> Path:
    """The engine's file: in the package, or in a source tree's build folder."""
    folder = Path(__file__).parent
    for place in (folder / "engine", folder.parents[2] / "build" / "engine"):
        for variant in ("relaxed", "simd") if simd else ("scalar",):
            if (place / f"{variant}.wasm").is_file():
                return place / f"{variant}.wasm"
    raise ImportError(
        "this installation of wasm_torch has no WebAssembly engine, which runs model files on the "
        "desktop: it was built without Emscripten. In a source tree of wasm-torch, run `make "
        "engine`, and then `pip install .` to have the engine in an installation"
    )


class Engine:
    """The engine's instance, its memory, and calls that survive traps. For one thread at a time."""

    #: Tensors lie in the native engine's memory: a model's inputs and outputs are copied.
    holds_tensors = False
    _shared: ClassVar[dict[bool, Engine]] = {}
    _lock = threading.Lock()

    @classmethod
    def shared(cls, simd: bool) -> Engine:
        """The engine of this process, with SIMD or without."""
        with cls._lock:
            if simd not in cls._shared:
                cls._shared[simd] = cls(_binary(simd))
            return cls._shared[simd]

    def __init__(self, binary: Path):
        config = wasmtime.Config()
        config.wasm_threads = True
        config.shared_memory = True
        with contextlib.suppress(wasmtime.WasmtimeError):  # there may be no place for a cache
            config.cache = True
        self.binary = binary
        self.lock = threading.RLock()
        self._engine = wasmtime.Engine(config)
        self._module = wasmtime.Module.from_file(self._engine, os.fspath(binary))
        self.store = wasmtime.Store(self._engine)
        self.memory = self._new_memory()
        self._instance = self._instantiate(self.store)
        self._exports = self._instance.exports(self.store)
        self._stack = self._exports["__stack_pointer"]
        self._stack_top = self._stack.value(self.store)
        self._call("wt_engine_start", 1, 1, self._limit)

    def _new_memory(self) -> Any:
        """As much address space as the machine grants, at most 4 GiB."""
        self._limit = _MAXIMUM_PAGES
        while True:
            limits = wasmtime.Limits(_INITIAL_PAGES, self._limit)
            try:
                return _SharedMemory(self._engine, wasmtime.MemoryType(limits, shared=True))
            except wasmtime.WasmtimeError:
                if self._limit <= _MAXIMUM_PAGES // 8:
                    raise
                self._limit //= 2

    def _instantiate(self, store: Any) -> Any:
        linker = wasmtime.Linker(self._engine)
        linker.define(store, "env", "memory", self.memory)
        return linker.instantiate(store, self._module)

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._exports[name](self.store, *arguments)

    # ---- memory ------------------------------------------------------------------------------
    def allocate(self, size: int) -> int:
        """The address of a new block. Raises MemoryError where there is none."""
        if size > _MAXIMUM_PAGES * _PAGE - 1:
            raise MemoryError(f"{size} bytes are more than WebAssembly can address")
        address = self._call("wt_allocate", _signed(max(size, 1))) & 0xFFFFFFFF
        if not address:
            raise MemoryError(
                f"the engine's memory has no room for {size} bytes (limit "
                f"{self._limit * _PAGE} bytes): release other models, or use a smaller input"
            )
        return address

    def release(self, address: int) -> None:
        """Gives a block back."""
        self._call("wt_release", _signed(address))

    def memory_stat(self, which: int) -> int:
        """Bytes: 0 in use now, 1 at the peak, 2 reserved, 3 the limit."""
        return int(self._call("wt_memory_stat", which))

    def reset_peak(self) -> None:
        """Counts the peak from now on."""
        self._call("wt_reset_peak_memory")

    def write(self, address: int, data: Any) -> None:
        """Copies bytes, or any C-contiguous buffer, into the engine's memory."""
        view = memoryview(data)
        view = view.cast("B") if view.nbytes else memoryview(b"")
        self._at(address, view.nbytes)[:] = view

    def read(self, address: int, size: int) -> bytes:
        """A copy of bytes of the engine's memory."""
        return bytes(self._at(address, size))

    def unpack(self, out: int, source: int, count: int, dtype: int) -> None:
        """Copies elements of a dtype, by its code; 16-bit floats become float32."""
        self._call("wt_unpack", _signed(out), _signed(source), count, dtype)

    def _at(self, address: int, size: int) -> memoryview:
        if address < 0 or address + size > self.memory.data_len():
            raise ModelError(f"{size} bytes at {address} lie outside of the engine's memory")
        base = ctypes.addressof(self.memory.data_ptr().contents)
        return memoryview((ctypes.c_ubyte * size).from_address(base + address)).cast("B")

    # ---- models ------------------------------------------------------------------------------
    def compile(self, code: bytes, methods: Iterable[str], threads: bool) -> Any:
        """A module for `load`; calls take one thread here in any case.

        Raises Damaged where it is not valid or lacks a method, and MissingKernel where it asks for
        kernels that this engine lacks.
        """
        try:
            module = wasmtime.Module(self._engine, code)
        except wasmtime.WasmtimeError as error:
            raise Damaged(f"the model's code is not valid WebAssembly: {error}") from error
        known = {export.name for export in self._module.exports}
        wanted = [str(i.name) for i in module.imports if i.module == "kernel"]
        missing = sorted(set(wanted) - known)
        if missing:
            raise MissingKernel(
                f"the model calls {', '.join(missing)}, which this version's engine lacks: "
                "update wasm_torch, or export the model again with this version"
            )
        exported = {export.name for export in module.exports}
        for method in methods:
            if f"method:{method}" not in exported:
                raise Damaged(f"the model's code lacks the method {method}: export the model again")
        return module

    def load(self, module: Any, weights: int, constants: int) -> LoadedModule:
        """Instantiates a model beside the engine."""
        return LoadedModule(self, module, weights, constants)

    def raise_status(self, status: int, what: str) -> None:
        """Raises the error of a kernel's status; ``what`` says where it happened."""
        address = self._call("wt_error_detail") & 0xFFFFFFFF
        raise_status(status, what, self.read(address, 24))

    def guarded(self, function: Any, *arguments: Any) -> int:
        """Calls an export; after a trap the engine is usable again, and the status is WT_TRAP."""
        try:
            return function(self.store, *arguments)
        except wasmtime.Trap:
            self._stack.set_value(self.store, self._stack_top)
            return self._call("wt_recover")


class LoadedModule:
    """A model's instance."""

    def __init__(self, engine: Engine, module: Any, weights: int, constants: int):
        self._engine = engine
        store = engine.store
        linker = wasmtime.Linker(engine._engine)
        linker.define(store, "env", "memory", engine.memory)
        self._arena = self._global(0, mutable=True)
        for name, value in (("weights", weights), ("constants", constants)):
            linker.define(store, "env", name, self._global(value))
        linker.define(store, "env", "arena", self._arena)
        for item in module.imports:
            if item.module == "kernel":
                linker.define(store, "kernel", item.name, engine._exports[item.name])
        self._exports = linker.instantiate(store, module).exports(store)

    def _global(self, value: int, mutable: bool = False) -> Any:
        kind = wasmtime.GlobalType(wasmtime.ValType.i32(), mutable)
        return wasmtime.Global(self._engine.store, kind, wasmtime.Val.i32(_signed(value)))

    def prepare(self) -> int:
        """Packs the weights, once, before any run; 0, or (weight << 8) | status."""
        prepare = self._exports.get("prepare")
        return 0 if prepare is None else self._engine.guarded(prepare, 0)

    def run(self, method: str, call: int, arena: int) -> int:
        """Runs a method on a call block; 0, or (node << 8) | status."""
        self._arena.set_value(self._engine.store, wasmtime.Val.i32(_signed(arena)))
        return self._engine.guarded(self._exports[f"method:{method}"], _signed(call))


def _signed(word: int) -> int:
    """A 32-bit word as the signed number that wasmtime takes."""
    return word - (1 << 32) if word >= 1 << 31 else word
