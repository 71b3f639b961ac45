"""What a model's kernel calls take, and what they could at best: the launches of a profile, read.

A launch comes from the runtime (src/runtime/src/model/profile.ts) with its argument struct, from
which the multiply-adds and the bytes follow.
"""

from __future__ import annotations

import base64
import math
import statistics
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wasm_torch import _C
from wasm_torch.compiler.structs import MAX_DIMS, offsets

ROOT = Path(__file__).resolve().parent.parent
PEAKS = ROOT / "build" / "bench" / "peaks"
#: Bytes of an element by the dtype's code in abi.h.
ITEM_BYTES = {0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 2, 6: 4, 7: 8, 11: 1, 15: 2}


@dataclass(frozen=True)
class Operand:
    """A tensor of a launch."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    item_bytes: int

    @property
    def count(self) -> int:
        """Its elements."""
        return math.prod(self.shape)

    @property
    def memory(self) -> int:
        """Bytes of the elements that lie in memory: those of an expanded dimension are the same."""
        sizes = (n for n, s in zip(self.shape, self.stride, strict=True) if s != 0)
        return self.item_bytes * math.prod(sizes)


def read_struct(kernel: str, data: bytes) -> dict[str, Any]:
    """The fields of an argument struct by name; tensors as `Operand`, absent ones as None."""
    fields: dict[str, Any] = {}
    for (name, kind), at in zip(_C.KERNEL_FIELDS[kernel], offsets(kernel)[0], strict=True):
        if kind == "tensor":
            _, dtype, ndim, _ = struct.unpack_from("<Iiii", data, at)
            if ndim < 0:
                fields[name] = None
                continue
            shape = struct.unpack_from(f"<{ndim}i", data, at + 16)
            stride = struct.unpack_from(f"<{ndim}i", data, at + 16 + 4 * MAX_DIMS)
            fields[name] = Operand(shape, stride, ITEM_BYTES[dtype])
        elif kind == "double":
            fields[name] = struct.unpack_from("<d", data, at)[0]
        elif kind == "scalar":
            fields[name] = struct.unpack_from("<dq", data, at)
        else:
            fields[name] = struct.unpack_from("<i", data, at)[0]
    return fields


def _gemm(f: dict[str, Any]) -> float:
    return f["out"].count * f["a"].shape[-1]


def _convolution(f: dict[str, Any]) -> float:
    return f["out"].count * math.prod(f["weight"].shape[1:])


def _packed(f: dict[str, Any]) -> float:
    """Of conv_packed and conv_int8, whose weight is in another order: one filter of it."""
    return f["out"].count * f["weight"].count / f["out"].shape[1]


def _attention(f: dict[str, Any]) -> float:
    length, width = f["query"].shape[-2:]
    keys, values = f["key"].shape[-2], f["value"].shape[-1]
    return math.prod(f["query"].shape[:-2]) * length * keys * (width + values)


def _sequence(f: dict[str, Any]) -> float:
    return f["projected"].count * f["weight"].shape[-1]


#: Multiply-adds of the kernels that are bound by them.
MULTIPLY_ADDS: dict[str, Callable[[dict[str, Any]], float]] = {
    "gemm": _gemm,
    "conv": _convolution,
    "conv_packed": _packed,
    "conv_int8": _packed,
    "attention": _attention,
    "lstm_sequence": _sequence,
    "gru_sequence": _sequence,
}


def work(kernel: str, data: bytes) -> tuple[float, int, str]:
    """FLOP (0 where memory is what counts), bytes of the operands, and their shapes as text."""
    fields = read_struct(kernel, data)
    operands = {name: value for name, value in fields.items() if isinstance(value, Operand)}
    flop = 2.0 * MULTIPLY_ADDS[kernel](fields) if kernel in MULTIPLY_ADDS else 0.0
    if not operands and "count" in fields:  # dense operands of one size
        addresses = [name for name, kind in _C.KERNEL_FIELDS[kernel] if kind == "address"]
        used = [name for name in addresses if fields[name] != 0]
        size = ITEM_BYTES[fields.get("dtype", 6)]
        return flop, size * fields["count"] * len(used), f"{len(used)} x [{fields['count']}]"
    text = " ".join(_shape(operand) for operand in operands.values())
    return flop, sum(operand.memory for operand in operands.values()), text


def _shape(operand: Operand) -> str:
    return "x".join(map(str, operand.shape)) or "1"


def peak_module() -> bytes:
    """The loops of fma.c and memory.c as a bare module, which is left in `PEAKS`, too."""
    sys.path.insert(0, str(ROOT / "tools"))

    sys.path.insert(0, str(ROOT / "tools"))
    from wasm_build import environment

    PEAKS.mkdir(parents=True, exist_ok=True)
    target = PEAKS / "peaks.wasm"
    here = Path(__file__).resolve().parent
    command = ["emcc", "-O3", "-msimd128", "-mrelaxed-simd", "--no-entry", "-sSTANDALONE_WASM"]
    command += ["-sINITIAL_MEMORY=48MB", "-sEXPORTED_FUNCTIONS=_fma_loop,_copy_loop"]
    command += [str(here / "fma.c"), str(here / "memory.c"), "-o", str(target)]
    subprocess.run(command, check=True, env=environment())
    return target.read_bytes()


def read_profile(told: dict[str, Any], method: str, threads: int) -> dict[str, Any]:
    """The profile of a method as op_profile.mjs gives it, with the work of each launch.

    Launches are in their order; each has the smallest of its times, which says what the kernel can
    do, and their median.
    """
    peaks = {"gflops": told["gflops"] * threads, "gbytes": told["gbytes"]}
    launches = []
    calls = told["methods"][method]["calls"]
    for launch in told["methods"][method]["launches"]:
        kernel, _, _ = launch["kernel"].partition("@")
        flop, memory, shapes = work(kernel, base64.b64decode(launch["args"]))
        launches.append(
            {
                "kernel": launch["kernel"],
                "op": launch["op"],
                "source": launch["source"],
                "shapes": shapes,
                "ms": round(min(launch["times"]), 4),
                "median_ms": round(statistics.median(launch["times"]), 4),
                "flop": flop,
                "bytes": memory,
            }
        )
    return {
        "threads": threads,
        "peak": {name: round(value, 1) for name, value in peaks.items()},
        "call_ms": round(min(calls), 3),
        "median_call_ms": round(statistics.median(calls), 3),
        "launches": launches,
    }


def _line(name: str, ms: float, whole: float, work: tuple[float, float], peak: Any) -> str:
    """Time with its part of the whole, and rates with their parts of the peak."""
    flop, memory = work
    rate, stream = flop / ms / 1e6, memory / ms / 1e6
    text = f"{name} {ms:9.3f} {ms / whole:6.1%}"
    text += f" {rate:8.1f} {rate / peak['gflops']:6.0%}" if flop else " " * 16
    return f"{text} {stream:8.1f} {stream / peak['gbytes']:6.0%}"


def report(profile: dict[str, Any], most: int = 40) -> str:
    """Sums by kernel, and the launches that take longest, those of equal shapes together."""
    peak = profile["peak"]
    launches = [launch for launch in profile["launches"] if launch["ms"] > 0]
    whole = sum(launch["ms"] for launch in launches)
    lines = [
        f"smallest times: call {profile['call_ms']:.2f} ms, its kernels {whole:.2f}; "
        f"peak of {profile['threads']} threads {peak['gflops']} GFLOP/s, "
        f"memory of one {peak['gbytes']} GB/s"
    ]
    head = f"{'ms':>9} {'part':>6} {'GFLOP/s':>8} {'peak':>6} {'GB/s':>8} {'peak':>6}"
    by_kernel: dict[str, list[dict[str, Any]]] = {}
    by_shape: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for launch in launches:
        by_kernel.setdefault(launch["kernel"], []).append(launch)
        key = (launch["kernel"], launch["op"], launch["shapes"])
        by_shape.setdefault(key, []).append(launch)

    def total(group: list[dict[str, Any]], key: str) -> float:
        return sum(launch[key] for launch in group)

    def add(name: str, group: list[dict[str, Any]]) -> None:
        work = (total(group, "flop"), total(group, "bytes"))
        lines.append(_line(name, total(group, "ms"), whole, work, peak))

    lines.append(f"{'kernel':28} {'calls':>5} {head}")
    for kernel, group in sorted(by_kernel.items(), key=lambda item: -total(item[1], "ms")):
        add(f"{kernel:28} {len(group):5}", group)
    lines.append(f"{'launches of equal shapes':82} {'calls':>5} {head}")
    ordered = sorted(by_shape.items(), key=lambda item: -total(item[1], "ms"))
    for (kernel, _, shapes), group in ordered[:most]:
        what = f"{kernel} {shapes}"
        where = group[0]["source"] or group[0]["op"]
        add(f"{what[:55]:55} {where[-26:]:26} {len(group):5}", group)
    return "\n".join(lines)
