"""What torch computes with elsewhere: answers for code that asks before it uses one of them."""

from wasm_torch.backends import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
