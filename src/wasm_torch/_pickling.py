"""Pickles in which tensors name their storage, under torch's names for everything."""

from __future__ import annotations

import contextlib
import pickle
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import IO, Any, ClassVar

import wasm_torch as torch
from wasm_torch import _C
from wasm_torch._C import Size
from wasm_torch._formats import device
from wasm_torch.nn.parameter import Parameter, _rebuild_parameter

#: torch's storage type for each dtype.
_STORAGE_TYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_STORAGE_TYPE_OF = {dtype: name for name, dtype in _STORAGE_TYPES.items()}


def _dtype_name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


# ---- saving ------------------------------------------------------------------------------------
class _Global:
    """A name in a module of torch, which need not exist here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        """Only there because a pickled reduction must name a callable."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Global) and (self.module, self.name) == (
            other.module,
            other.name,
        )

    def __hash__(self) -> int:
        return hash((self.module, self.name))


class _StorageReference:
    """A storage in a pickle; the bytes are written to the archive by themselves."""

    def __init__(self, pid: tuple) -> None:
        self.pid = pid


_REBUILD_TENSOR = _Global("torch._utils", "_rebuild_tensor_v2")
_REBUILD_PARAMETER = _Global("torch._utils", "_rebuild_parameter")


class Pickler(pickle._Pickler):
    """Pickles tensors, dtypes and classes under torch's names.

    The pure-Python pickler, as the C one insists on importing what it names.
    """

    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def __init__(self, file: IO[bytes], protocol: int) -> None:
        super().__init__(file, protocol)
        self.storages: dict[int, tuple[str, Any]] = {}  # engine address: (key, a tensor on it)
        self._kept: list[Any] = []  # temporaries, which the memo knows by id

    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, _StorageReference) else None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Parameter):
            arguments: tuple = (obj.detach(), obj.requires_grad, OrderedDict())
            self._kept.append(arguments)
            return _REBUILD_PARAMETER, arguments
        if isinstance(obj, torch.Tensor):
            return _REBUILD_TENSOR, self._tensor_arguments(obj)
        if isinstance(obj, Size):
            return _Global("torch", "Size"), (tuple(obj),)
        if isinstance(obj, device):
            return _Global("torch", "device"), ("cpu",)
        return NotImplemented

    def _tensor_arguments(self, tensor: Any) -> tuple:
        address = tensor._storage_ptr()
        key, _ = self.storages.setdefault(address, (str(len(self.storages)), tensor.detach()))
        name = _dtype_name(tensor.dtype)
        count = tensor._storage_nbytes() // tensor.element_size()
        pid = ("storage", _Global("torch", _STORAGE_TYPE_OF[name]), key, "cpu", count)
        arguments: tuple = (
            _StorageReference(pid),
            tensor.storage_offset(),
            tuple(tensor.shape),
            tuple(tensor.stride()),
            bool(tensor.requires_grad),
            OrderedDict(),
        )
        self._kept.append(arguments)
        return arguments

    def _save_name(self, module: str, name: str, obj: Any) -> None:
        pickler: Any = self
        pickler.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        pickler.memoize(obj)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = getattr(obj, "__module__", None) or ""
        if module == "wasm_torch" or module.startswith("wasm_torch."):
            public = name or obj.__qualname__
            self._save_name("torch" + module.removeprefix("wasm_torch"), public, obj)
        else:
            super().save_global(obj, name)

    def _save_torch_name(self, obj: _Global) -> None:
        self._save_name(obj.module, obj.name, obj)

    def _save_dtype(self, obj: Any) -> None:
        self._save_name("torch", _dtype_name(obj), obj)

    def save_type(self, obj: type) -> None:
        if obj in (type(None), type(NotImplemented), type(...)):
            super().save_type(obj)
        else:
            self.save_global(obj)

    dispatch[_Global] = _save_torch_name
    dispatch[torch.dtype] = _save_dtype
    dispatch[type] = save_type


# ---- loading -----------------------------------------------------------------------------------
class _StorageType:
    """torch's FloatStorage and its like, when a file names them."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


class _Storage:
    """The bytes of a storage, as a tensor of one dimension."""

    def __init__(self, flat: Any) -> None:
        self.flat = flat


def _rebuild_tensor(storage: _Storage, offset: int, size: Any, stride: Any) -> Any:
    """A tensor on a loaded storage; `_C` checks that it lies inside."""
    return _C.as_strided(storage.flat, tuple(size), tuple(stride), int(offset))


def _rebuild_tensor_v2(
    storage: _Storage,
    offset: int,
    size: Any,
    stride: Any,
    requires_grad: bool,
    backward_hooks: Any,
    metadata: Any = None,
) -> Any:
    tensor = _rebuild_tensor(storage, offset, size, stride)
    if requires_grad:
        tensor.requires_grad_(True)
    return tensor


def _rebuild_parameter_with_state(
    data: Any, requires_grad: bool, backward_hooks: Any, state: Any
) -> Any:
    """A parameter; attributes which were set on it are not taken over."""
    return _rebuild_parameter(data, requires_grad, backward_hooks)


def _encode(text: str, encoding: str) -> bytes:
    """What `_codecs.encode` does for pickled bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"unsupported encoding {encoding!r} in a pickle")
    return text.encode(encoding)


def _allowed_names() -> dict[tuple[str, str], Any]:
    """What a file may name, by (module, name)."""
    names: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("collections", "Counter"): Counter,
        ("collections", "defaultdict"): defaultdict,
        ("builtins", "set"): set,
        ("builtins", "frozenset"): frozenset,
        ("builtins", "bytearray"): bytearray,
        ("builtins", "complex"): complex,
        ("__builtin__", "set"): set,
        ("__builtin__", "frozenset"): frozenset,
        ("__builtin__", "bytearray"): bytearray,
        ("_codecs", "encode"): _encode,
        ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter_with_state,
        ("torch", "Size"): Size,
        ("torch", "device"): device,
        ("torch", "Tensor"): torch.Tensor,
        ("torch.nn.parameter", "Parameter"): Parameter,
    }
    for storage, dtype in _STORAGE_TYPES.items():
        names["torch", storage] = _StorageType(dtype)
        names["torch", dtype] = getattr(_C, dtype)
    names["torch.storage", "UntypedStorage"] = _StorageType("uint8")
    return names


_safe_globals: dict[tuple[str, str], Any] = {}


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Lets `load` with `weights_only` take these classes and functions.

    An element may be a pair (object, full name).
    """
    for item in safe_globals:
        obj, path = item if isinstance(item, tuple) else (item, None)
        if path is None:
            _safe_globals[obj.__module__, obj.__qualname__] = obj
        else:
            module, _, name = path.rpartition(".")
            _safe_globals[module, name] = obj


def get_safe_globals() -> list[Any]:
    """What was added by `add_safe_globals`."""
    return list(_safe_globals.values())


def clear_safe_globals() -> None:
    """Forgets what was added by `add_safe_globals`."""
    _safe_globals.clear()


@contextlib.contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """Adds safe globals for a block."""
    before = dict(_safe_globals)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe_globals.clear()
        _safe_globals.update(before)


class Unpickler(pickle.Unpickler):
    """Reads `data.pkl`. With `restricted`, a file can name tensors and plain containers only."""

    def __init__(self, file: IO[bytes], read: Callable[[str], bytes], restricted: bool) -> None:
        super().__init__(file, encoding="utf-8")
        self._read = read
        self._restricted = restricted
        self._names = _allowed_names()
        self._storages: dict[str, Any] = {}  # by key, of the dtype first asked for

    def find_class(self, module: str, name: str) -> Any:
        for known in (self._names, _safe_globals):
            if (module, name) in known:
                return known[module, name]
        if self._restricted:
            raise pickle.UnpicklingError(
                "Weights only load failed. In PyTorch 2.6, we changed the default value of the "
                "`weights_only` argument in `torch.load` from `False` to `True`. Re-running "
                "`torch.load` with `weights_only` set to `False` will likely succeed, but it can "
                "result in arbitrary code execution. Do it only if you got the file from a trusted "
                f"source.\n\tWeightsUnpickler error: Unsupported global: GLOBAL {module}.{name} "
                "was not an allowed global by default. Please use "
                f"`torch.serialization.add_safe_globals([{name}])` or the "
                f"`torch.serialization.safe_globals([{name}])` context manager to allowlist this "
                "global if you trust this class/function."
            )
        if module.startswith("torch.nn.modules.") and hasattr(torch.nn, name):
            return getattr(torch.nn, name)
        if module == "torch" or module.startswith("torch."):
            module = "wasm_torch" + module.removeprefix("torch")
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> _Storage:
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage"):
            raise pickle.UnpicklingError(f"unknown persistent id {pid!r}")
        _, kind, key, _, count = pid
        if not isinstance(kind, _StorageType) or not isinstance(key, str):
            raise pickle.UnpicklingError(f"unknown storage {pid!r}")
        dtype = getattr(_C, kind.dtype)
        if key not in self._storages:
            data = self._read(f"data/{key}")
            self._storages[key] = _C.from_buffer(data, dtype, (len(data) // dtype.itemsize,))
        flat = self._storages[key]
        if flat.dtype != dtype:
            flat = flat.view(dtype)
        if kind.dtype != "uint8" and count > flat.numel():
            raise RuntimeError(
                f"storage {key} has {flat.numel()} elements, but {count} were expected; the file "
                "is damaged"
            )
        return _Storage(flat)
