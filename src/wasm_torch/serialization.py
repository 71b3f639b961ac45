"""Saving and loading in torch's zip format.

An archive holds `data.pkl`, a pickle in which tensors name their storage by a persistent id
("storage", type, key, device, elements), and the storages' bytes as uncompressed files
`data/<key>`. Files made here are read by torch and the other way round.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

from wasm_torch import _C
from wasm_torch._pickling import (
    Pickler,
    Unpickler,
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)

__all__ = [
    "add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save",
]  # fmt: skip

#: Where storages begin in the file, in multiples of bytes, as torch aligns them.
_ALIGNMENT = 64


def _all_bytes(tensor: Any) -> bytes:
    """The bytes of the whole storage behind a tensor."""
    count = tensor._storage_nbytes() // tensor.element_size()
    return _C.to_bytes(_C.as_strided(tensor, (count,), (1,), 0)) if count else b""


def _write_record(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Stores a file whose bytes begin at a multiple of the alignment."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o600 << 16
    assert archive.fp is not None  # the archive is open
    start = archive.fp.tell() + zipfile.sizeFileHeader + len(name.encode()) + 4
    padding = -start % _ALIGNMENT
    # An extra field "FB" of padding, as torch's writer has it.
    info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    archive.writestr(info, data)


def _check_pickle_module(function: str, module: Any) -> None:
    if module is not None and module is not pickle:
        raise NotImplementedError(
            f"torch.{function}: only Python's own pickle is supported as pickle_module; leave it "
            "out"
        )


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Saves an object, usually a state_dict, in torch's format.

    Args:
        obj: tensors, and Python's own types around them.
        f: a path, or a file open for writing bytes.

    Tensors which share a storage share it in the file; the whole storage is saved.
    """
    _check_pickle_module("save", pickle_module)
    pickled = io.BytesIO()
    pickler = Pickler(pickled, pickle_protocol)
    pickler.dump(obj)
    is_path = isinstance(f, str | os.PathLike)
    root = Path(f).stem if is_path else "archive"
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(open(f, "wb")) if is_path else f
        archive = stack.enter_context(zipfile.ZipFile(target, "w", zipfile.ZIP_STORED))

        def write(name: str, data: bytes) -> None:
            _write_record(archive, f"{root}/{name}", data)

        write("data.pkl", pickled.getvalue())
        write(".format_version", b"1")
        write(".storage_alignment", str(_ALIGNMENT).encode())
        write("byteorder", sys.byteorder.encode())
        for key, tensor in pickler.storages.values():
            write(f"data/{key}", _all_bytes(tensor))
        write("version", b"3\n")


def _archive_root(archive: zipfile.ZipFile) -> str:
    """The folder in the archive that holds everything."""
    for name in archive.namelist():
        if name.endswith("/data.pkl"):
            return name.removesuffix("data.pkl")
    raise RuntimeError("PytorchStreamReader failed locating file data.pkl: file not found")


def _is_model(f: Any) -> bool:
    """Whether a file begins as a WebAssembly module does."""
    if isinstance(f, str | os.PathLike):
        with open(f, "rb") as file:
            return file.read(4) == b"\0asm"
    start = f.read(4)
    f.seek(-len(start), os.SEEK_CUR)
    return start == b"\0asm"


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Loads what `save`, here or in torch, has saved; a model file gives what `load_model` gives.

    Args:
        f: a path, or a seekable file open for reading bytes.
        map_location: accepted; everything is on the CPU.
        weights_only: refuse a file which names anything but tensors, plain containers and what
            `add_safe_globals` allows. True by default; False lets the file run any code.

    Raises:
        NotImplementedError: `mmap` is true, or `pickle_module` another than `pickle`.
        pickle.UnpicklingError: the file names something that is not allowed.
        RuntimeError: the file is damaged, or not in the zip format.
    """
    if mmap:
        raise NotImplementedError(
            "torch.load: mmap=True is not supported; leave it out, and the file is read into memory"
        )
    _check_pickle_module("load", pickle_module)
    if not isinstance(f, str | os.PathLike) and not hasattr(f, "seek"):
        raise AttributeError(
            "'file' object has no attribute 'seek'. You can only torch.load from a file that is "
            "seekable. Please pre-load the data into a buffer like io.BytesIO and try to load from "
            "it instead."
        )
    if _is_model(f):
        from wasm_torch.model import load as load_model

        return load_model(f)
    try:
        archive = zipfile.ZipFile(f)
    except zipfile.BadZipFile:
        raise RuntimeError(
            "torch.load: the file is not in torch's zip format, or it is cut short. Files from "
            "before torch 1.6 are not supported: load and save them with torch once."
        ) from None
    with archive:
        root = _archive_root(archive)

        def read(name: str) -> bytes:
            try:
                return archive.read(root + name)
            except KeyError:
                raise RuntimeError(
                    f"PytorchStreamReader failed locating file {name}: file not found"
                ) from None
            except (zipfile.BadZipFile, EOFError) as error:
                raise RuntimeError(
                    f"PytorchStreamReader failed reading file {name}: {error}"
                ) from None

        if root + "byteorder" in archive.namelist() and read("byteorder") == b"big":
            raise RuntimeError("torch.load: files of big-endian machines are not supported")
        restricted = weights_only is None or weights_only
        return Unpickler(io.BytesIO(read("data.pkl")), read, restricted).load()
