"""A binary encoder for the WebAssembly that the compiler writes: integers, sections, instructions.

Source of the encoding: WebAssembly Core Specification 2.0, chapter 5, and the threads proposal for
shared memories.
"""

from __future__ import annotations

from collections.abc import Iterable

MAGIC = b"\0asm\1\0\0\0"
I32 = b"\x7f"


def unsigned(value: int) -> bytes:
    """LEB128 of a natural number."""
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def signed(value: int) -> bytes:
    """LEB128 of an integer."""
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        done = (value == 0 and not low & 0x40) or (value == -1 and low & 0x40)
        out.append(low | (0 if done else 0x80))
        if done:
            return bytes(out)


def read_unsigned(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Decodes LEB128 at ``at``: the value, and where the next byte lies. IndexError at the end."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("an integer is too long")


def name(text: str) -> bytes:
    """A string with its length."""
    data = text.encode()
    return unsigned(len(data)) + data


def vector(items: Iterable[bytes]) -> bytes:
    """A count and the items."""
    listed = list(items)
    return unsigned(len(listed)) + b"".join(listed)


# ---- sections ------------------------------------------------------------------------------------
TYPE, IMPORT, FUNCTION, EXPORT, CODE = 1, 2, 3, 7, 10


def section(number: int, content: bytes) -> bytes:
    """A section with its size."""
    return bytes([number]) + unsigned(len(content)) + content


def custom_head(label: str, payload_bytes: int) -> bytes:
    """What precedes the payload of a custom section."""
    title = name(label)
    return b"\0" + unsigned(len(title) + payload_bytes) + title


def custom(label: str, payload: bytes) -> bytes:
    """A custom section."""
    return custom_head(label, len(payload)) + payload


def function_type(parameters: bytes, results: bytes) -> bytes:
    """Each byte of the arguments is one value type."""
    return b"\x60" + vector(bytes([p]) for p in parameters) + vector(bytes([r]) for r in results)


def import_shared_memory(module: str, field: str, minimum: int, maximum: int) -> bytes:
    return name(module) + name(field) + b"\x02\x03" + unsigned(minimum) + unsigned(maximum)


def import_global(module: str, field: str, kind: bytes, mutable: bool = False) -> bytes:
    return name(module) + name(field) + b"\x03" + kind + (b"\x01" if mutable else b"\x00")


def import_function(module: str, field: str, type_index: int) -> bytes:
    return name(module) + name(field) + b"\x00" + unsigned(type_index)


def export_function(field: str, index: int) -> bytes:
    return name(field) + b"\x00" + unsigned(index)


def function_body(locals_of_i32: int, code: bytes) -> bytes:
    """A body whose locals, beside the parameters, are all i32."""
    declared = vector([unsigned(locals_of_i32) + I32] if locals_of_i32 else [])
    body = declared + code + END
    return unsigned(len(body)) + body


# ---- instructions --------------------------------------------------------------------------------
END = b"\x0b"
IF = b"\x04\x40"
RETURN = b"\x0f"
SELECT = b"\x1b"
I32_ADD = b"\x6a"
I32_SUB = b"\x6b"
I32_MUL = b"\x6c"
I32_DIV_U = b"\x6e"
I32_OR = b"\x72"
I32_GT_U = b"\x4b"
I64_EXTEND_I32_S = b"\xac"
F64_CONVERT_I32_S = b"\xb7"
F64_DIV = b"\xa3"


def i32_const(value: int) -> bytes:
    """Any 32-bit pattern, given signed or unsigned."""
    return b"\x41" + signed((value + 2**31) % 2**32 - 2**31)


def local_get(index: int) -> bytes:
    return b"\x20" + unsigned(index)


def local_set(index: int) -> bytes:
    return b"\x21" + unsigned(index)


def local_tee(index: int) -> bytes:
    return b"\x22" + unsigned(index)


def global_get(index: int) -> bytes:
    return b"\x23" + unsigned(index)


def call(index: int) -> bytes:
    return b"\x10" + unsigned(index)


def i32_load(offset: int) -> bytes:
    """Of a word at a multiple of four."""
    return b"\x28\x02" + unsigned(offset)


def i32_store(offset: int) -> bytes:
    """Of a word at a multiple of four."""
    return b"\x36\x02" + unsigned(offset)


def i64_store(offset: int) -> bytes:
    """Of a number at a multiple of eight."""
    return b"\x37\x03" + unsigned(offset)


def f64_store(offset: int) -> bytes:
    """Of a number at a multiple of eight."""
    return b"\x39\x03" + unsigned(offset)
