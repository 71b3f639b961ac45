"""Special functions, orthogonal polynomials and windows against torch and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import torch as reference
from parity import assert_same_error, check

import wasm_torch as torch

POLYNOMIALS = [
    "chebyshev_polynomial_t",
    "chebyshev_polynomial_u",
    "chebyshev_polynomial_v",
    "chebyshev_polynomial_w",
    "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u",
    "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w",
    "hermite_polynomial_h",
    "hermite_polynomial_he",
    "laguerre_polynomial_l",
    "legendre_polynomial_p",
]


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomial(name: str) -> None:
    check(
        f"torch.special.{name}(c(30, low=-1, high=1, dtype='float64'), i(30, low=-1, high=9))",
        rtol=1e-9,
        atol=1e-9,
    )
    check(f"torch.special.{name}(c(3, 1), torch.arange(5)), torch.special.{name}(i(4), 3)")
    check(f"torch.special.{name}(torch.tensor([1.0, -1.0, 0.0]), torch.tensor([4, 5, 6]))")


#: wasm_torch's name, SciPy's, and whether it oscillates (then errors are relative to the envelope).
BESSEL = [
    ("bessel_y0", "y0", True),
    ("bessel_y1", "y1", True),
    ("modified_bessel_k0", "k0", False),
    ("modified_bessel_k1", "k1", False),
    ("scaled_modified_bessel_k0", "k0e", False),
    ("scaled_modified_bessel_k1", "k1e", False),
    ("modified_bessel_i0", "i0", False),
    ("modified_bessel_i1", "i1", False),
]


@pytest.mark.parametrize(("name", "other", "oscillates"), BESSEL)
def test_bessel_function_is_exact_to_double_precision(
    name: str, other: str, oscillates: bool
) -> None:
    x = np.concatenate([np.logspace(-8, 2.5, 3000), [1.9999, 2, 2.0001, 3.9999, 4, 4.0001]])
    actual = getattr(torch.special, name)(torch.from_numpy(x)).numpy()
    expected = getattr(scipy.special, other)(x)
    scale = np.abs(expected)
    if oscillates:
        scale = np.maximum(scale, np.sqrt(2 / np.pi / x))
    assert (np.abs(actual - expected) <= 1e-14 * scale).all()


@pytest.mark.parametrize("name", [row[0] for row in BESSEL] + ["spherical_bessel_j0", "airy_ai"])
def test_edges(name: str) -> None:
    values = "torch.tensor([0.0, -0.0, -1.0, float('nan'), 1e-30, 3.0, 80.0])"
    check(f"torch.special.{name}({values})")
    check(f"torch.special.{name}(i(4, low=1)), torch.special.{name}(c(0, 2))")


def test_airy_function_is_exact_to_double_precision() -> None:
    x = np.linspace(-30, 30, 6001)
    actual = torch.special.airy_ai(torch.from_numpy(x)).numpy()
    expected = scipy.special.airy(x)[0]
    envelope = np.where(x < 0, 0.6 / np.maximum(-x, 1) ** 0.25, np.abs(expected))
    assert (np.abs(actual - expected) <= 1e-13 * np.maximum(envelope, np.abs(expected))).all()


@pytest.mark.parametrize(
    "name",
    [
        "erf",
        "erfc",
        "erfinv",
        "expit",
        "gammaln",
        "digamma",
        "i0",
        "i0e",
        "i1",
        "i1e",
        "ndtr",
        "log_ndtr",
        "entr",
        "erfcx",
        "expm1",
        "log1p",
        "sinc",
        "bessel_j0",
        "bessel_j1",
    ],
)
def test_unary(name: str) -> None:
    check(f"torch.special.{name}(c(40, low=-0.9, high=0.9))")


WINDOWS = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("length", [0, 1, 2, 5, 8])
def test_window(name: str, length: int) -> None:
    for options in ("", ", sym=False", ", dtype=torch.float64"):
        check(f"torch.signal.windows.{name}({length}{options})", rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.signal.windows.general_cosine(6, a=[0.3, 0.5, 0.2]).requires_grad",
        "torch.signal.windows.general_cosine(6, a=(0.3, 0.5, 0.2), sym=False)",
        "torch.signal.windows.exponential(6, center=1, tau=2.0, sym=False)",
        "torch.signal.windows.kaiser(6, beta=0.0), torch.signal.windows.gaussian(6, std=3.0)",
    ],
)
def test_window_parameters(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.signal.windows.hann(-1)",
        "torch.signal.windows.gaussian(5, dtype=torch.int64)",
        "torch.signal.windows.exponential(5, tau=-1)",
        "torch.signal.windows.exponential(5, center=1)",
        "torch.signal.windows.gaussian(5, std=0)",
        "torch.signal.windows.kaiser(5, beta=-1)",
        "torch.signal.windows.general_cosine(5, a=3)",
        "torch.signal.windows.general_cosine(5, a=[])",
    ],
)
def test_window_errors(expression: str) -> None:
    assert_same_error(expression)


def test_every_name_of_torch_is_there() -> None:
    names = [n for n in dir(reference.special) if n[0] != "_" and n not in ("torch", "Tensor")]
    public = [n for n in names if callable(getattr(reference.special, n))]
    assert [n for n in public if not hasattr(torch.special, n)] == []
