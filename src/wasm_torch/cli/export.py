"""``wasm-torch export``: a torch model, named by module and attribute, as a file."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import warnings
from typing import Any

from wasm_torch.cli._arguments import (
    bar,
    described,
    megabytes,
    random_array,
    refuse_repeated,
    shape_argument,
)


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "export",
        help="export a torch model to a .wasm file",
        description="Exports a torch model, runs the file through wasmtime and compares it with "
        "torch before it is put into place.",
        epilog="example: wasm-torch export torchvision.models:resnet18 resnet18.wasm "
        "--input 1x3x224x224 --weights resnet18.pth",
    )
    parser.add_argument(
        "model", help="MODULE:NAME of a module, or of a class or function that makes one"
    )
    parser.add_argument("output", help="the file to write, such as resnet18.wasm")
    parser.add_argument(
        "--input",
        action="append",
        required=True,
        type=shape_argument,
        metavar="[NAME=][DTYPE:]SHAPE",
        help="an input, such as 1x3x224x224 or input_ids=int64:1x128; once for each",
    )
    parser.add_argument("--weights", metavar="FILE", help="a state_dict to load before exporting")
    parser.add_argument(
        "-O",
        "--optimization-level",
        default="O3",
        choices=("O0", "O1", "O2", "O3"),
        help="how much to optimize (O3)",
    )
    parser.add_argument(
        "--weights-dtype",
        default="float32",
        choices=("float32", "float16", "bfloat16"),
        help="how the file keeps weights (float32); 16 bits make it about half as large",
    )
    parser.add_argument("--no-simd", action="store_true", help="for the engine without SIMD")
    parser.add_argument("--no-threads", action="store_true", help="run on one thread everywhere")
    parser.add_argument("--no-verify", action="store_true", help="do not compare with torch")
    parser.set_defaults(action=_export)


def _export(options: argparse.Namespace) -> None:
    from wasm_torch.export import check_output, export_to_wasm

    refuse_repeated([name for name, _, _ in options.input if name is not None])
    check_output(options.output)
    _silence_torch()
    model = _model(options.model)
    if options.weights:
        _load_weights(model, options.weights)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, dtype, shape in options.input:
        tensor = _random_tensor(dtype, shape)
        if name is None:
            args.append(tensor)
        else:
            kwargs[name] = tensor
    if args and kwargs:
        raise ValueError("give a name to every input, or to none")
    compared = export_to_wasm(
        model,
        options.output,
        kwargs or tuple(args),
        optimization_level=options.optimization_level,
        use_simd=not options.no_simd,
        use_threads=not options.no_threads,
        weights_dtype=options.weights_dtype,
        verify=not options.no_verify,
        progress=bar if sys.stderr.isatty() else None,
    )
    print(f"{options.output}: {megabytes(os.path.getsize(options.output))}")
    for method, result in compared.items():
        print(f"{method} agrees with torch to {result.rel_err:.1e} of the output's scale")


def _silence_torch() -> None:
    """torch logs the traceback of an error that is raised as well, and warns of its own code."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "exporting a torch model needs torch: pip install 'wasm-shim-torch[export]' torch"
        ) from error
    if "TORCH_LOGS" not in os.environ:
        torch._logging.set_logs(all=logging.CRITICAL)
    warnings.filterwarnings("ignore", category=FutureWarning)


def _load_weights(model: Any, path: str) -> None:
    import torch

    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path} is no file of weights that torch.load reads: {described(error)}"
        ) from error
    model.load_state_dict(state)


def _random_tensor(dtype: str, shape: tuple[int, ...]) -> Any:
    import torch

    return torch.from_numpy(random_array(dtype, shape))


def _model(text: str) -> Any:
    """The module that ``MODULE:NAME`` names or makes."""
    import torch

    place, _, name = text.partition(":")
    if not name:
        raise ValueError(f"{text!r} is not of the form MODULE:NAME")
    sys.path.insert(0, os.getcwd())
    found: Any = importlib.import_module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{place} has no attribute {name}")
        found = getattr(found, part)
    model = found() if callable(found) and not isinstance(found, torch.nn.Module) else found
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"{text} gave a {type(model).__name__}, not a torch.nn.Module")
    return model
