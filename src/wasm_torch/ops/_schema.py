"""ATen schema strings: ``add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor``.

The grammar is that of PyTorch's ``native_functions.yaml``; annotations of aliasing, such as
``Tensor(a!)``, are read and dropped, except that an argument written to is marked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"([A-Za-z_0-9]+)(?:\.([A-Za-z_0-9]+))?\((.*)\)\s*->\s*(.*)$", re.S)
_ALIAS = re.compile(r"\((?:[a-z*]+\s*(?:\|[a-z]+)*)(!)?(?:\s*->\s*[a-z*|]+)?\)")

#: The default of an argument that has none.
REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "<required>"})()


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: ``type`` without aliasing, such as ``Tensor``, ``int[2]``, ``Scalar?``."""

    name: str
    type: str
    default: Any = REQUIRED
    keyword_only: bool = False
    mutated: bool = False

    @property
    def is_tensor(self) -> bool:
        """Whether gradients may flow through this argument."""
        return self.type.startswith("Tensor")

    @property
    def optional(self) -> bool:
        return self.type.endswith("?")


@dataclass(frozen=True, slots=True)
class Schema:
    """A parsed schema."""

    name: str
    overload: str
    arguments: tuple[Argument, ...]
    returns: tuple[str, ...]
    return_names: tuple[str, ...]
    #: The text after the name: ``(Tensor self) -> Tensor``.
    signature: str

    @property
    def qualified_name(self) -> str:
        return f"{self.name}.{self.overload}" if self.overload else self.name


def _split(text: str) -> list[str]:
    """Splits at commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


_LITERALS = {
    "None": None,
    "True": True,
    "False": False,
    "Mean": 1,
    "contiguous_format": None,
    "long": None,
}


def _default(text: str) -> Any:
    if text in _LITERALS:
        return _LITERALS[text]
    if text.startswith("["):
        return tuple(_default(item) for item in _split(text[1:-1]))
    if text[0] in "'\"":
        return text[1:-1]
    return float(text) if any(c in text for c in ".e") else int(text)


def _argument(text: str, keyword_only: bool) -> Argument:
    declared, _, default = text.partition("=")
    kind, name = declared.strip().rsplit(" ", 1)
    alias = _ALIAS.search(kind)
    mutated = alias is not None and alias.group(1) == "!"
    kind = _ALIAS.sub("", kind).replace("SymInt", "int")
    value = _default(default.strip()) if default else REQUIRED
    return Argument(name, kind, value, keyword_only, mutated)


def parse(text: str) -> Schema:
    """Parses one schema string. Raises ValueError where it is not one."""
    match = _NAME.match(text.strip())
    if match is None:
        raise ValueError(f"not a schema: {text!r}")
    name, overload, arguments, returns = match.groups()
    parsed: list[Argument] = []
    keyword_only = False
    for part in _split(arguments):
        if part == "*":
            keyword_only = True
        else:
            parsed.append(_argument(part, keyword_only))
    returns = returns.strip()
    if returns.startswith("("):
        returns = returns[1:-1]
    kinds, names = [], []
    for part in _split(returns):
        kind, _, label = _ALIAS.sub("", part).strip().partition(" ")
        kinds.append(kind)
        names.append(label)
    signature = _ALIAS.sub("", text[text.index("(") :].strip())
    return Schema(name, overload or "", tuple(parsed), tuple(kinds), tuple(names), signature)
