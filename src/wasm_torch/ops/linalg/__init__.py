"""Linear algebra: factorisations, solvers, norms and products. Importing declares the rows."""

from wasm_torch.ops.linalg import (  # noqa: F401 - importing declares the rows
    solve,  # isort: skip
    lu,
    cholesky,
    determinant,
    qr,
    eigh,
    svd,
    least_squares,
    products,
    norms,
    lowrank,
)
from wasm_torch.ops.linalg._operands import LinAlgError

__all__ = ["LinAlgError"]
