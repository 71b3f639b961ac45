"""Triangular and general systems, inverses."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, composite, op
from wasm_torch.ops.linalg._operands import (
    batch_of,
    check_float,
    check_kernel,
    check_matrix,
    check_same_dtype,
    check_square,
    doubled,
    expanded,
    raise_failures,
    take_rows,
    transposed,
)
from wasm_torch.return_types import return_type

_SINGULAR = "The solver failed because the input matrix is singular."
_ZERO_DIAGONAL = (
    "The diagonal element {} is zero, the inversion could not be completed because the input "
    "matrix is singular."
)


def check_system(a: Any, b: Any, function: str, left: bool) -> None:
    """Raises RuntimeError unless A X = B (left) or X A = B makes sense."""
    check_square(a, function)
    check_matrix(b, function, "B")
    check_same_dtype(a, b, function)
    if a.shape[-2] != b.shape[-2 if left else -1]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{function}: Incompatible shapes of A and B for the equation {equation} "
            f"({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})"
        )


# ---- triangular ----------------------------------------------------------------------------------
def substitute(a: Any, b: Any, upper: bool, unitriangular: bool) -> Any:
    """X of A X = B for matrices of one batch, in the dtype of B, by the kernel."""
    out = k.empty(tuple(b.shape), b.dtype)
    if out.numel():
        k.launch("solve_triangular", out, a, b, upper, unitriangular)
    return out


def _solve_triangular_backward(
    grad: Any, self: Any, result: Any, upper: bool, left: bool, unitriangular: bool
) -> tuple[Any, Any]:
    solve = FUNCTIONS["linalg_solve_triangular"]
    grad_b = solve(self.mT, grad, upper=not upper, left=left, unitriangular=unitriangular)
    grad_a = -(grad_b @ result.mT) if left else -(result.mT @ grad_b)
    offset = 1 if unitriangular else 0
    return (grad_a.triu(offset) if upper else grad_a.tril(-offset)), grad_b


@op(
    "linalg_solve_triangular(Tensor self, Tensor B, *, bool upper, bool left=True, "
    "bool unitriangular=False) -> Tensor",
    family="linalg",
    method=False,
    vjp={
        "self, B": lambda grad, self, result, upper, left, unitriangular: (
            _solve_triangular_backward(grad, self, result, upper, left, unitriangular)
        )
    },
)
def linalg_solve_triangular(
    self: Any,
    B: Any,
    upper: bool,
    left: bool,
    unitriangular: bool,
) -> Any:
    """X of A X = B (X A = B unless ``left``) with the triangular matrix A = ``self``, upper or
    lower; ``unitriangular`` takes its diagonal as 1.
    """
    check_system(self, B, "linalg.solve_triangular", left)
    check_kernel(B, "triangular_solve_cpu")
    batch = batch_of(self, B)
    a, b = expanded(self, batch), expanded(B, batch)
    if left:
        return substitute(a, b, upper, unitriangular)
    return transposed(substitute(transposed(a), transposed(b), not upper, unitriangular))


@composite(method=True)
def triangular_solve(
    self: Any,
    A: Any,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> Any:
    """X of A X = self for triangular A (or its transpose), and a copy of A."""
    for name, value in (("b", self), ("A", A)):
        if value.ndim < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {name} to have at least 2 dimensions, but it "
                f"has {value.ndim} dimensions instead"
            )
    check_system(A, self, "triangular_solve", True)
    matrix = A.mT if transpose else A
    solution = FUNCTIONS["linalg_solve_triangular"](
        matrix, self, upper=upper != transpose, unitriangular=unitriangular
    )
    copy = A.expand((*solution.shape[:-2], *A.shape[-2:])).clone()
    return return_type("triangular_solve", ("solution", "cloned_coefficient"))(solution, copy)


# ---- general -------------------------------------------------------------------------------------
def factor(a: Any, dtype: Any) -> tuple[Any, Any, Any]:
    """Packed L and U (in ``dtype``), pivots and info (int32), by the kernel."""
    rows, columns = a.shape[-2:]
    batch = tuple(a.shape[:-2])
    packed = k.empty(tuple(a.shape), dtype)
    pivots = k.empty((*batch, min(rows, columns)), _C.int32)
    info = k.empty(batch, _C.int32)
    k.launch("lu_factor", packed, pivots, info, a)
    return packed, pivots, info


def permutation(pivots: Any, rows: int) -> Any:
    """int64 (..., rows): the row of the matrix that the exchanges bring to each row."""
    out = k.empty((*pivots.shape[:-1], rows), _C.int64)
    k.launch("lu_permutation", out, pivots)
    return out


def solve_factored(packed: Any, pivots: Any, b: Any) -> Any:
    """X of P L U X = B by kernels; B of the same batch."""
    order = permutation(pivots, packed.shape[-1])
    y = substitute(packed, take_rows(b, order), False, True)
    return substitute(packed, y, True, False)


def _solve(a: Any, b: Any) -> tuple[Any, Any]:
    """X of A X = B and info, computed in double precision."""
    batch = batch_of(a, b)
    packed, pivots, info = factor(a, _C.float64)
    spread = expanded(packed, batch)
    places = k.expand_to(pivots, (*batch, pivots.shape[-1]))
    return _C.cast(solve_factored(spread, places, doubled(expanded(b, batch))), b.dtype), info


def _is_vector(a: Any, b: Any) -> bool:
    """Whether B is a batch of vectors: one-dimensional, or of A's shape without its last dim."""
    return b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])


def _solve_backward(grad: Any, A: Any, result: Any, left: bool, B_size: Any) -> tuple[Any, Any]:
    vector = len(B_size) == 1 or tuple(B_size) == tuple(A.shape[:-1])
    grad_b = _solve_row(A.mT, grad, left=left)[0]
    g, x = (grad_b.unsqueeze(-1), result.unsqueeze(-1)) if vector else (grad_b, result)
    return (-(g @ x.mT) if left else -(x.mT @ g)), grad_b


@op(
    "linalg_solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> "
    "(Tensor result, Tensor info)",
    family="linalg",
    function=False,
    method=False,
    vjp={
        "A, B": lambda grad, A, B_size, result0, left: _solve_backward(
            grad, A, result0, left, B_size
        )
    },
)
def _solve_row(A: Any, B: Any, left: bool, check_errors: bool) -> Any:
    """X of A X = B (X A = B unless ``left``), and info (int32), not 0 where A is singular."""
    function = "linalg.solve"
    check_square(A, function)
    check_float(A, function)
    vector = _is_vector(A, B)
    if vector and not left:
        raise RuntimeError(
            f"{function}: Vector broadcasting of the left hand side is not supported for "
            "left=False. In this case linalg.solve is equivalent to B / A.squeeze(-1)"
        )
    b = B.unsqueeze(-1) if vector else B
    check_system(A, b, function, left)
    check_kernel(A, "lu_cpu")
    result, info = _solve(A, b) if left else _solve(transposed(A), transposed(b))
    if check_errors:
        raise_failures(info, "torch.linalg.solve_ex", _SINGULAR)
    if not left:
        result = transposed(result)
    return (result.squeeze(-1) if vector else result), info


@composite()
def linalg_solve_ex(
    A: Any,
    B: Any,
    *,
    left: bool = True,
    check_errors: bool = False,
) -> Any:
    """X of A X = B (or X A = B), and info: 0, or the place of a zero pivot."""
    solved = _solve_row(A, B, left=left, check_errors=check_errors)
    return return_type("linalg_solve_ex", ("result", "info"))(*solved)


@composite()
def linalg_solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """X of A X = B (or X A = B); raises LinAlgError for a singular matrix."""
    result, info = FUNCTIONS["linalg_solve_ex"](A, B, left=left)
    raise_failures(info, "torch.linalg.solve", _SINGULAR)
    return result


@op(
    "linalg_inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)",
    family="linalg",
    method=False,
    vjp={"A": lambda grad, result0: -(result0.mT @ (grad @ result0.mT))},
)
def linalg_inv_ex(A: Any, check_errors: bool) -> Any:
    """The inverse of each matrix, and info (int32), not 0 where it is singular."""
    check_square(A, "linalg.inv")
    check_float(A, "linalg.inv", low_precision=False)
    n = A.shape[-1]
    identity = FUNCTIONS["eye"](n, dtype=A.dtype)
    inverse, info = _solve(A, identity)
    if check_errors:
        raise_failures(info, "linalg.inv_ex", _ZERO_DIAGONAL)
    return inverse, info


@composite()
def linalg_inv(A: Any) -> Any:
    """The inverse; raises LinAlgError for a singular matrix."""
    inverse, info = FUNCTIONS["linalg_inv_ex"](A)
    raise_failures(info, "linalg.inv", _ZERO_DIAGONAL)
    return inverse


@composite(method=True)
def inverse(self: Any) -> Any:
    """linalg.inv."""
    return linalg_inv(self)


# ---- tensors as matrices -------------------------------------------------------------------------
@composite()
def linalg_tensorinv(self: Any, ind: int = 2) -> Any:
    """The inverse of the map that contracts the last dims of ``self``."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    front, back = tuple(self.shape[:ind]), tuple(self.shape[ind:])
    if k.numel(front) != k.numel(back):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {k.numel(back)} != {k.numel(front)}"
        )
    return linalg_inv(self.reshape((k.numel(front), k.numel(back)))).reshape((*back, *front))


@composite()
def linalg_tensorsolve(self: Any, other: Any, dims: Any = None) -> Any:
    """X with tensordot(self, X, X.ndim) = other."""
    a = self
    if dims is not None:
        moved = [d % a.ndim for d in dims]
        a = a.permute([d for d in range(a.ndim) if d not in moved] + moved)
    size = tuple(a.shape[other.ndim :])
    if k.numel(size) != k.numel(a.shape[: other.ndim]):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {k.numel(size)} != "
            f"{k.numel(a.shape[: other.ndim])}"
        )
    n = k.numel(size)
    return linalg_solve(a.reshape((n, n)), other.reshape((n,))).reshape(size)
