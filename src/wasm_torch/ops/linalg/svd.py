"""Singular values and vectors, and what is made of them."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS, composite, op
from wasm_torch.ops.linalg._operands import (
    LinAlgError,
    check_float,
    check_kernel,
    check_matrix,
    check_square,
    diagonal_matrix,
    doubled,
)
from wasm_torch.return_types import return_type


def _skew(a: Any) -> Any:
    return a - a.mT


def _svd_backward(grads: Any, u: Any, s: Any, vh: Any) -> Any:
    """The gradient of A = U S V^T (Townsend, Differentiating the singular value decomposition,
    2016); of full matrices only the first K vectors take part."""
    if all(g is None for g in grads):
        return None
    count = s.shape[-1]
    u, vh = u[..., :count], vh[..., :count, :]
    inner = 0 if grads[1] is None else diagonal_matrix(grads[1])
    squares = s * s
    identity = FUNCTIONS["eye"](count, dtype=s.dtype)
    gaps = squares.unsqueeze(-2) - squares.unsqueeze(-1) + identity
    result = 0
    if grads[0] is not None:
        g = grads[0][..., :count]
        inner = inner + _skew(u.mT @ g) / gaps * s.unsqueeze(-2)
        if u.shape[-2] > count:
            scaled = g / s.unsqueeze(-2)
            result = result + (scaled - u @ (u.mT @ scaled)) @ vh
    if grads[2] is not None:
        g = grads[2][..., :count, :]
        inner = inner + s.unsqueeze(-1) * (_skew(vh @ g.mT) / gaps)
        if vh.shape[-1] > count:
            scaled = g / s.unsqueeze(-1)
            result = result + u @ (scaled - (scaled @ vh.mT) @ vh)
    return result + u @ inner @ vh


def _decompose(a: Any, full: bool, wants_vectors: bool, dtype: Any) -> tuple[Any, Any, Any]:
    batch, (rows, columns) = tuple(a.shape[:-2]), a.shape[-2:]
    least = min(rows, columns)
    s = k.empty((*batch, least), dtype)
    u = vh = None
    if wants_vectors:
        u = k.empty((*batch, rows, rows if full else least), dtype)
        vh = k.empty((*batch, columns if full else least, columns), dtype)
    info = k.empty(batch, _C.int32)
    k.launch("svd", u, s, vh, info, a)
    _raise_failures(info)
    return u, s, vh


def _raise_failures(info: Any) -> None:
    if info.numel() == 0 or not bool(info.any()):
        return
    if bool((info < 0).any()):
        raise LinAlgError(
            "linalg.svd: The algorithm failed to converge because the input matrix contained "
            "non-finite values."
        )
    raise LinAlgError(
        "linalg.svd: The algorithm failed to converge because the input matrix is ill-conditioned "
        "or has too many repeated singular values (error code: 1)."
    )


def _check_svd(a: Any, driver: Any) -> None:
    check_float(a, "linalg.svd")
    check_matrix(a, "linalg.svd")
    check_kernel(a, "linalg_svd_cpu")
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with "
            "cuSOLVER backend."
        )


@op(
    "linalg_svd(Tensor A, bool full_matrices=True, *, str? driver=None) -> "
    "(Tensor U, Tensor S, Tensor Vh)",
    family="linalg",
    method=False,
    vjp={
        "A": lambda grads, result0, result1, result2: _svd_backward(
            grads, result0, result1, result2
        )
    },
)
def linalg_svd(A: Any, full_matrices: bool, driver: Any) -> Any:
    """U, S and Vh with A = U diag(S) Vh, the singular values S descending; without
    ``full_matrices`` min(M, N) columns of U and rows of Vh.
    """
    _check_svd(A, driver)
    return _decompose(A, full_matrices, True, A.dtype)


@composite()
def linalg_svdvals(A: Any, *, driver: Any = None) -> Any:
    """Singular values, descending."""
    if _C.grad_enabled() and A.requires_grad:
        return FUNCTIONS["linalg_svd"](A, False, driver=driver).S
    _check_svd(A, driver)
    return _decompose(A, False, False, A.dtype)[1]


@composite(method=True)
def svd(self: Any, some: bool = True, compute_uv: bool = True) -> Any:
    """U, S and V (not transposed) with A = U S V^T."""
    if self.ndim < 2:
        raise RuntimeError(
            f"linalg.svd: input should have at least 2 dimensions, but has {self.ndim} dimensions "
            "instead"
        )
    made = return_type("svd", ("U", "S", "V"))
    if compute_uv:
        u, s, vh = FUNCTIONS["linalg_svd"](self, not some)
        return made(u, s, vh.mT)
    batch, (rows, columns) = tuple(self.shape[:-2]), self.shape[-2:]
    zeros = FUNCTIONS["zeros"]
    return made(
        zeros((*batch, rows, rows), dtype=self.dtype),
        linalg_svdvals(self),
        zeros((*batch, columns, columns), dtype=self.dtype),
    )


# ---- pseudo-inverse and rank ---------------------------------------------------------------------
def _pinv_backward(grad: Any, a: Any, p: Any) -> Any:
    """dP = -P dA P + P P^T dA^T (I - A P) + (I - P A) dA^T P^T P (Golub & Pereyra, 1973)."""
    left = grad.mT @ p @ p.mT
    right = p.mT @ p @ grad.mT
    return -(p.mT @ grad @ p.mT) + (left - a @ (p @ left)) + (right - (right @ p) @ a)


def cutoff(largest: Any, size: Any, dtype: Any, atol: Any, rtol: Any) -> Any:
    """max(atol, rtol * largest); rtol is max(M, N) * eps unless a tolerance is given."""
    if rtol is None:
        default = max(size[-2:]) * _epsilon(dtype)
        if isinstance(atol, _C.TensorBase):
            rtol = FUNCTIONS["where"](atol > 0, 0.0, default)
        else:
            rtol = default if not atol else 0.0
    relative = largest * rtol
    if isinstance(atol, _C.TensorBase):
        return relative.maximum(atol.to(relative.dtype))
    return relative if not atol else relative.clamp(min=float(atol))


def _epsilon(dtype: Any) -> float:
    return 2.0**-52 if dtype is _C.float64 else 2.0**-23


def pseudo_inverse(a: Any, atol: Any, rtol: Any, hermitian: bool) -> Any:
    """The pseudo-inverse (double precision) without history."""
    if hermitian:
        check_square(a, "linalg.eigh")
        values, vectors = FUNCTIONS["linalg_eigh"](doubled(a))
        u, s, vh = vectors, values, vectors.mT
    else:
        u, s, vh = _decompose(a, False, True, _C.float64)
    magnitude = s.abs()
    if s.shape[-1] == 0:
        return FUNCTIONS["zeros"]((*a.shape[:-2], a.shape[-1], a.shape[-2]), dtype=_C.float64)
    limit = cutoff(magnitude.amax(-1), a.shape, a.dtype, atol, rtol).unsqueeze(-1)
    inverse = FUNCTIONS["where"](magnitude > limit, 1 / s, 0.0)
    return (vh.mT * inverse.unsqueeze(-2)) @ u.mT


@op(
    "linalg_pinv(Tensor self, *, Tensor? atol=None, Tensor? rtol=None, bool hermitian=False) -> "
    "Tensor",
    family="linalg",
    function=False,
    method=False,
    wrapped_numbers=True,
    vjp={"self": lambda grad, self, result: _pinv_backward(grad, self, result)},
)
def _pinv(self: Any, atol: Any, rtol: Any, hermitian: bool) -> Any:
    """The pseudo-inverse of each matrix."""
    return _C.cast(pseudo_inverse(self, atol, rtol, hermitian), self.dtype)


@composite()
def linalg_pinv(
    self: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Any:
    """The pseudo-inverse; singular values up to max(atol, rtol * the largest) count as zero."""
    if self.ndim < 2 or (self.dtype is not _C.float32 and self.dtype is not _C.float64):
        raise RuntimeError(
            f"linalg.pinv({scalar_name(self.dtype)}{{{list(self.shape)}}}): expected a tensor "
            "with 2 or more dimensions of float, double, cfloat or cdouble types"
        )
    if rcond is not None:
        atol, rtol = 0.0, rcond
    return _pinv(self, atol=atol, rtol=rtol, hermitian=hermitian)


@composite(method=True)
def pinverse(self: Any, rcond: float = 1e-15) -> Any:
    """linalg.pinv with a relative tolerance."""
    return linalg_pinv(self, rcond)


@composite()
def linalg_matrix_rank(
    input: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Any:
    """The number of singular values above max(atol, rtol * the largest)."""
    check_matrix(input, "torch.linalg.matrix_rank", "input")
    if input.dtype is not _C.float32 and input.dtype is not _C.float64:
        raise RuntimeError("This function doesn't handle types other than float and double")
    if tol is not None:
        atol, rtol = tol, 0.0
    a = input.detach()
    s = _eigenvalue_magnitudes(a) if hermitian else _decompose(a, False, False, _C.float64)[1]
    if s.shape[-1] == 0:
        return FUNCTIONS["zeros"](tuple(a.shape[:-2]), dtype=_C.int64)
    limit = cutoff(s.amax(-1), a.shape, a.dtype, atol, rtol).unsqueeze(-1)
    return (s > limit).sum(-1)


def _eigenvalue_magnitudes(a: Any) -> Any:
    """Absolute eigenvalues (double precision) of symmetric matrices."""
    return FUNCTIONS["linalg_eigvalsh"](doubled(a)).abs()
