"""``wasm-torch run``: one call of a model file on arrays from files."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from wasm_torch.cli._arguments import numpy_for, read_inputs, table


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="run a model file on numpy files",
        description="Runs a model file through wasmtime. Floats are converted to the float dtype "
        "that an input has, integers to its integer dtype, and a line says so; other dtypes are "
        "refused.",
        epilog="example: wasm-torch run resnet18.wasm picture.npy --output logits.npz",
    )
    parser.add_argument("file", help="a model file")
    parser.add_argument(
        "inputs", nargs="*", metavar="[NAME=]FILE", help="x.npy, name=x.npy, or names in inputs.npz"
    )
    parser.add_argument("--method", help="the method to run (forward)")
    parser.add_argument("--output", metavar="FILE", help="write the outputs to this .npz file")
    parser.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    from wasm_torch.model import load

    numpy = numpy_for("run")
    args, kwargs = read_inputs(options.inputs)
    with load(options.file) as model:
        method = options.method or model.default_method
        for info, array in zip(model.signature(method)[0], args, strict=False):
            _tell_conversion(info, array)
        for info in model.signature(method)[0]:
            if info.name in kwargs:
                _tell_conversion(info, kwargs[info.name])
        outputs = model.call_flat(method, *args, **kwargs)
    arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
    rows = [(n, f"{a.dtype}{list(a.shape)}", _summary(a)) for n, a in arrays.items()]
    print(table(rows))
    if options.output:
        numpy.savez(options.output, **arrays)


def _tell_conversion(info: Any, array: Any) -> None:
    """Says that an input is converted; what cannot be is refused by the model."""
    given, wanted = str(array.dtype), info.dtype
    if given != wanted and given.startswith("float") == wanted.startswith("float"):
        print(f"input {info.name!r}: converting {given} to {wanted}", file=sys.stderr)


def _summary(array: Any) -> str:
    """A few numbers that tell one result from another."""
    if array.size == 0:
        return "empty"
    if array.size <= 8:
        return " ".join(f"{v:.6g}" for v in array.reshape(-1).tolist())
    return f"min {array.min():.6g}, mean {array.mean():.6g}, max {array.max():.6g}"
