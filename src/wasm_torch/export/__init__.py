"""From a model to one WebAssembly file.

A model of torch goes through torch.export, one of wasm_torch is traced. torch is imported only
where there is a model of it.
"""

from __future__ import annotations

from wasm_torch.export._errors import ExportError, Unsupported, UnsupportedOperations
from wasm_torch.export._examples import Dim
from wasm_torch.export._export import check_output, export_to_wasm
from wasm_torch.export._quantize import quantize_for_wasm

__all__ = [
    "Dim",
    "ExportError",
    "Unsupported",
    "UnsupportedOperations",
    "check_output",
    "export_to_wasm",
    "quantize_for_wasm",
]
