"""Memory formats, layouts and the device: small named objects, printed as torch prints them."""

from __future__ import annotations

import copyreg
from typing import Any


class _Named:
    """An object that is known by its name alone."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> Any:
        return _named, (self.name,)


class memory_format(_Named):
    """How the dims of a dense tensor follow one another in memory."""


class layout(_Named):
    """How a tensor stores its elements; strided is the only one."""


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
strided = layout("strided")


def _named(name: str) -> Any:
    return globals()[name]


def channels_last_stride(size: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of (N, C, *spatial) with C innermost."""
    order = (0, *range(2, len(size)), 1)
    strides, extent = [0] * len(size), 1
    for d in reversed(order):
        strides[d] = extent
        extent *= max(size[d], 1)
    return tuple(strides)


def suggests_channels_last(t: Any) -> bool:
    """Whether the strides of a 4-d or 5-d tensor say channels last, with or without gaps.

    As torch's suggest_memory_format; where sizes of 1 leave it open, they say contiguous.
    """
    if t.ndim not in (4, 5) or t.stride(1) == 0:
        return False
    least = 0
    for d in (1, *range(t.ndim - 1, 1, -1), 0):
        if t.shape[d] == 0 or t.stride(d) < least:
            return False
        if d == 0 and least == t.stride(1):
            return False
        least = t.stride(d) * max(t.shape[d], 1)
    return True


class device:
    """Where a tensor lives. There is one device, ``cpu``."""

    __slots__ = ("index", "type")

    def __init__(self, type: Any = "cpu", index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index
        name, _, number = str(type).partition(":")
        if name not in ("cpu", "meta", "cuda", "mps", "xpu"):
            raise RuntimeError(
                "Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, "
                "fpga, "
                "maia, xla, lazy, vulkan, mps, meta, hpu, mtia, privateuseone device type at "
                "start of "
                f"device string: {name}"
            )
        if name != "cpu":
            raise RuntimeError(f"this build has no device '{name}': tensors live on the cpu")
        self.type = name
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __enter__(self) -> device:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


copyreg.pickle(device, lambda d: (device, (d.type, d.index)))

cpu = device("cpu")
