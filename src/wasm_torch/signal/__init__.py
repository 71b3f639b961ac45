"""Signal processing."""

from wasm_torch.signal import windows

__all__ = ["windows"]
