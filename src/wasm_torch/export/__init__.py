"""From a torch model to one WebAssembly file. The only package here that imports torch itself."""

from __future__ import annotations

try:
    import torch as _torch
except ImportError as error:
    raise ImportError(
        "exporting a torch model needs torch: pip install 'wasm-shim-torch[export]' torch"
    ) from error

from wasm_torch.export._errors import ExportError, Unsupported, UnsupportedOperations
from wasm_torch.export._export import check_output, export_to_wasm

__all__ = ["ExportError", "Unsupported", "UnsupportedOperations", "check_output", "export_to_wasm"]

del _torch
