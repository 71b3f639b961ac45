"""What compiling a model, or reading and running a model file, may raise.

Public as `wasm_torch.compiler.errors`; here, since the host of model files lies below that.
"""

from __future__ import annotations


class ModelError(Exception):
    """Any error of compiling, reading or loading a model file."""


class DataDependent(ModelError):
    """The model's flow depends on the elements of a tensor, which are not known before it runs."""


class UnsupportedModel(ModelError):
    """The model does something that a compiled file cannot."""


class RandomNumbers(UnsupportedModel):
    """The model draws random numbers."""

    def __init__(self) -> None:
        super().__init__(
            "the model draws random numbers, and a compiled model has no random generator: call "
            "eval() on the model, or give it the numbers as an input"
        )


class NotWasm(ModelError):
    """The bytes are no WebAssembly module."""


class NotOurs(ModelError):
    """A WebAssembly module, but no model of this project."""


class NewerFormat(ModelError):
    """The file was written by a later version of this project."""


class Truncated(ModelError):
    """The file ends early."""


class Damaged(ModelError):
    """The bytes differ from those that were written."""


class MissingKernel(ModelError):
    """The engine at hand lacks a kernel which the model calls."""
