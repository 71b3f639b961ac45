"""Linear algebra: ``linalg.solve`` is the operation ``linalg_solve``.

Matrices are the last two dims of a tensor, all others are batch dims. Computed in double precision
and rounded to the dtype of the input, which is float32 or float64.
"""

from __future__ import annotations

from typing import Any

from wasm_torch.ops import FUNCTIONS
from wasm_torch.ops.linalg import LinAlgError as LinAlgError

_PREFIX = "linalg_"

for _name, _function in FUNCTIONS.items():
    if _name.startswith(_PREFIX):
        globals()[_name.removeprefix(_PREFIX)] = _function
del _name, _function


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'torch.linalg' has no attribute '{name}'")
