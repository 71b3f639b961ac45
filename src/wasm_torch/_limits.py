"""Limits of number types."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C

#: name -> (bits, mantissa bits, smallest exponent, largest)
_FLOATS: dict[str, tuple[int, int, int, float]] = {
    "float16": (16, 10, -14, 65504.0),
    "bfloat16": (16, 7, -126, 3.3895313892515355e38),
    "float32": (32, 23, -126, 3.4028234663852886e38),
    "float64": (64, 52, -1022, 1.7976931348623157e308),
}


class finfo:
    """Limits of a float dtype: bits, eps, max, min, tiny, smallest_normal, resolution."""

    def __init__(self, dtype: Any = None):
        dtype = _C.get_default_dtype() if dtype is None else dtype
        if dtype.name not in _FLOATS:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle "
                "'torch.finfo'"
            )
        self.bits, mantissa, exponent, self.max = _FLOATS[dtype.name]
        self.dtype = dtype.name
        self.min = -self.max
        self.eps = 2.0**-mantissa
        self.tiny = self.smallest_normal = 2.0**exponent
        self.resolution = 10.0 ** -int(mantissa * 0.30103)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: bits, min, max."""

    def __init__(self, dtype: Any):
        if dtype.is_floating_point or dtype is _C.bool:
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle "
                "'torch.iinfo'"
            )
        self.bits = dtype.itemsize * 8
        self.dtype = dtype.name
        self.min = 0 if dtype is _C.uint8 else -(2 ** (self.bits - 1))
        self.max = 255 if dtype is _C.uint8 else 2 ** (self.bits - 1) - 1

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
