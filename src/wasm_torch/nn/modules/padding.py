"""Padding layers."""

from __future__ import annotations

from collections.abc import Sequence

from wasm_torch import Tensor

from .. import functional as F
from .conv import _as_tuple
from .module import Module

Ints = int | Sequence[int]


class _PadNd(Module):
    """Pads the last `_spatial` dimensions by a mode of `F.pad`."""

    _spatial: int
    _mode: str

    def __init__(self, padding: Ints) -> None:
        super().__init__()
        self.padding = _as_tuple(padding, 2 * self._spatial)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, *) or (C, *), padded."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    _mode = "constant"

    def __init__(self, padding: Ints, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, *) or (C, *), padded."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Pads (left, right) with a number."""

    _spatial = 1


class ConstantPad2d(_ConstantPadNd):
    """Pads (left, right, top, bottom) with a number."""

    _spatial = 2


class ConstantPad3d(_ConstantPadNd):
    """Pads (left, right, top, bottom, front, back) with a number."""

    _spatial = 3


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding: Ints) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPadNd):
    """Pads (left, right) with zeros."""

    _spatial = 1


class ZeroPad2d(_ZeroPadNd):
    """Pads (left, right, top, bottom) with zeros."""

    _spatial = 2


class ZeroPad3d(_ZeroPadNd):
    """Pads (left, right, top, bottom, front, back) with zeros."""

    _spatial = 3


class ReflectionPad1d(_PadNd):
    """Pads (left, right) with the mirror image."""

    _spatial, _mode = 1, "reflect"


class ReflectionPad2d(_PadNd):
    """Pads (left, right, top, bottom) with the mirror image."""

    _spatial, _mode = 2, "reflect"


class ReflectionPad3d(_PadNd):
    """Pads (left, right, top, bottom, front, back) with the mirror image."""

    _spatial, _mode = 3, "reflect"


class ReplicationPad1d(_PadNd):
    """Pads (left, right) with the border."""

    _spatial, _mode = 1, "replicate"


class ReplicationPad2d(_PadNd):
    """Pads (left, right, top, bottom) with the border."""

    _spatial, _mode = 2, "replicate"


class ReplicationPad3d(_PadNd):
    """Pads (left, right, top, bottom, front, back) with the border."""

    _spatial, _mode = 3, "replicate"


class CircularPad1d(_PadNd):
    """Pads (left, right) periodically."""

    _spatial, _mode = 1, "circular"


class CircularPad2d(_PadNd):
    """Pads (left, right, top, bottom) periodically."""

    _spatial, _mode = 2, "circular"


class CircularPad3d(_PadNd):
    """Pads (left, right, top, bottom, front, back) periodically."""

    _spatial, _mode = 3, "circular"
