"""Exchange of memory by DLPack."""

from wasm_torch._interop import from_dlpack as from_dlpack
from wasm_torch._interop import to_dlpack as to_dlpack
