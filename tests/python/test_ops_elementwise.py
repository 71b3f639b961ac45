"""Pointwise operations against torch: one line a case."""

from __future__ import annotations

import pytest
from parity import check

UNARY = [
    *("abs", "neg", "sign", "sgn", "square", "exp", "exp2", "expm1", "sin", "cos", "tan", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "erf", "erfc", "sigmoid", "floor", "ceil", "trunc", "frac"),
    *("round", "sinc", "deg2rad", "rad2deg", "positive", "i0", "isnan", "isfinite", "signbit"),
]
POSITIVE = ["sqrt", "rsqrt", "reciprocal", "log", "log2", "log10", "log1p", "lgamma", "digamma"]
WITHIN_ONE = ["asin", "acos", "atanh", "erfinv"]
BINARY = [
    *("add", "sub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "atan2", "hypot"),
    *("copysign", "logaddexp", "logaddexp2", "fmod", "remainder"),
    *("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"),
]
ACTIVATIONS = [
    *("relu", "relu6", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "logsigmoid"),
    *("hardsigmoid", "hardswish", "hardtanh", "hardshrink", "softshrink", "tanhshrink"),
    *("softsign", "leaky_relu"),
]


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    check(f"torch.{name}(x(3, 4))")


@pytest.mark.parametrize("name", POSITIVE)
def test_positive(name: str) -> None:
    check(f"torch.{name}(x(3, 4, low=0.5, high=3))")


@pytest.mark.parametrize("name", WITHIN_ONE)
def test_within_one(name: str) -> None:
    check(f"torch.{name}(x(3, 4, low=-0.9, high=0.9))")


def test_acosh() -> None:
    check("torch.acosh(x(3, 4, low=1.5, high=3))")


@pytest.mark.parametrize("name", ["abs", "neg", "sign", "square", "exp", "sqrt", "sigmoid", "relu"])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "float16", "bfloat16", "float64"])
def test_unary_dtypes(name: str, dtype: str) -> None:
    make = (
        f"i(3, 4, dtype='{dtype}')"
        if "int" in dtype
        else f"c(3, 4, low=0.1, high=2, dtype='{dtype}')"
    )
    tolerance = {"float16": 1e-2, "bfloat16": 2e-2}.get(dtype, 1e-4)
    check(f"torch.{name}({make})", rtol=tolerance)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", [("3, 4", "3, 4"), ("3, 1", "4"), ("", "2, 3"), ("2, 0", "1")])
def test_binary(name: str, shapes: tuple[str, str]) -> None:
    left, right = (f"{s}, " if s else "" for s in shapes)
    check(f"torch.{name}(x({left}low=0.5, high=2), x({right}low=0.6, high=2))")


DTYPES = [
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "bool",
]


@pytest.mark.parametrize("left", DTYPES)
@pytest.mark.parametrize("right", [*DTYPES, "2", "2.5", "True"])
@pytest.mark.parametrize("operator", ["+", "*", "/", "=="])
def test_promotion(left: str, right: str, operator: str) -> None:
    make = "i(2, 3, low=1, high=5).to(torch.{})"
    other = right if right in ("2", "2.5", "True") else make.format(right)
    check(f"{make.format(left)} {operator} {other}", rtol=1e-2)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str) -> None:
    # torch has no second derivative of hardsigmoid.
    check(f"F.{name}(x(5, 7))", second=name != "hardsigmoid")


@pytest.mark.parametrize(
    "expression",
    [
        "F.gelu(x(4, 5), approximate='tanh')",
        "F.elu(x(4, 5), alpha=0.7)",
        "F.softplus(x(4, 5), beta=2, threshold=1)",
        "F.threshold(x(4, 5), 0.1, 3.0)",
        "F.prelu(x(2, 3, 4), x(3))",
        "F.prelu(x(2, 3, 4), x(1))",
        "torch.clamp(x(4, 5), -0.5, 0.5)",
        "torch.clamp(x(4, 5), min=0.1)",
        "torch.clamp(x(4, 5), max=0.1)",
        "torch.clamp(x(4, 5), c(4, 5), c(5) + 1)",
        "torch.clamp(i(4, 5), 1, 3)",
        "torch.where(b(3, 4), x(3, 4), x(4))",
        "torch.where(b(3, 4), 1.0, x(3, 4))",
        "torch.lerp(x(3), x(3), 0.3)",
        "torch.lerp(x(3), x(3), x(3))",
        "torch.addcmul(x(3, 4), x(4), x(3, 1), value=0.5)",
        "torch.addcdiv(x(3, 4), x(4), x(3, 1, low=1, high=2), value=0.5)",
        "torch.pow(x(3, 4, low=0.5, high=2), 3)",
        "torch.pow(x(3, 4, low=0.5, high=2), 2.5)",
        "torch.pow(x(3, 4, low=0.5, high=2), x(4))",
        "torch.pow(2.0, x(3, 4))",
        "i(3, 4) ** 2",
        "2 ** i(3, 4)",
        "x(3) ** 0",
        "torch.add(x(3), x(3), alpha=2.5)",
        "torch.sub(i(3), i(3), alpha=2)",
        "1 - x(3)",
        "2 / x(3, low=1, high=2)",
        "7 // i(3, low=1)",
        "-7 % i(3, low=1)",
        "i(4) & i(4), i(4) | 3, i(4) ^ i(4), ~i(4), i(4) << 2, i(4) >> 1",
        "b(4) & b(4), ~b(4), b(4) ^ b(4)",
        "torch.div(x(4), x(4, low=1, high=2), rounding_mode='floor')",
        "torch.div(i(4), i(4, low=1), rounding_mode='trunc')",
        "torch.floor_divide(c(3, 4, low=-9, high=9), c(4, low=0.5, high=2)), i(4) // i(4, low=1)",
        "torch.nan_to_num(torch.tensor([float('nan'), float('inf'), -float('inf'), 1.0]))",
        "torch.logit(x(4, low=0.1, high=0.9), eps=0.2)",
        "torch.xlogy(x(4), x(4, low=1, high=2))",
        "torch.round(x(4), decimals=1)",
        "torch.polygamma(1, x(4, low=1, high=2))",
        "torch.mvlgamma(x(4, low=3, high=5), 2)",
        "torch.heaviside(x(4).detach(), c(4))",
        "torch.gcd(i(4, low=1, high=30), i(4, low=1, high=30))",
        "torch.lcm(i(4, low=1), i(4, low=1))",
        "torch.nextafter(c(4), c(4))",
        "torch.frexp(c(4))",
        "torch.isclose(c(4), c(4) + 1e-9), torch.allclose(c(2), c(2))",
        "x(3, 4).t() + x(4, 3)",
        "x(3, 4).t() * 2",
        "x(2, 3, 4, 5).to(memory_format=torch.channels_last) + x(1, 3, 1, 1)",
        "x(4, 1).expand(4, 3) * x(3)",
        "x(6)[::2] + x(3)",
        "torch.maximum(x(3), x(3).flip(0))",
        "torch.special.erfcx(x(4)), torch.special.ndtri(c(4, low=0.1, high=0.9))",
        "torch.special.i1(x(4)), torch.special.i0e(x(4)), torch.special.i1e(x(4))",
        "torch.special.zeta(c(4, low=2, high=3), x(4, low=1, high=2))",
        "torch.special.log_ndtr(x(4)), torch.special.entr(c(4, low=0.1, high=1))",
        "torch.igamma(c(4, low=1, high=2), x(4, low=1, high=2))",
    ],
)
def test_case(expression: str) -> None:
    check(expression)
