"""Named results of operations with several outputs, printed as torch prints them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

_MADE: dict[tuple[str, tuple[str, ...]], type] = {}


def _repr(self: Any) -> str:
    fields = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
    return f"torch.return_types.{type(self).__name__}(\n{fields})"


def return_type(name: str, fields: tuple[str, ...]) -> Any:
    """The tuple class of an operation's results, by its field names."""
    key = (name, fields)
    if key not in _MADE:
        made = namedtuple(name, fields)  # type: ignore[misc]
        _MADE[key] = type(
            name, (made,), {"__slots__": (), "__repr__": _repr, "__module__": "torch.return_types"}
        )
        globals()[name] = _MADE[key]
    return _MADE[key]
