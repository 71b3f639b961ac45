"""The model file: written from its parts, and read back with every check (docs/model-format.md)."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from wasm_torch.compiler import wasm
from wasm_torch.compiler.errors import Damaged, NewerFormat, NotOurs, NotWasm, Truncated

#: The newest format that is read. A file has the oldest that says all that is in it: the first, or
#: the second where weights are kept in another dtype than they are used in.
FORMAT = 2
FIRST_FORMAT = 1
HEADER, MANIFEST, WEIGHTS = "wasm_torch.header", "wasm_torch.manifest", "wasm_torch.weights"
_MARK = b"WTM1"
_HEADER = struct.Struct("<4sIIIQ")
_HEADER_END = len(wasm.MAGIC) + len(wasm.custom_head(HEADER, _HEADER.size)) + _HEADER.size


def write(sections: bytes, manifest: dict[str, Any], payload: list[bytes]) -> bytes:
    """A file of code sections, manifest and the weights section's payload, given in pieces.

    Fills in the manifest's checksum of the payload.
    """
    weights_bytes, checksum = 0, 0
    for piece in payload:
        weights_bytes += len(piece)
        checksum = zlib.crc32(piece, checksum)
    manifest["weights"]["checksum"] = f"crc32:{checksum:08x}"
    text = json.dumps(manifest, separators=(",", ":"), ensure_ascii=False).encode()
    rest = sections + wasm.custom(MANIFEST, text)
    size, code = _HEADER_END + len(rest), zlib.crc32(rest)
    header = _HEADER.pack(_MARK, manifest["format"], size, code, weights_bytes)
    head = wasm.custom_head(WEIGHTS, weights_bytes)
    return b"".join((wasm.MAGIC, wasm.custom(HEADER, header), rest, head, *payload))


@dataclass(slots=True)
class ModelFile:
    """A checked file: ``prefix`` is a valid module without the weights, ``weights`` the payload."""

    prefix: memoryview
    manifest: dict[str, Any]
    weights: memoryview


def read(data: bytes | bytearray | memoryview) -> ModelFile:
    """Checks and takes a file apart without copying its weights.

    Raises NotWasm, NotOurs, NewerFormat, Truncated or Damaged.
    """
    view = memoryview(data).cast("B")
    if bytes(view[:4]) != wasm.MAGIC[:4]:
        raise NotWasm("this is not a WebAssembly module: it does not begin with \\0asm")
    prefix_bytes, checksum, weights_bytes = _header(view)
    if len(view) < prefix_bytes:
        raise Truncated(
            f"the model file ends after {len(view)} bytes, within its code and manifest "
            f"({prefix_bytes} bytes): download it again"
        )
    prefix = view[:prefix_bytes]
    if zlib.crc32(prefix[_HEADER_END:]) != checksum:
        raise Damaged("the code or the manifest of the model file is damaged: download it again")
    manifest = json.loads(bytes(custom_sections(prefix)[MANIFEST]))
    head = wasm.custom_head(WEIGHTS, weights_bytes)
    start = prefix_bytes + len(head)
    payload = view[start : start + weights_bytes]
    if len(payload) < weights_bytes:
        raise Truncated(
            f"the model file ends after {len(view)} bytes, but has {start + weights_bytes}: "
            "download it again"
        )
    if bytes(view[prefix_bytes:start]) != head or len(view) != start + weights_bytes:
        raise Damaged("the sections of the model file do not fit together: download it again")
    if f"crc32:{zlib.crc32(payload):08x}" != manifest["weights"]["checksum"]:
        raise Damaged("the weights of the model file are damaged: download it again")
    return ModelFile(prefix, manifest, payload)


def _header(view: memoryview) -> tuple[int, int, int]:
    """(bytes of the prefix, its checksum, bytes of the weights)."""
    head = len(wasm.MAGIC) + len(wasm.custom_head(HEADER, _HEADER.size))
    known = wasm.MAGIC + wasm.custom_head(HEADER, _HEADER.size)
    begun = bytes(view[:head])
    if begun != known:
        if known.startswith(begun):
            raise Truncated(f"the model file ends after {len(view)} bytes, within its header")
        raise NotOurs(
            "this is a WebAssembly module, but not a model of wasm-torch: it has no header section"
        )
    if len(view) < _HEADER_END:
        raise Truncated(f"the model file ends after {len(view)} bytes, within its header")
    mark, version, prefix_bytes, checksum, weights_bytes = _HEADER.unpack(view[head:_HEADER_END])
    if mark != _MARK:
        raise NotOurs("this is a WebAssembly module, but not a model of wasm-torch")
    if version > FORMAT:
        raise NewerFormat(
            f"the model file has format {version}, and this version of wasm-torch reads formats "
            f"up to {FORMAT}: update wasm-torch"
        )
    return prefix_bytes, checksum, weights_bytes


def custom_sections(prefix: memoryview) -> dict[str, memoryview]:
    """The payloads of a module's custom sections by name."""
    return {name: payload for number, name, payload in _sections(prefix) if number == 0}


def _sections(prefix: memoryview) -> Iterator[tuple[int, str, memoryview]]:
    at = len(wasm.MAGIC)
    while at < len(prefix):
        number = prefix[at]
        size, at = wasm.read_unsigned(prefix, at + 1)
        end, name = at + size, ""
        if number == 0:
            length, at = wasm.read_unsigned(prefix, at)
            name, at = bytes(prefix[at : at + length]).decode(), at + length
        yield number, name, prefix[at:end]
        at = end


def padded(pieces: Iterable[bytes], alignment: int) -> list[bytes]:
    """The pieces, each followed by zeros up to a multiple of the alignment."""
    result: list[bytes] = []
    for piece in pieces:
        result += [piece, bytes(-len(piece) % alignment)]
    return result
