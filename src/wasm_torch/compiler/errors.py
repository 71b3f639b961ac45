"""What compiling a model or reading a model file may raise."""

from wasm_torch._errors import (
    Damaged,
    DataDependent,
    MissingKernel,
    ModelError,
    NewerFormat,
    NotOurs,
    NotWasm,
    RandomNumbers,
    Truncated,
    UnsupportedModel,
)

__all__ = [
    "Damaged",
    "DataDependent",
    "MissingKernel",
    "ModelError",
    "NewerFormat",
    "NotOurs",
    "NotWasm",
    "RandomNumbers",
    "Truncated",
    "UnsupportedModel",
]
