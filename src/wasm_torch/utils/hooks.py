"""Handles by which hooks are removed again."""

from wasm_torch.autograd.hooks import RemovableHandle

__all__ = ["RemovableHandle"]
