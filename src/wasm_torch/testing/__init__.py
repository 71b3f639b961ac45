"""Comparing and making tensors in tests."""

from wasm_torch.testing._comparison import assert_close
from wasm_torch.testing._creation import make_tensor

__all__ = ["assert_close", "make_tensor"]
