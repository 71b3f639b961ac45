"""LU factorisations, what they pack, and systems solved by them; LDL factorisations."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS, composite, op
from wasm_torch.ops.linalg._operands import (
    LinAlgError,
    batch_of,
    check_float,
    check_kernel,
    check_same_dtype,
    check_square,
    expanded,
    raise_failures,
    take_rows,
)
from wasm_torch.ops.linalg.solve import check_system, factor, permutation
from wasm_torch.return_types import return_type


def _check_lu(a: Any, function: str, pivot: bool) -> None:
    if a.ndim < 2:
        raise RuntimeError(
            f"{function}: Expected tensor with 2 or more dimensions. Got size: {list(a.shape)} "
            "instead"
        )
    check_kernel(a, "lu_cpu")
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


def _unpermuted(a: Any, pivots: Any) -> Any:
    """P a, where P is the permutation of A = P L U."""
    return take_rows(a, permutation(pivots, a.shape[-2]).argsort(-1))


def _lu_backward(grad: Any, packed: Any, pivots: Any) -> Any:
    """The gradient of A = P L U from that of packed L and U.

    With A square, L^T (P^T gA) U^T = tril(L^T gL, -1) + triu(gU U^T). A wide A = P L [U1 U2] adds
    U2 = L^-1 A2, a tall one A = P [L1; L2] U adds L2 = A2 U^-1.
    """
    solve = FUNCTIONS["linalg_solve_triangular"]
    rows, columns = packed.shape[-2:]
    n = min(rows, columns)
    square = packed[..., :n, :n]
    lower, upper = square.tril(-1), square.triu()
    g = grad[..., :n, :n]
    phi_lower = (lower + FUNCTIONS["eye"](n, dtype=packed.dtype)).mT @ g.tril(-1)
    phi_upper = g.triu() @ upper.mT
    beyond = None
    if columns > n:
        extra = grad[..., n:]
        phi_lower = phi_lower - extra @ packed[..., n:].mT
        beyond = solve(lower.mT, extra, upper=True, unitriangular=True)
    elif rows > n:
        extra = grad[..., n:, :]
        phi_upper = phi_upper - packed[..., n:, :].mT @ extra
        beyond = solve(upper.mT, extra, upper=False, left=False)
    phi = phi_lower.tril(-1) + phi_upper.triu()
    inner = solve(lower.mT, phi, upper=True, unitriangular=True)
    result = solve(upper.mT, inner, upper=False, left=False)
    if beyond is not None:
        result = FUNCTIONS["cat"]((result, beyond), -1 if columns > n else -2)
    return _unpermuted(result, pivots)


@op(
    "linalg_lu_factor_ex(Tensor A, *, bool pivot=True, bool check_errors=False) -> "
    "(Tensor LU, Tensor pivots, Tensor info)",
    family="linalg",
    method=False,
    vjp={"A": lambda grad, result0, result1: _lu_backward(grad, result0, result1)},
)
def linalg_lu_factor_ex(A: Any, pivot: bool, check_errors: bool) -> Any:
    """L (unit diagonal) and U packed in one matrix, the 1-based row exchanges, and info (int32),
    not 0 where a pivot is zero.
    """
    _check_lu(A, "torch.lu_factor", pivot)
    packed, pivots, info = factor(A, A.dtype)
    if check_errors:
        _raise_zero_pivot(info, "torch.linalg.lu_factor_ex")
    return packed, pivots, info


def _raise_zero_pivot(info: Any, function: str) -> None:
    try:
        raise_failures(
            info,
            function,
            "U[{0},{0}] is zero and using it on lu_solve would result in a division by zero. If "
            "you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
            "linalg.lu_factor_ex(A, pivot)",
        )
    except LinAlgError as error:
        raise RuntimeError(str(error)) from None


@composite()
def linalg_lu_factor(A: Any, *, pivot: bool = True) -> Any:
    """L and U packed in one matrix, and pivots; raises RuntimeError for a zero pivot."""
    packed, pivots, info = FUNCTIONS["linalg_lu_factor_ex"](A, pivot=pivot)
    _raise_zero_pivot(info, "torch.linalg.lu_factor")
    return return_type("linalg_lu_factor", ("LU", "pivots"))(packed, pivots)


@composite(method=True)
def lu(self: Any, pivot: bool = True, get_infos: bool = False) -> Any:
    """(LU, pivots), and info where asked for."""
    factors = FUNCTIONS["linalg_lu_factor_ex"](self, pivot=pivot)
    return factors if get_infos else tuple(factors[:2])


def _permutation_matrix(pivots: Any, rows: int, dtype: Any) -> Any:
    """P of A = P L U: P[order[i], i] = 1."""
    order = permutation(pivots, rows)
    return (order.unsqueeze(-2) == FUNCTIONS["arange"](rows).unsqueeze(-1)).to(dtype)


@composite(method=True)
def lu_unpack(
    self: Any,
    LU_pivots: Any,
    unpack_data: bool = True,
    unpack_pivots: bool = True,
) -> Any:
    """P, L and U of a packed factorisation; what is not asked for is empty."""
    if unpack_pivots and LU_pivots.dtype is not _C.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype."
            "\nNote: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor"
        )
    rows, columns = self.shape[-2:]
    n = min(rows, columns)
    p = lower = upper = None
    if unpack_data:
        lower = self[..., :n].tril(-1) + FUNCTIONS["eye"](rows, n, dtype=self.dtype)
        upper = self[..., :n, :].triu()
    if unpack_pivots:
        p = _permutation_matrix(LU_pivots, rows, self.dtype)
    made = return_type("lu_unpack", ("P", "L", "U"))
    return made(*(k.empty((0,), self.dtype) if t is None else t for t in (p, lower, upper)))


@composite()
def linalg_lu(A: Any, *, pivot: bool = True) -> Any:
    """P, L and U with A = P L U."""
    _check_lu(A, "linalg.lu", pivot)
    packed, pivots, _ = FUNCTIONS["linalg_lu_factor_ex"](A)
    return return_type("linalg_lu", ("P", "L", "U"))(*lu_unpack(packed, pivots))


@composite()
def linalg_lu_solve(
    LU: Any,
    pivots: Any,
    B: Any,
    *,
    left: bool = True,
    adjoint: bool = False,
) -> Any:
    """X of A X = B, X A = B or the transposed systems, from the factorisation of A."""
    function = "linalg.lu_solve"
    check_float(LU, function)
    if pivots.dtype is not _C.int32:
        raise RuntimeError(f"{function}: pivots should be a Tensor of scalar type torch.int32")
    check_square(LU, function)
    check_system(LU, B, function, left)
    n = LU.shape[-1]
    if pivots.shape[-1] != n:
        raise RuntimeError(
            f"{function}: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if tuple(pivots.shape[:-1]) != tuple(LU.shape[:-2]):
        raise RuntimeError(
            f"{function}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots "
            f"with shape {list(pivots.shape)} instead"
        )
    if pivots.numel() and not bool(((pivots >= 1) & (pivots <= n)).all()):
        raise RuntimeError(
            "Pivots given to lu_solve must all be smaller or equal to LU.size(-2). Did you "
            "properly pass the result of lu_factor?"
        )
    if not left:
        return linalg_lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    solve = FUNCTIONS["linalg_solve_triangular"]
    order = permutation(pivots, n)
    if adjoint:
        x = solve(LU.mT, B, upper=False)
        x = solve(LU.mT, x, upper=True, unitriangular=True)
        return take_rows(x, order.argsort(-1))
    x = solve(LU, take_rows(B, order), upper=False, unitriangular=True)
    return solve(LU, x, upper=True)


@composite(method=True)
def lu_solve(self: Any, LU_data: Any, LU_pivots: Any) -> Any:
    """linalg.lu_solve with the right-hand side first."""
    return linalg_lu_solve(LU_data, LU_pivots, self)


# ---- LDL -----------------------------------------------------------------------------------------
@op(
    "linalg_ldl_factor_ex(Tensor self, *, bool hermitian=False, bool check_errors=False) -> "
    "(Tensor LD, Tensor pivots, Tensor info)",
    family="linalg",
    method=False,
)
def linalg_ldl_factor_ex(self: Any, hermitian: bool, check_errors: bool) -> Any:
    """The packed LDL factorisation of symmetric matrices (Bunch-Kaufman), its pivots, and info
    (int32).
    """
    function = "torch.linalg.ldl_factor_ex"
    check_square(self, function)
    check_float(self, function)
    check_kernel(self, "ldl_factor_kernel_cpu")
    batch = tuple(self.shape[:-2])
    packed = k.empty(tuple(self.shape), self.dtype)
    pivots = k.empty((*batch, self.shape[-1]), _C.int32)
    info = k.empty(batch, _C.int32)
    k.launch("ldl_factor", packed, pivots, info, self)
    if check_errors:
        _raise_zero_block(info, function)
    return packed, pivots, info


def _raise_zero_block(info: Any, function: str) -> None:
    raise_failures(info, function, "D[{0},{0}] is zero: the factors cannot solve a system.")


@composite()
def linalg_ldl_factor(self: Any, *, hermitian: bool = False) -> Any:
    """L and D packed in one matrix, and pivots, of a symmetric matrix."""
    packed, pivots, info = FUNCTIONS["linalg_ldl_factor_ex"](self, hermitian=hermitian)
    _raise_zero_block(info, "torch.linalg.ldl_factor")
    return return_type("linalg_ldl_factor", ("LD", "pivots"))(packed, pivots)


@op(
    "linalg_ldl_solve(Tensor LD, Tensor pivots, Tensor B, *, bool hermitian=False) -> Tensor",
    family="linalg",
    method=False,
)
def linalg_ldl_solve(LD: Any, pivots: Any, B: Any, hermitian: bool) -> Any:
    """X of A X = B from the packed LDL factorisation of A."""
    function = "torch.linalg.ldl_solve"
    check_square(LD, function, "LD")
    if pivots.dtype.is_floating_point or pivots.dtype is _C.bool:
        raise RuntimeError(
            f"{function}: Expected pivots to be integers. Got {scalar_name(pivots.dtype)}"
        )
    check_same_dtype(LD, B, function, ("LD", "B"))
    check_kernel(LD, "ldl_solve_kernel_cpu")
    batch = batch_of(LD, B)
    places = k.expand_to(_C.cast(pivots, _C.int32), (*batch, pivots.shape[-1]))
    b = expanded(B, batch)
    out = k.empty(tuple(b.shape), B.dtype)
    if out.numel():
        k.launch("ldl_solve", out, expanded(LD, batch), places, b)
    return out
