"""What several commands read: tensors from files, shapes, and how they print."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SHAPE = re.compile(r"(?:([A-Za-z_]\w*)=)?(?:([a-z]+\d*):)?(\d+(?:x\d+)*|scalar)$")


def shape_argument(text: str) -> tuple[str | None, str, tuple[int, ...]]:
    """(name or None, dtype, shape) of ``[NAME=][DTYPE:]1x3x224x224``."""
    match = _SHAPE.match(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form [NAME=][DTYPE:]1x3x224x224 (or scalar)"
        )
    name, dtype, sizes = match.groups()
    shape = () if sizes == "scalar" else tuple(int(size) for size in sizes.split("x"))
    return name, dtype or "float32", shape


def count_argument(text: str) -> int:
    """How many to show: a natural number or 0."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be at least 0")
    return value


def numpy_for(command: str) -> Any:
    """The module numpy, which a command needs. Raises ImportError that says how to install it."""
    try:
        import numpy
    except ImportError:
        raise ImportError(f"{command} needs numpy: pip install 'wasm-shim-torch[export]'") from None
    return numpy


def random_array(dtype: str, shape: Sequence[int], seed: int = 0) -> Any:
    """Normal floats, false and true, or integers 0 and 1, which are valid indices."""
    generator = numpy_for("making inputs").random.default_rng(seed)
    if dtype.startswith("float"):
        return generator.standard_normal(tuple(shape)).astype(dtype)
    return generator.integers(0, 2, tuple(shape)).astype(dtype)


def read_inputs(paths: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """Arrays by position and by name: of ``x.npy``, ``name=x.npy`` and all of ``inputs.npz``."""
    numpy = numpy_for("reading inputs")
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for text in paths:
        name, _, path = text.rpartition("=")
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {path}")
        loaded = numpy.load(path, allow_pickle=False)
        if isinstance(loaded, numpy.lib.npyio.NpzFile):
            arrays = {key: loaded[key] for key in loaded.files}
        elif name:
            arrays = {name: loaded}
        else:
            arrays = {}
            positional.append(loaded)
        refuse_repeated([*named, *arrays])
        named.update(arrays)
    return positional, named


def refuse_repeated(names: Sequence[str]) -> None:
    """Raises ValueError where two inputs have one name."""
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(f"input {name!r} was given twice")


def megabytes(size: float) -> str:
    """A number of bytes in MB or kB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def described(error: BaseException) -> str:
    """An error's text, with its type where the text alone would not say what happened."""
    text = str(error)
    if " " in text and not isinstance(error, KeyError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lines with aligned columns."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join("  " + line.rstrip() for line in lines)


def bar(step: str, done: float) -> None:
    """A progress bar on one line of the terminal."""
    width = 30
    filled = round(width * done)
    line = f"\r[{'#' * filled}{'.' * (width - filled)}] {step:<24.24}"
    print(line, end="\n" if done >= 1 else "", file=sys.stderr, flush=True)
