"""Linear algebra against torch: one line a case. Vectors whose sign is free are compared by what
does not depend on it."""

from __future__ import annotations

import pytest
import torch as reference
from parity import assert_same_error, check

import wasm_torch as torch

CASES = [
    # solvers and inverses
    "torch.linalg.solve(x(3, 3), x(3, 2)), torch.linalg.solve(x(2, 3, 3), x(2, 3))",
    "torch.linalg.solve(x(3, 3), x(3)), torch.linalg.solve(x(3, 3), x(2, 3), left=False)",
    "torch.linalg.solve(x(2, 1, 3, 3), x(4, 3, 2)), torch.linalg.solve_ex(x(3, 3), x(3, 2))",
    "torch.linalg.inv(x(2, 3, 3)), torch.linalg.inv_ex(x(3, 3)), torch.inverse(x(3, 3).mT)",
    "torch.linalg.solve_triangular(x(3, 3), x(3, 2), upper=True)",
    "torch.linalg.solve_triangular(x(2, 1, 3, 3), x(4, 2, 3), upper=False, left=False)",
    "torch.linalg.solve_triangular(x(3, 3), x(3, 2).mT.mT, upper=False, unitriangular=True)",
    "torch.triangular_solve(x(3, 2), x(3, 3)), torch.triangular_solve(c(3, 2), c(3, 3), False)",
    "torch.linalg.tensorinv(x(4, 6, 8, 3)), torch.linalg.tensorsolve(x(2, 3, 6), x(2, 3))",
    # LU
    "torch.linalg.lu(x(3, 3)), torch.linalg.lu(x(2, 5, 3)), torch.linalg.lu(x(3, 5))",
    "torch.linalg.lu_factor(x(4, 4)), torch.linalg.lu_factor_ex(x(2, 3, 3)), torch.lu(x(3, 3))",
    "torch.linalg.lu_solve(*torch.linalg.lu_factor(x(2, 3, 3)), x(2, 3, 2))",
    "torch.linalg.lu_solve(*torch.linalg.lu_factor(x(3, 3)), x(2, 3, 3), left=False)",
    "torch.linalg.lu_solve(*torch.linalg.lu_factor(x(3, 3)), x(3, 2), adjoint=True)",
    "torch.lu_unpack(*torch.linalg.lu_factor(x(4, 3))), torch.lu_solve(c(3, 2), *c(3, 3).lu())",
    # determinants
    "torch.linalg.det(x(3, 3)), torch.det(x(2, 4, 4)), torch.linalg.det(x(0, 0))",
    "torch.linalg.slogdet(x(2, 3, 3)), torch.logdet(x(3, 3) @ torch.diag(c(3)))",
    # Cholesky
    "torch.linalg.cholesky((lambda a: a @ a.mT + torch.eye(3))(x(2, 3, 3)))",
    "torch.linalg.cholesky_ex(torch.eye(3) + 0.1 * x(2, 3, 3), upper=True)",
    "torch.cholesky_solve(x(3, 2), x(3, 3).tril()), torch.cholesky_inverse(x(3, 3).triu(), True)",
    # QR
    "torch.linalg.qr(x(4, 3)), torch.linalg.qr(x(2, 3, 5)), torch.linalg.qr(x(3, 3))",
    "torch.linalg.qr(c(5, 2), 'complete'), torch.linalg.qr(c(5, 2), 'r'), torch.geqrf(c(4, 3))",
    "torch.linalg.householder_product(x(4, 3), x(3)), torch.ormqr(x(4, 2), x(2), x(4, 3))",
    "torch.ormqr(c(4, 2), c(2), c(3, 4), left=False, transpose=True)",
    # eigenvalues and singular values
    "torch.linalg.eigvalsh(x(4, 4)), torch.linalg.eigvalsh(x(2, 3, 3), UPLO='U')",
    "(lambda l, v: (l, v.abs(), v @ torch.diag(l.sin()) @ v.mT))(*torch.linalg.eigh("
    "(lambda a: a + a.mT)(x(4, 4, dtype='float64'))))",
    "torch.linalg.svdvals(x(4, 3)), torch.linalg.svdvals(x(2, 3, 5))",
    "(lambda u, s, v: (s, u.abs(), v.abs(), u * s.cos() @ v))(*torch.linalg.svd("
    "x(5, 3, dtype='float64'), full_matrices=False))",
    "(lambda u, s, v: (s, u.abs(), v.abs()))(*torch.svd(x(3, 4, dtype='float64')))",
    "[t.shape for t in torch.linalg.svd(c(2, 5, 3))], torch.svd(c(3, 2), compute_uv=False)",
    "torch.linalg.pinv(x(4, 3, dtype='float64')), torch.linalg.pinv(c(3, 5), atol=1.5)",
    "torch.linalg.pinv((lambda a: a + a.mT)(x(4, 4, dtype='float64')), hermitian=True)",
    "torch.linalg.matrix_rank(torch.diag(torch.tensor([3.0, 1e-9, 2.0]))), torch.pinverse(c(2, 3))",
    "torch.linalg.matrix_rank(torch.ones(2, 3, 3)), torch.linalg.matrix_rank(torch.zeros(0, 3))",
    # least squares
    "torch.linalg.lstsq(x(5, 3), x(5, 2))[0], torch.linalg.lstsq(c(3, 5), c(3, 2))[0]",
    "torch.linalg.lstsq(c(2, 5, 3), c(2, 5, 1), driver='gelsd')",
    "torch.linalg.lstsq(c(4, 2), c(4, 1)), torch.linalg.lstsq(torch.ones(3, 2), c(3))",
    # LDL
    "torch.linalg.ldl_factor(c(5, 5).mT @ torch.eye(5)), torch.linalg.ldl_factor_ex(c(2, 4, 4))",
    "torch.linalg.ldl_solve(*torch.linalg.ldl_factor(c(5, 5)), c(5, 2))",
    # norms
    "[torch.linalg.matrix_norm(x(3, 4), p) for p in ('fro', 'nuc', 1, -1, 2, -2, float('inf'))]",
    "torch.linalg.matrix_norm(x(2, 3, 4), 1, dim=(0, 2), keepdim=True), torch.norm(x(3, 4), 'nuc')",
    "torch.linalg.norm(x(3, 4)), torch.linalg.norm(x(3, 4), 2), torch.linalg.norm(x(5), 3)",
    "torch.linalg.norm(x(2, 3, 4), dim=1), torch.linalg.norm(x(2, 3, 4), 'fro', dim=(0, 1))",
    "[torch.linalg.cond(x(3, 3), p) for p in (None, 2, -2)]",
    "[torch.linalg.cond(c(3, 3), p) for p in ('fro', 'nuc', 1, -1, float('inf'))]",
    "torch.linalg.cond(torch.zeros(2, 2), 1), torch.linalg.cond(torch.ones(2, 2, 2), 'fro')",
    # products
    "torch.linalg.matrix_power(x(3, 3), 5), torch.matrix_power(x(2, 3, 3), -2)",
    "torch.linalg.matrix_power(x(3, 3), 0), torch.linalg.matrix_power(x(3, 3), 1)",
    "torch.matrix_exp(x(3, 3)), torch.linalg.matrix_exp(5 * x(2, 3, 3)), torch.matrix_exp(c(0, 0))",
    "torch.linalg.multi_dot([x(3), x(3, 4), x(4, 2), x(2)]), torch.chain_matmul(x(2, 3), x(3, 2))",
    "torch.linalg.vecdot(x(2, 3), x(3)), torch.linalg.vecdot(x(2, 3), x(2, 3), dim=0)",
    "torch.linalg.cross(x(2, 3), x(2, 3)), torch.linalg.vander(x(2, 3), N=4)",
    "torch.linalg.matmul(x(2, 3), x(3, 2)), torch.linalg.diagonal(x(2, 3, 4), offset=1)",
    "torch.histogramdd(c(30, 2), [3, 4])",
    "torch.histogramdd(c(30, 2), 2, weight=c(30), density=True)",
]


@pytest.mark.parametrize("expression", CASES)
def test_case(expression: str) -> None:
    # Second gradients lose half the digits in float32, where torch's intermediate results are.
    check(expression, strides=False, second="float64" in expression, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.linalg.det(torch.outer(x(3), x(3)))",
        "torch.linalg.det(torch.diag(x(3)) * torch.tensor([1.0, 0.0, 1.0]))",
        "torch.linalg.det(torch.zeros(3, 3) * x(3, 3))",
        "torch.linalg.solve(x(4, 4, dtype='float64'), x(4, 2, dtype='float64'))",
        "torch.linalg.inv(x(4, 4, dtype='float64')).sin()",
        "torch.linalg.qr(x(4, 3, dtype='float64')).R.square()",
        "torch.linalg.lu_factor(x(4, 4, dtype='float64')).LU",
        "torch.linalg.cholesky((lambda a: a @ a.mT)(x(3, 4, dtype='float64')))",
        "torch.linalg.slogdet(x(4, 4, dtype='float64')).logabsdet",
    ],
)
def test_gradients_of_special_matrices(expression: str) -> None:
    check(expression, strides=False, second="float64" in expression, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "function",
    [
        "inv",
        "det",
        "slogdet",
        "cholesky",
        "eigh",
        "matrix_exp",
        "inv_ex",
        "lu_factor",
        "qr",
        "svd",
        "svdvals",
        "pinv",
        "matrix_rank",
        "matrix_norm",
        "ldl_factor",
        "eigvalsh",
    ],
)
@pytest.mark.parametrize(
    "argument",
    [
        "torch.ones(3)",
        "torch.ones(2, 3).long()",
        "torch.ones(3, 3).long()",
        "torch.ones(3, 3).half()",
        "torch.zeros(2, 3, 3)",
        "torch.ones(2, 3)",
        "torch.full((2, 2), float('nan'))",
    ],
)
def test_errors(function: str, argument: str) -> None:
    expression = f"torch.linalg.{function}({argument})"
    try:
        eval(expression, {"torch": reference})
    except Exception as error:
        if "INTERNAL ASSERT" not in str(error) and "error code" not in str(error):
            assert_same_error(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.linalg.solve(torch.zeros(3, 3), torch.ones(3))",
        "torch.linalg.solve(torch.ones(2, 3), torch.ones(3))",
        "torch.linalg.solve(torch.ones(3, 3), torch.ones(4, 1))",
        "torch.linalg.solve(torch.ones(3, 3), torch.ones(3).double())",
        "torch.linalg.solve_triangular(torch.ones(3, 3), torch.ones(4, 1), upper=True, left=False)",
        "torch.linalg.lu_factor(torch.ones(3, 3), pivot=False)",
        "torch.linalg.lu_solve(torch.ones(3, 3), torch.ones(3), torch.ones(3, 1))",
        "torch.linalg.lu_solve(torch.ones(3, 3), torch.ones(3).int() * 9, torch.ones(3, 1))",
        "torch.lu_unpack(torch.ones(3, 3), torch.ones(3))",
        "torch.linalg.qr(torch.ones(3, 3), 'x')",
        "torch.linalg.eigh(torch.ones(3, 3), 'x')",
        "torch.linalg.matrix_norm(torch.ones(3, 3), 'x')",
        "torch.linalg.matrix_norm(torch.ones(3, 3), 3)",
        "torch.linalg.matrix_norm(torch.ones(3, 3), 2, dim=(0, 0))",
        "torch.linalg.norm(torch.ones(3, 3, 3), 2)",
        "torch.linalg.norm(torch.ones(3, 3, 3), 2, dim=(0, 1, 2))",
        "torch.linalg.cond(torch.ones(3, 3), 3)",
        "torch.linalg.cond(torch.ones(2, 3), 1)",
        "torch.linalg.multi_dot([torch.ones(3)])",
        "torch.linalg.multi_dot([torch.ones(3, 2), torch.ones(3, 2)])",
        "torch.linalg.householder_product(torch.ones(2, 3), torch.ones(2))",
        "torch.linalg.lstsq(torch.ones(3, 2), torch.ones(3, 1), driver='x')",
        "torch.linalg.tensorinv(torch.ones(3, 2))",
        "torch.linalg.vecdot(torch.ones(3), torch.ones(3).double())",
        "torch.linalg.vander(torch.ones(3), N=1)",
        "torch.ormqr(torch.ones(3, 2), torch.ones(2), torch.ones(2, 2))",
        "torch.cholesky_inverse(torch.zeros(2, 2))",
        "torch.linalg.qr(x(4, 2), 'complete')[0].sum().backward()",
        "torch.linalg.qr(x(4, 2), 'r')[1].sum().backward()",
        "torch.histogramdd(torch.ones(3, 2), [2])",
        "torch.histogramdd(torch.ones(3, 2), 2, range=[1.0, 0.0, 0.0, 1.0])",
    ],
)
def test_more_errors(expression: str) -> None:
    assert_same_error(expression)


@pytest.mark.parametrize("size", [(6, 6), (40, 7), (7, 40), (3, 1), (1, 3), (0, 3)])
@pytest.mark.parametrize("rank", [0, 1, 5])
def test_singular_values_of_deficient_matrices(size: tuple[int, int], rank: int) -> None:
    torch.manual_seed(0)
    rows, columns = size
    matrix = torch.randn(rows, rank).double() @ torch.randn(rank, columns).double()
    u, s, vh = torch.linalg.svd(matrix)
    count = min(size)
    torch.testing.assert_close(u[:, :count] * s @ vh[:count], matrix)
    torch.testing.assert_close(u.mT @ u, torch.eye(rows).double())
    torch.testing.assert_close(vh @ vh.mT, torch.eye(columns).double())
    assert s.tolist() == sorted(s.tolist(), reverse=True)
    assert int(torch.linalg.matrix_rank(matrix)) == min(rank, count)


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_extreme_scales(scale: float) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(5, 5).double()
    torch.testing.assert_close(
        torch.linalg.svdvals(matrix * scale) / scale, torch.linalg.svdvals(matrix)
    )
    q, r = torch.linalg.qr(matrix * scale)
    torch.testing.assert_close(q @ r / scale, matrix)


def test_low_rank_decompositions_recover_a_matrix_of_low_rank() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(30, 4) @ torch.randn(4, 20)
    for decompose in (torch.svd_lowrank, lambda a: torch.pca_lowrank(a, center=False)):
        for a in (matrix, matrix.mT):
            u, s, v = decompose(a)
            torch.testing.assert_close(u * s @ v.mT, a, rtol=1e-4, atol=1e-3)


def test_error_type() -> None:
    with pytest.raises(torch.linalg.LinAlgError):
        torch.linalg.inv(torch.zeros(2, 2))
    assert issubclass(torch.linalg.LinAlgError, RuntimeError)
