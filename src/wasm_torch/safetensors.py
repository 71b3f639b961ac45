"""Tensors in the safetensors format (https://huggingface.co/docs/safetensors).

A file is the length of its header (uint64, little-endian), the header (JSON: for each name the
dtype, the shape and the bytes' begin and end) and the bytes.
"""

from __future__ import annotations

import json
import math
import os
import struct
from typing import Any

from wasm_torch import _C

_NAMES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
_DTYPES = {code: name for name, code in _NAMES.items()}

#: The longest header that is read, in bytes.
_HEADER_LIMIT = 100_000_000


class SafetensorError(Exception):
    """A file is not valid."""


def save(tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a file which holds these tensors."""
    header: dict[str, Any] = {}
    if metadata:
        header["__metadata__"] = metadata
    # Wider elements first, so that all of them are aligned.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    parts, position = [], 0
    for name in order:
        tensor = tensors[name]
        data = _C.to_bytes(tensor.detach())
        header[name] = {
            "dtype": _NAMES[str(tensor.dtype).removeprefix("torch.")],
            "shape": list(tensor.shape),
            "data_offsets": [position, position + len(data)],
        }
        parts.append(data)
        position += len(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *parts])


def save_file(
    tensors: dict[str, Any], filename: str | os.PathLike, metadata: dict[str, str] | None = None
) -> None:
    """Writes these tensors to a file."""
    with open(filename, "wb") as file:
        file.write(save(tensors, metadata))


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header and where the tensors' bytes begin."""
    if len(data) < 8:
        raise SafetensorError("Error while deserializing header: header too small")
    (length,) = struct.unpack_from("<Q", data)
    if length > _HEADER_LIMIT:
        raise SafetensorError("Error while deserializing header: header too large")
    if 8 + length > len(data):
        raise SafetensorError("Error while deserializing header: invalid header length")
    try:
        header = json.loads(data[8 : 8 + length].decode())
    except ValueError:
        raise SafetensorError("Error while deserializing header: invalid JSON in header") from None
    if not isinstance(header, dict):
        raise SafetensorError("Error while deserializing header: invalid JSON in header")
    return header, 8 + length


def load(data: bytes) -> dict[str, Any]:
    """The tensors in the bytes of a file.

    Raises:
        SafetensorError: the file is damaged, or not of this format.
    """
    header, base = _header(data)
    header.pop("__metadata__", None)
    tensors, position = {}, 0
    try:
        entries = sorted(header.items(), key=lambda entry: entry[1]["data_offsets"])
        for name, entry in entries:
            start, end = entry["data_offsets"]
            dtype = getattr(_C, _DTYPES[entry["dtype"]])
            shape = tuple(int(size) for size in entry["shape"])
            if min(shape, default=0) < 0 or end - start != math.prod(shape) * dtype.itemsize:
                raise SafetensorError(f"Error while deserializing header: tensor {name!r} invalid")
            if start != position or base + end > len(data):
                raise SafetensorError(
                    f"Error while deserializing header: invalid offset for {name!r}"
                )
            tensors[name] = _C.from_buffer(data, dtype, shape, base + start)
            position = end
    except (KeyError, TypeError, ValueError) as error:
        raise SafetensorError(f"Error while deserializing header: {error!r}") from None
    if base + position != len(data):
        raise SafetensorError(
            "Error while deserializing header: incomplete metadata, file not fully covered"
        )
    return {name: tensors[name] for name in header}


def load_file(filename: str | os.PathLike, device: Any = "cpu") -> dict[str, Any]:
    """The tensors in a file."""
    with open(filename, "rb") as file:
        return load(file.read())
