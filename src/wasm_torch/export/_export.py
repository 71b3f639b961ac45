"""export_to_wasm: capture, compile, verify, and only then put the file into its place."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wasm_torch
from wasm_torch.compiler import LEVELS, Compiled, assemble, check_weights_dtype
from wasm_torch.export._quantize import is_quantized
from wasm_torch.export._verify import EXACT, HALF, QUANTIZED, Comparison, verify_file

#: What ``progress`` is told: the step's name, and how far along all steps are, from 0 to 1.
Progress = Callable[[str, float], None]


def export_to_wasm(
    model: Any,
    output_path: str | os.PathLike[str],
    example_input: Any = None,
    *,
    methods: Mapping[str, tuple[Callable[..., Any], Any]] | None = None,
    dynamic_shapes: Any = None,
    optimization_level: str = "O3",
    use_simd: bool = True,
    use_threads: bool = True,
    weights_dtype: str = "float32",
    verify: bool = True,
    progress: Progress | None = None,
) -> dict[str, Comparison]:
    """Writes a model as one WebAssembly file, which runs in a page, in Pyodide and here.

    A model of torch goes through torch.export; a model of wasm_torch, here or in Pyodide, is
    traced: run once, with the operations written down.

    The model is exported in evaluation mode, for inputs of exactly the dtypes of the example, and
    of its shapes but for the sizes that ``dynamic_shapes`` lets vary.

    Args:
        model: what to export, a module of torch or of wasm_torch; its modes are as before
            afterwards. The file of one that `quantize_for_wasm` has made computes in 8 bits.
        output_path: the file, such as "resnet18.wasm". It is replaced only when all is well.
        example_input: a tensor, a tuple of positional arguments, or a dict of keyword arguments.
        methods: in place of ``example_input``, several methods over the model's weights by name:
            ``{"encode": (model.encoder, x), "step": (model.step, (token, state))}``.
        dynamic_shapes: which sizes may vary from call to call, as torch.export takes it:
            ``{"x": {0: Dim("batch", min=1, max=16)}}``, with torch.export's Dim, or for a model of
            wasm_torch `wasm_torch.export.Dim`; with ``methods``, a dict of that for each method in
            which sizes vary. The file runs at any size in the range, which begins at 1 or
            later. The model is tried out at 4 to 16 sizes, and at 30 more of a dimension over which
            strides or pools go, so this takes longer than an export at fixed sizes.
        optimization_level: "O0" for no passes, "O1" for folding constants and removing what is
            unused, "O2" for folding batch normalization into convolutions, packing weights and
            applying residuals and activations on the way as well, "O3" for all passes there are:
            fusing pointwise operations beside those of "O2".
        use_simd: False makes a file for the engine's scalar binary, whose sums have one order on
            every machine; it is several times slower, and Pyodide, which has no such binary,
            refuses it.
        use_threads: False makes a file that runs on one thread whatever the engine has: for models
            so small that waking threads costs more than they do.
        weights_dtype: "float16" or "bfloat16" keep parameters and constants of float32 and two or
            more dimensions in 16 bits, so that the file is about half as large. They are widened
            when the file is loaded, and computed with in float32. Tensors for which the dtype's
            range or precision does not suffice stay as they are.
        verify: run the file here and compare it with the model on the example; where sizes vary, at
            the smallest and at other sizes as well. On the desktop wasmtime runs it. Where weights
            are kept in 16 bits, the code is compared with the weights as the model has them first,
            and what the rounding does to the outputs may then be a tenth of their scale at most.
            Of a quantized model, its code in float32 is compared first, and what 8 bits do to the
            outputs may be half of their scale: the result says how much it is.
        progress: called at the start of each step with its name and the part that is done.

    Returns:
        For each method, how far the file's outputs were from the model's; empty without ``verify``.

    Raises:
        UnsupportedOperations: lists every operation that wasm_torch lacks.
        ExportError: torch.export cannot follow the model, torch's version was not tested, or the
            file does not agree with the model.
        DataDependent, RandomNumbers: a model of wasm_torch cannot be traced.
        UnsupportedModel: one file cannot run the model, or not at all sizes of ``dynamic_shapes``;
            the message names the operation and the size that has to be fixed.
        OSError: the file cannot be written where ``output_path`` says.
        ValueError, TypeError: an argument is not one of the above.
    """
    check_output(output_path)
    if optimization_level not in LEVELS:
        raise ValueError(
            f"optimization_level must be one of {', '.join(LEVELS)}, not {optimization_level!r}"
        )
    check_weights_dtype(weights_dtype)
    make = _kind_of(model)
    wanted = _methods(example_input, methods)
    source = make(model, wanted, _dynamic_shapes(dynamic_shapes, methods))
    tell = progress or (lambda step, done: None)
    names, quantized = list(wanted), is_quantized(model)

    def assembled(quantized: bool) -> Compiled:
        families = source.families(lambda step, done: tell(step, 0.4 * done))
        tell("compiling", 0.5)
        options = {"simd": use_simd, "threads": use_threads, "quantized": quantized}
        return assemble(families, optimization_level, source.version, **options)

    with _evaluating(model):
        if quantized and verify:
            verify_file(assembled(quantized=False).file(), source, names)
        compiled = assembled(quantized)
        with _replacing(Path(output_path)) as temporary:
            tell("writing", 0.7)
            temporary.write_bytes(compiled.file(weights_dtype))
            compared: dict[str, Comparison] = {}
            if verify:
                tell("verifying", 0.8)
                tolerance = QUANTIZED if quantized else EXACT
                if weights_dtype != "float32" and not quantized:
                    verify_file(compiled.file(), source, names)
                    tolerance = HALF
                compared = verify_file(temporary, source, names, tolerance)
    tell("done", 1.0)
    return compared


def _kind_of(model: Any) -> Callable[..., Any]:
    """What exports this kind of model. Raises TypeError where it is none."""
    if isinstance(model, wasm_torch.nn.Module):
        from wasm_torch.export._traced_model import TracedModel

        return TracedModel
    # Where a model of torch is, torch has been imported.
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        from wasm_torch.export._torch_model import TorchModel

        return TorchModel
    raise TypeError(
        f"model must be a torch.nn.Module, of torch or of wasm_torch, not {type(model).__name__}"
    )


def check_output(path: str | os.PathLike[str]) -> None:
    """Raises OSError where no file can be made: in a missing folder, or in the place of one."""
    place = Path(path)
    if place.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file")
    if not place.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {place.parent} to write {place.name} into")


def _methods(
    example_input: Any, methods: Mapping[str, tuple[Callable[..., Any], Any]] | None
) -> dict[str, tuple[Callable[..., Any] | None, Any]]:
    if methods is None:
        if example_input is None:
            raise TypeError("export_to_wasm() needs example_input=, or methods=")
        return {"forward": (None, example_input)}
    if example_input is not None:
        raise TypeError("give example_input= or methods=, which holds an example for each method")
    if not methods:
        raise ValueError("methods= is empty")
    return dict(methods)


def _dynamic_shapes(
    dynamic_shapes: Any, methods: Mapping[str, tuple[Callable[..., Any], Any]] | None
) -> dict[str, Any]:
    """What varies, by method."""
    if methods is None:
        return {"forward": dynamic_shapes}
    if dynamic_shapes is None:
        return {}
    if not isinstance(dynamic_shapes, Mapping) or not dynamic_shapes.keys() <= methods.keys():
        raise ValueError("with methods=, dynamic_shapes is a dict by the methods' names")
    return dict(dynamic_shapes)


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode; every module's own mode comes back."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place in the end, or leaves nothing."""
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.partial"
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
