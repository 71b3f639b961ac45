"""The models of the field benchmark: what they are, and their files for each backend.

The weights are random but seeded, and batch norms have the statistics of the example, so that
values can be compared. Files are kept in build/bench/field, and made anew when what makes them has
changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from architectures import Architecture, architectures
from field_files import digest, exporter, once
from field_litert import convert
from field_rows import MODELS
from torch import nn
from torch.utils import _pytree as pytree
from zoo import ROOT, calibrate

FILES = ROOT / "build" / "bench" / "field"
#: The zoo's name of each model, and the length of its text where that is not the zoo's.
ZOO = dict(
    zip(MODELS, ("resnet50", "bert_base", "yolov8n", "whisper_tiny", "mobilenet_v2"), strict=True)
)
BERT_TOKENS = 128
SEED = 0


class Positional(nn.Module):
    """A model of the zoo with its inputs by position and its first tensor as the only output.

    Token ids may come as int32, which is what LiteRT takes.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...] | None):
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        whole = [x.long() if x.dtype == torch.int32 else x for x in inputs]
        if self.names is None:
            result = self.model(*whole)
        else:
            result = self.model(**dict(zip(self.names, whole, strict=True)))
        return next(leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor))


@dataclass(frozen=True)
class FieldModel:
    """A model with an example input and what torch makes of it."""

    name: str
    module: Positional
    example: tuple[torch.Tensor, ...]
    output: numpy.ndarray

    def file(self, suffix: str) -> Path:
        """Where its file of a kind lies."""
        return FILES / f"{self.name}.{suffix}"

    def inputs(self) -> list[dict[str, Any]]:
        """The inputs for a page: file, dtype and shape."""
        return [
            {
                "file": f"/inputs/{self.name}.input{i}.bin",
                "dtype": str(tensor.dtype).removeprefix("torch."),
                "shape": list(tensor.shape),
            }
            for i, tensor in enumerate(self.example)
        ]


def _text(length: int) -> dict[str, torch.Tensor]:
    ids = torch.randint(0, 30000, (1, length))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def build(name: str) -> tuple[Positional, tuple[torch.Tensor, ...]]:
    """The model in evaluation mode, as its constructor leaves it, and its example."""
    architecture: Architecture = architectures()[ZOO[name]]
    torch.manual_seed(SEED)
    model = architecture.make().eval()
    example = _text(BERT_TOKENS) if name == "bert" else architecture.example()
    if isinstance(example, torch.Tensor):
        return Positional(model, None).eval(), (example,)
    return Positional(model, tuple(example)).eval(), tuple(example.values())


def prepare(name: str) -> FieldModel:
    """The model with calibrated statistics; writes its weights and its inputs for the backends."""
    module, example = build(name)
    calibrate(_Spread(module), example)
    with torch.inference_mode():
        output = module(*example).numpy().copy()
    FILES.mkdir(parents=True, exist_ok=True)
    torch.save(module.state_dict(), FILES / f"{name}.pt")
    for i, tensor in enumerate(example):
        (FILES / f"{name}.input{i}.bin").write_bytes(tensor.numpy().tobytes())
    return FieldModel(name, module, example, output)


class _Spread(nn.Module):
    """Calls a model with a tuple spread out, as `calibrate` does not."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return self.module(*inputs)


def _own_sources() -> list[Path]:
    here = Path(__file__).parent
    return [here / "architectures.py", Path(__file__), here / "zoo.py"]


def wasm_file(model: FieldModel) -> Path:
    """The model for our runtime."""
    from wasm_torch.export import export_to_wasm

    sources = [*exporter(), *_own_sources()]

    def make(target: Path) -> None:
        export_to_wasm(model.module, target, model.example, verify=False)

    return once(model.file("wasm"), digest(sources, model.name), make)


def int8_file(model: FieldModel) -> Path:
    """The model for our runtime, in 8 bits."""
    from wasm_torch.export import export_to_wasm, quantize_for_wasm

    sources = [*exporter(), *_own_sources()]

    def make(target: Path) -> None:
        export_to_wasm(quantize_for_wasm(model.module), target, model.example, verify=False)

    return once(model.file("int8.wasm"), digest(sources, model.name), make)


def onnx_file(model: FieldModel) -> Path:
    """The model for onnxruntime-web, by torch.onnx.

    The exporter is the one over traces: what it writes of BERT runs faster than what the one over
    torch.export does.
    """
    names = [f"x{i}" for i in range(len(model.example))]
    torch.onnx.register_custom_op_symbolic("aten::diff", _difference, 17)
    torch.onnx.register_custom_op_symbolic("aten::cumsum", _cumulative_sum, 17)

    def make(target: Path) -> None:
        torch.onnx.export(
            model.module, model.example, target, dynamo=False, input_names=names, output_names=["y"]
        )

    return once(model.file("onnx"), digest(_own_sources(), model.name), make)


def _difference(g: Any, x: Any, n: Any, dim: Any, prepend: Any, append: Any) -> Any:
    """torch.diff of the first order, which Whisper's mask is made by and the exporter lacks."""
    from torch.onnx import symbolic_helper

    dim = symbolic_helper._get_const(dim, "i", "dim")
    parts = [part for part in (prepend, x, append) if not symbolic_helper._is_none(part)]
    whole = g.op("Concat", *parts, axis_i=dim) if len(parts) > 1 else x
    later = symbolic_helper._slice_helper(g, whole, axes=[dim], starts=[1], ends=[2**31 - 1])
    earlier = symbolic_helper._slice_helper(g, whole, axes=[dim], starts=[0], ends=[-1])
    return g.op("Sub", later, earlier)


def _cumulative_sum(g: Any, x: Any, dim: Any, dtype: Any) -> Any:
    """torch.cumsum of a mask, which ONNX does not sum as it is."""
    from torch.onnx import JitScalarType, symbolic_helper

    axis = g.op("Constant", value_t=torch.tensor(symbolic_helper._get_const(dim, "i", "dim")))
    return g.op("CumSum", g.op("Cast", x, to_i=JitScalarType.INT64.onnx_type()), axis)


def litert_file(model: FieldModel, packages: Path) -> Path:
    """The model for LiteRT.js."""
    here = Path(__file__).parent
    sources = [*_own_sources(), here / "litert-requirements.txt", here / "field_litert.py"]
    key = digest(sources, model.name)
    return once(model.file("tflite"), key, lambda target: convert(model.name, target, packages))
