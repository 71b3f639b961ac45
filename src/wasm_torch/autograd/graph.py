"""The graph's own types."""

from wasm_torch._C import Node

__all__ = ["Node"]
