"""Operations by their ATen names: ``ops.aten.add.Tensor`` is the row, and ``ops.aten.add`` stands
for all of that name's rows.
"""

from __future__ import annotations

from typing import Any

from wasm_torch.ops._table import FUNCTIONS, METHODS, PACKETS, TABLE


class Overloads:
    """The overloads of one name, as attributes; a call picks the one that fits."""

    def __init__(self, name: str):
        self._name = name
        packet = PACKETS.get(name)
        call = FUNCTIONS.get(name) or METHODS.get(name)
        if call is None and packet is not None:
            call = packet.call
        if call is None:
            raise AttributeError(f"'_OpNamespace' 'aten' object has no attribute '{name}'")
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __getattr__(self, overload: str) -> Any:
        if overload.startswith("__"):
            raise AttributeError(overload)
        row = TABLE.get(self._name if overload == "default" else f"{self._name}.{overload}")
        return self._call if row is None else row

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='aten.{self._name}')>"


class Namespace:
    """``ops.aten``."""

    def __getattr__(self, name: str) -> Overloads:
        if name.startswith("__"):
            raise AttributeError(name)
        return Overloads(name)


aten = Namespace()
