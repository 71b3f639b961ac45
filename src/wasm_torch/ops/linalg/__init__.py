"""Linear algebra: factorisations, solvers, norms and products. Importing declares the rows."""

from wasm_torch.ops.linalg import (
    cholesky,
    determinant,
    eigh,
    least_squares,
    lowrank,
    lu,
    norms,
    products,
    qr,
    solve,
    svd,
)
from wasm_torch.ops.linalg._operands import LinAlgError

__all__ = ["LinAlgError"]
