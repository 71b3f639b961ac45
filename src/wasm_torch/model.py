"""Model files as callables: ``load("resnet18.wasm")`` gives what the exported model gave.

On the desktop a model runs through wasmtime, on the same WebAssembly engine as in a browser; in
Pyodide, on the engine that eager operations run on.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import wasm_torch
from wasm_torch import _C
from wasm_torch._host import model_engine
from wasm_torch.compiler.errors import ModelError
from wasm_torch.compiler.expressions import (
    UNLIMITED,
    evaluate,
    shape_text,
    sizes_text,
    symbols_of,
    text,
)
from wasm_torch.compiler.package import ModelFile, read
from wasm_torch.compiler.stored import memory_bytes, moves

__all__ = ["MemoryStats", "Model", "ModelInputError", "TensorInfo", "load"]


class ModelInputError(ModelError, ValueError):
    """An input whose count, name, shape or dtype is not what the model takes."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output: its name, the name of its dtype, and its shape.

    A size that varies from call to call is the name of a symbol, such as "batch", or an expression
    of symbols: ``("floordiv", ("+", "height", 1), 2)``.
    """

    name: str
    dtype: str
    shape: tuple[Any, ...]

    @property
    def nbytes(self) -> int:
        """Its size in bytes. Raises TypeError where the shape varies."""
        return math.prod(self.shape) * _C.dtype_by_name(self.dtype).itemsize

    def at(self, sizes: Mapping[str, int]) -> TensorInfo:
        """The same tensor at these sizes of the symbols."""
        shape = tuple(evaluate(size, sizes) for size in self.shape)
        return TensorInfo(self.name, self.dtype, shape)


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """The engine's memory in bytes: in use now, and at the highest so far."""

    heap_used: int
    peak_bytes: int


class Model:
    """A loaded model. Calling it runs its method ``forward``.

    Tensors go in by position or by name: wasm_torch's, torch's, numpy arrays, or nested numbers;
    in the nest of lists, tuples and dicts that the model was exported with, or one by one.
    What comes out are wasm_torch tensors, in the nest of lists and dicts in which the exported
    model returned them.
    """

    def __init__(self, source: ModelSource):
        self._blocks: list[int] = []
        file = read_file(source)
        self.manifest = file.manifest
        self._engine = model_engine(self.manifest["simd"])
        threads = self.manifest["threads"]
        module = self._engine.compile(bytes(file.prefix), self.methods, threads)
        with self._engine.lock:
            try:
                self._load(file, module)
            except BaseException:
                self.dispose()
                raise

    def _load(self, file: ModelFile, module: Any) -> None:
        engine = self._engine
        size = memory_bytes(self.manifest)
        self._weights = self._allocate(size)
        payload = self._weights + size - len(file.weights)
        engine.write(payload, file.weights)
        for move in moves(self.manifest):
            target, source = self._weights + move.target, payload + move.source
            engine.unpack(target, source, move.count, move.dtype)
        constants = self._weights + self.manifest["constants"]["offset"]
        self._module = engine.load(module, self._weights, constants)
        engine_status = self._module.prepare()
        if engine_status:
            engine.raise_status(engine_status & 255, "packing the weights")
        self._initial = {k: self._read_state(k) for k in self._states()}

    def _allocate(self, size: int) -> int:
        address = self._engine.allocate(size)
        self._blocks.append(address)
        return address

    # ---- what it is --------------------------------------------------------------------------
    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods."""
        return tuple(self.manifest["methods"])

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The inputs of ``forward`` (of the only method, where that has another name)."""
        return self.signature(self.default_method)[0]

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The outputs of ``forward`` (of the only method, where that has another name)."""
        return self.signature(self.default_method)[1]

    def signature(self, method: str) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
        """The inputs and the outputs of a method. Raises ModelInputError where there is none."""
        entry = self._method(method)
        return _infos(entry["inputs"]), _infos(entry["outputs"])

    @property
    def default_method(self) -> str:
        """What calling the model runs: ``forward``, or the only method."""
        methods = self.methods
        return "forward" if "forward" in methods or len(methods) != 1 else methods[0]

    def _method(self, name: str) -> dict[str, Any]:
        entry = self.manifest["methods"].get(name)
        if entry is None:
            raise ModelInputError(
                f"this model has no method {name!r}; it has {', '.join(self.methods)}"
            )
        return entry

    def memory_stats(self) -> MemoryStats:
        """The memory of the engine, which all loaded models share."""
        return MemoryStats(self._engine.memory_stat(0), self._engine.memory_stat(1))

    def reset_peak(self) -> None:
        """Counts the peak of `memory_stats` from now on."""
        self._engine.reset_peak()

    # ---- running -----------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.default_method, *args, **kwargs)

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Runs a method.

        Raises ModelInputError for inputs that do not fit, MemoryError where the engine's memory
        does not suffice, and IndexError or RuntimeError where a kernel refuses what it is given.
        """
        results = list(self.call_flat(method, *args, **kwargs).values())
        tree = self._method(method)["output_tree"]
        return _unflatten(tree, results)

    def call_flat(self, method: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Runs a method; its outputs by name, in order, without their nest. See `call`."""
        entry = self._method(method)
        self._require_memory()
        infos = _infos(entry["inputs"])
        args, kwargs = _flatten(entry["input_tree"], infos, args, kwargs)
        tensors, sizes = _bind(infos, entry["symbols"], args, kwargs, method)
        _check_memory(entry, sizes)
        with self._engine.lock:
            self._require_memory()
            results = self._run(method, entry, tensors, sizes)
        names = [output["name"] for output in entry["outputs"]]
        return dict(zip(names, results, strict=True))

    def _run(
        self, method: str, entry: dict[str, Any], tensors: list[Any], sizes: dict[str, int]
    ) -> list[Any]:
        engine, blocks = self._engine, []

        def allocate(size: int) -> int:
            blocks.append(engine.allocate(size))
            return blocks[-1]

        def placed(tensor: Any) -> int:
            if engine.holds_tensors:
                return tensor.data_ptr()
            address = allocate(tensor.nbytes)
            engine.write(address, _C.to_bytes(tensor))
            return address

        try:
            words = [placed(tensor) for tensor in tensors]
            outputs = [info.at(sizes) for info in _infos(entry["outputs"])]
            results: list[Any] = []
            if engine.holds_tensors:
                results = [_empty(info) for info in outputs]
                addresses = [result.data_ptr() for result in results]
            else:
                addresses = [allocate(info.nbytes) for info in outputs]
            words += addresses
            words += [self._state_address(s["weight"]) for s in entry["states"]]
            words += sizes.values()
            arena = allocate(evaluate(entry["arena_bytes"], sizes))
            call = allocate(4 * max(len(words), 1))
            engine.write(call, struct.pack(f"<{len(words)}I", *words))
            status = self._module.run(method, call, arena)
            if status:
                nodes = entry["nodes"]
                number = (status & 0xFFFFFFFF) >> 8
                node = nodes[number] if number < len(nodes) else {"op": f"node {number}"}
                where = f" at {node['source']}" if node.get("source") else ""
                engine.raise_status(status & 255, f"{method}: {node['op']}{where}")
            return results or [
                _tensor(info, engine.read(address, info.nbytes))
                for info, address in zip(outputs, addresses, strict=True)
            ]
        finally:
            for block in blocks:
                engine.release(block)

    # ---- states ------------------------------------------------------------------------------
    def _states(self) -> list[int]:
        entries = self.manifest["methods"].values()
        return sorted({state["weight"] for entry in entries for state in entry["states"]})

    def _state_address(self, weight: int) -> int:
        return self._weights + self.manifest["weights"]["tensors"][weight]["offset"]

    def _read_state(self, weight: int) -> bytes:
        size = self.manifest["weights"]["tensors"][weight]["bytes"]
        return self._engine.read(self._state_address(weight), size)

    def reset_state(self) -> None:
        """Gives every buffer that calls change the value that it had in the file.

        Raises ModelError where the model has been disposed of.
        """
        with self._engine.lock:
            self._require_memory()
            for weight, data in self._initial.items():
                self._engine.write(self._state_address(weight), data)

    # ---- the end -----------------------------------------------------------------------------
    def dispose(self) -> None:
        """Gives the model's memory back; the model cannot be called any more."""
        with self._engine.lock:
            while self._blocks:
                self._engine.release(self._blocks.pop())

    def _require_memory(self) -> None:
        if not self._blocks:
            raise ModelError("the model has been disposed of")

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.dispose()

    def __repr__(self) -> str:
        lines = []
        for method in self.methods:
            inputs, outputs = self.signature(method)
            lines.append(f"  {method}({_listed(inputs)}) -> {_listed(outputs)}")
        return "Model(\n" + "\n".join(lines) + "\n)"


#: A path, a file open for reading bytes, or the bytes themselves.
ModelSource = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]


def load(source: ModelSource) -> Model:
    """Loads a model file: from a path, a file open for reading bytes, or the bytes themselves.

    Raises:
        ModelError: the file is no model, is newer than this version, cut short or damaged, or
            calls a kernel that the engine lacks. Each cause has its class in
            wasm_torch.compiler.errors.
        MemoryError: the engine's memory has no room for the weights.
        ImportError: nothing here runs model files; the message says what to install.
    """
    return Model(source)


def read_file(source: ModelSource) -> ModelFile:
    """A checked model file. A path is mapped rather than read where the system can do that.

    Raises the errors of `compiler.package.read`.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return read(source)
    if not isinstance(source, (str, os.PathLike)):
        return read(source.read())
    with open(source, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return read(b"")
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:  # not every file system of Pyodide maps files
            return read(file.read())
        return read(memoryview(mapped))


def _infos(entries: list[dict[str, Any]]) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(e["name"], e["dtype"], tuple(e["shape"])) for e in entries)


def _listed(infos: tuple[TensorInfo, ...]) -> str:
    return ", ".join(f"{info.name}: {info.dtype}{shape_text(info.shape)}" for info in infos)


def _flatten(
    tree: Any, infos: tuple[TensorInfo, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments that are nests as the tensors in them, by the names of the inputs."""
    flat: dict[str, Any] = {}

    def take(part: Any, value: Any) -> bool:
        """Whether the value has the form of this part of the tree."""
        if isinstance(part, dict):
            fits = isinstance(value, dict) and value.keys() == part.keys()
            return fits and all(take(item, value[key]) for key, item in part.items())
        if isinstance(part, list):
            fits = isinstance(value, (list, tuple)) and len(value) == len(part)
            return fits and all(map(take, part, value))
        if part is not None:
            flat[infos[part].name] = value
        return True

    nested = isinstance(tree, (list, dict)) and any(
        isinstance(part, (list, dict))
        for part in (tree.values() if isinstance(tree, dict) else tree)
    )
    given = kwargs if isinstance(tree, dict) else list(args)
    other = args if isinstance(tree, dict) else kwargs
    if nested and not other and take(tree, given):
        return (), flat
    return args, kwargs


def _bind(
    infos: tuple[TensorInfo, ...],
    symbols: list[dict[str, Any]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    method: str,
) -> tuple[list[Any], dict[str, int]]:
    """One dense tensor for each input, and the sizes of the symbols."""
    takes = f"{method} takes {len(infos)} ({', '.join(i.name for i in infos)})"
    if len(args) > len(infos):
        raise ModelInputError(f"{len(args)} inputs were given; {takes}")
    given = dict(zip((info.name for info in infos), args, strict=False))
    for name, value in kwargs.items():
        if name in given:
            raise ModelInputError(f"input {name!r} was given twice")
        given[name] = value
    unknown = sorted(given.keys() - {info.name for info in infos})
    if unknown:
        raise ModelInputError(f"there is no input {unknown[0]!r}; {takes}")
    missing = [info.name for info in infos if info.name not in given]
    if missing:
        raise ModelInputError(f"input {', '.join(map(repr, missing))} is missing; {takes}")
    tensors = [_as_tensor(given[info.name]) for info in infos]
    sizes = _sizes(infos, symbols, tensors)
    for info, tensor in zip(infos, tensors, strict=True):
        _check_shape(info, tensor, symbols, sizes, infos)
    return [
        _of_dtype(info, given[info.name], tensor)
        for info, tensor in zip(infos, tensors, strict=True)
    ], sizes


def _sizes(
    infos: tuple[TensorInfo, ...], symbols: list[dict[str, Any]], tensors: list[Any]
) -> dict[str, int]:
    """The sizes of the symbols, each read from its input and checked against its range."""
    sizes: dict[str, int] = {}
    for symbol in symbols:
        info, tensor = infos[symbol["input"]], tensors[symbol["input"]]
        dim, factor, offset = symbol["dimension"], symbol["factor"], symbol["offset"]
        if tensor.dim() != len(info.shape):
            raise _wrong_shape(info, tensor)
        low, high = (factor * symbol[key] + offset for key in ("minimum", "maximum"))
        size = tensor.shape[dim]
        value, rest = divmod(size - offset, factor)
        if rest or not low <= size <= high:
            limit = f"in [{low}, {high}]" if symbol["maximum"] < UNLIMITED else f"at least {low}"
            multiple = f", in steps of {factor}" if factor > 1 else ""
            raise ModelInputError(
                f"input {info.name!r} has size {size} at dimension {dim}; expected "
                f"{symbol['name']!r} to be {limit}{multiple}"
            )
        sizes[symbol["name"]] = value
    return sizes


def _check_shape(
    info: TensorInfo,
    tensor: Any,
    symbols: list[dict[str, Any]],
    sizes: dict[str, int],
    infos: tuple[TensorInfo, ...],
) -> None:
    """Every size must be what the file says for the sizes of the symbols."""
    shape = tuple(tensor.shape)
    wanted = info.at(sizes).shape
    if shape == wanted:
        return
    if len(shape) == len(wanted):
        for dim, (size, expected) in enumerate(zip(shape, wanted, strict=True)):
            if size != expected and not isinstance(info.shape[dim], int):
                known = ", ".join(
                    f"{s['name']}={sizes[s['name']]} (input {infos[s['input']].name!r}, dimension "
                    f"{s['dimension']})"
                    for s in symbols
                    if s["name"] in symbols_of(info.shape[dim])
                )
                raise ModelInputError(
                    f"Sizes must match: input {info.name!r} has size {size} at dimension {dim}, "
                    f"where {text(info.shape[dim])} is {expected} with {known}"
                )
    raise _wrong_shape(info, tensor)


def _wrong_shape(info: TensorInfo, tensor: Any) -> ModelInputError:
    return ModelInputError(
        f"input {info.name!r} has shape {list(tensor.shape)}; the model was exported for "
        f"{shape_text(info.shape)}"
    )


def _check_memory(entry: dict[str, Any], sizes: dict[str, int]) -> None:
    """Refuses sizes whose call would count beyond 32 bits, before anything is written."""
    infos = (*_infos(entry["inputs"]), *_infos(entry["outputs"]))
    total = evaluate(entry["arena_bytes"], sizes) + sum(info.at(sizes).nbytes for info in infos)
    if total >= 1 << 32 or evaluate(entry.get("largest", 0), sizes) > UNLIMITED:
        raise MemoryError(
            f"a call with {sizes_text(sizes) or 'these inputs'} takes {total} bytes, more than "
            "WebAssembly can address: use smaller inputs"
        )


def _of_dtype(info: TensorInfo, value: Any, tensor: Any) -> Any:
    wanted = _C.dtype_by_name(info.dtype)
    if tensor.dtype is not wanted:
        same_kind = tensor.dtype.is_floating_point == wanted.is_floating_point
        if isinstance(value, (list, tuple, int, float)) or (same_kind and wanted is not _C.bool):
            return tensor.to(wanted).contiguous()
        raise ModelInputError(
            f"input {info.name!r} has dtype {tensor.dtype.name}; the model takes {info.dtype}"
        )
    return tensor.contiguous()


def _as_tensor(value: Any) -> Any:
    if isinstance(value, _C.TensorBase):
        return value.detach()
    if hasattr(value, "__array__"):
        detached = value.detach() if hasattr(value, "detach") else value
        return wasm_torch.from_numpy(detached.__array__())
    return wasm_torch.tensor(value)


def _empty(info: TensorInfo) -> Any:
    return wasm_torch.empty(info.shape, dtype=_C.dtype_by_name(info.dtype))


def _tensor(info: TensorInfo, data: bytes) -> Any:
    dtype = _C.dtype_by_name(info.dtype)
    if not data:
        return _empty(info)
    return wasm_torch.frombuffer(bytearray(data), dtype=dtype).reshape(info.shape)


def _unflatten(tree: Any, values: list[Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _unflatten(item, values) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_unflatten(item, values) for item in tree]
    return None if tree is None else values[tree]
