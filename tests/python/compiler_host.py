"""Runs compiled models under wasmtime on the project's engine, for the compiler's own tests."""

from __future__ import annotations

import ctypes
import math
import struct
from pathlib import Path
from typing import Any

import wasmtime

from wasm_torch import _C
from wasm_torch.compiler import read
from wasm_torch.compiler.expressions import evaluate

ENGINE = Path(__file__).parents[2] / "build" / "engine" / "simd.wasm"


def flat(result: Any) -> list[Any]:
    """The tensors of a nest of tuples, lists and dicts, in order."""
    if isinstance(result, (tuple, list)):
        return [t for item in result for t in flat(item)]
    if isinstance(result, dict):
        return [t for item in result.values() for t in flat(item)]
    return [result]


def assert_same(got: list[Any], want: Any, tolerance: float = 1e-5) -> None:
    """Same dtypes and shapes, and elements within the tolerance of the largest one."""
    wanted = flat(want)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype is b.dtype and tuple(a.shape) == tuple(b.shape)
        if not a.numel():
            continue
        if not a.dtype.is_floating_point:
            assert bool((a == b).all())
            continue
        scale = max(float(b.abs().max()), 1e-6)
        assert float((a - b).abs().max()) <= tolerance * scale


class SharedMemory(wasmtime.SharedMemory):
    """wasmtime 50 passes a pointer too many when a shared memory is imported."""

    def _as_extern(self) -> Any:
        union = wasmtime._ffi.wasmtime_extern_union(sharedmemory=self.ptr())
        return wasmtime._ffi.wasmtime_extern_t(wasmtime._ffi.WASMTIME_EXTERN_SHAREDMEMORY, union)


class Engine:
    """One engine instance and its memory."""

    def __init__(self) -> None:
        config = wasmtime.Config()
        config.wasm_threads = True
        config.shared_memory = True
        self.engine = wasmtime.Engine(config)
        self.store = wasmtime.Store(self.engine)
        limits = wasmtime.Limits(64, 16384)
        kind = wasmtime.MemoryType(limits, shared=True)
        self.memory = SharedMemory(self.engine, kind)
        module = wasmtime.Module.from_file(self.engine, str(ENGINE))
        self.exports = wasmtime.Instance(self.store, module, [self.memory]).exports(self.store)
        assert self.call("wt_engine_start", 1, 1, 16384) == 0

    def call(self, name: str, *arguments: Any) -> Any:
        return self.exports[name](self.store, *arguments)

    def allocate(self, size: int) -> int:
        return self.call("wt_allocate", max(size, 64)) & 0xFFFFFFFF

    def write(self, address: int, data: bytes | memoryview) -> None:
        ctypes.memmove(self._at(address), bytes(data), len(data))

    def read(self, address: int, size: int) -> bytes:
        return ctypes.string_at(self._at(address), size)

    def _at(self, address: int) -> int:
        return ctypes.addressof(self.memory.data_ptr().contents) + address


class Model:
    """A model file, instantiated; calling a method takes and gives wasm_torch tensors."""

    def __init__(self, data: bytes, engine: Engine):
        file = read(data)
        self.engine, self.manifest = engine, file.manifest
        self.weights = engine.allocate(len(file.weights))
        engine.write(self.weights, file.weights)
        module = wasmtime.Module(engine.engine, bytes(file.prefix))
        bases = {
            "weights": self._global(self.weights),
            "constants": self._global(self.weights + self.manifest["constants"]["offset"]),
            "arena": self._global(0, mutable=True),
        }
        self.arena = bases["arena"]
        imports = [
            engine.memory
            if i.name == "memory"
            else bases[i.name]
            if i.module == "env"
            else engine.exports[i.name]
            for i in module.imports
        ]
        instance = wasmtime.Instance(engine.store, module, imports)
        self.exports = instance.exports(engine.store)
        if "prepare" in [e.name for e in module.exports]:
            assert self.exports["prepare"](engine.store, 0) == 0
        self.states = {name: self._states(m) for name, m in self.manifest["methods"].items()}

    def _global(self, value: int, mutable: bool = False) -> Any:
        kind = wasmtime.GlobalType(wasmtime.ValType.i32(), mutable)
        return wasmtime.Global(self.engine.store, kind, value)

    def _states(self, method: dict[str, Any]) -> list[int]:
        addresses = []
        for state in method["states"]:
            weight = self.manifest["weights"]["tensors"][state["weight"]]
            addresses.append(self.weights + weight["offset"])
        return addresses

    def __call__(self, *inputs: Any, method: str = "forward") -> list[Any]:
        described, engine = self.manifest["methods"][method], self.engine
        sizes = {s["name"]: inputs[s["input"]].shape[s["dimension"]] for s in described["symbols"]}
        arena = evaluate(described["arena_bytes"], sizes)
        self.arena.set_value(engine.store, engine.allocate(arena))
        words = []
        for tensor, want in zip(inputs, described["inputs"], strict=True):
            assert list(tensor.shape) == [evaluate(n, sizes) for n in want["shape"]]
            assert tensor.dtype.name == want["dtype"]
            data = _C.to_bytes(tensor)
            words.append(engine.allocate(len(data)))
            engine.write(words[-1], data)
        outputs = [self._output(want, sizes) for want in described["outputs"]]
        words += [address for address, *_ in outputs] + self.states[method]
        words += sizes.values()
        block = engine.allocate(4 * len(words))
        engine.write(block, struct.pack(f"<{len(words)}I", *words))
        status = self.exports[f"method:{method}"](engine.store, block)
        if status:
            node = described["nodes"][status >> 8] if status >> 8 < len(described["nodes"]) else {}
            raise RuntimeError(f"status {status & 255} in {node}")
        return [self._tensor(*output) for output in outputs]

    def state(self, name: str, method: str = "forward") -> Any:
        """What a state holds now."""
        states = [s["name"] for s in self.manifest["methods"][method]["states"]]
        address = self.states[method][states.index(name)]
        (weight,) = (t for t in self.manifest["weights"]["tensors"] if t["name"] == name)
        dtype = _C.dtype_by_name(weight["dtype"])
        return self._tensor(address, weight["bytes"], dtype, tuple(weight["shape"]))

    def _tensor(self, address: int, size: int, dtype: Any, shape: tuple[int, ...]) -> Any:
        return _C.from_buffer(self.engine.read(address, size), dtype, shape)

    def _output(
        self, want: dict[str, Any], sizes: dict[str, int]
    ) -> tuple[int, int, Any, tuple[int, ...]]:
        dtype = _C.dtype_by_name(want["dtype"])
        shape = tuple(evaluate(n, sizes) for n in want["shape"])
        size = math.prod(shape) * dtype.itemsize
        return self.engine.allocate(size), size, dtype, shape
