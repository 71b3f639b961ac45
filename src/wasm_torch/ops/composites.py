"""Operations in terms of others: comparisons of whole tensors, statistics, small ones."""

from __future__ import annotations

import math
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite
from wasm_torch.return_types import return_type


# ---- comparing whole tensors ---------------------------------------------------------------------
@composite(method=True)
def isclose(
    self: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """|self - other| <= atol + rtol * |other|, element by element; equal infinities are close."""
    if self.dtype is not other.dtype:
        raise RuntimeError(f"{scalar_name(self.dtype)} did not match {scalar_name(other.dtype)}")
    if rtol < 0 or atol < 0:
        name, value = ("rtol", rtol) if rtol < 0 else ("atol", atol)
        raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value:g}")
    close = self == other
    if equal_nan and self.dtype.is_floating_point:
        close = close | (self.isnan() & other.isnan())
    if rtol == 0 and atol == 0:
        return close
    if not self.dtype.is_floating_point:
        self, other = self.double(), other.double()
    error = (self - other).abs()
    return close | (error.isfinite() & (error <= atol + (rtol * other).abs()))


@composite(method=True)
def allclose(
    self: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close."""
    return bool(isclose(self, other, rtol, atol, equal_nan).all().item())


@composite(method=True)
def equal(self: Any, other: Any) -> bool:
    """Whether shapes and all elements are equal."""
    if self.shape != other.shape:
        return False
    return bool((self == other).all().item()) if self.numel() else True


@composite(method=True)
def isreal(self: Any) -> Any:
    """True everywhere: nothing is complex."""
    return FUNCTIONS["ones_like"](self, dtype=_C.bool)


_where_three = FUNCTIONS["where"]


def where_lazily(condition: Any, *args: Any, **kwargs: Any) -> Any:
    """Elements of one tensor or the other; with the condition alone, its nonzero positions."""
    if not args and not kwargs:
        return FUNCTIONS["nonzero"](condition, as_tuple=True)
    if "input" in kwargs:
        kwargs["self"] = kwargs.pop("input")
    return _where_three(condition, *args, **kwargs)


def _where_method(self: Any, condition: Any, other: Any) -> Any:
    """This tensor where the condition holds, else ``other``."""
    return _where_three(condition, self, other)


FUNCTIONS["where"], METHODS["where"] = where_lazily, _where_method


# ---- statistics ----------------------------------------------------------------------------------
@composite(method=True)
def cov(self: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """The covariance matrix of variables (rows) over observations (columns)."""
    if self.ndim > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{self.ndim} dimensions"
        )
    x = self.reshape(1, -1) if self.ndim < 2 else self
    x = x if x.dtype.is_floating_point else x.to(_C.get_default_dtype())
    weights = None
    if fweights is not None:
        weights = fweights
    if aweights is not None:
        weights = aweights if weights is None else weights * aweights
    if weights is None:
        total: Any = x.shape[1]
        mean = x.mean(1, True)
    else:
        total = weights.sum()
        mean = (x * weights).sum(1, True) / total
    if aweights is not None and correction != 0:
        freedom = total - correction * (weights * aweights).sum() / total
    else:
        freedom = total - correction
    centre = x - mean
    scaled = centre if weights is None else centre * weights
    freedom = freedom.clamp(min=0) if isinstance(freedom, _C.TensorBase) else max(freedom, 0)
    product = scaled.mm(centre.t())
    if isinstance(freedom, _C.TensorBase):
        result = product / freedom
    else:
        result = product / FUNCTIONS["tensor"](float(freedom), dtype=x.dtype)
    return result.squeeze()


@composite(method=True)
def corrcoef(self: Any) -> Any:
    """The matrix of correlation coefficients of variables (rows)."""
    if self.ndim > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{self.ndim} dimensions"
        )
    matrix = FUNCTIONS["cov"](self)
    if matrix.ndim == 0:
        return matrix / matrix
    deviations = matrix.diagonal().sqrt()
    return (matrix / deviations.unsqueeze(1) / deviations.unsqueeze(0)).clamp(-1, 1)


# ---- small ones ----------------------------------------------------------------------------------
@composite(method=True)
def sum_to_size(self: Any, *size: Any) -> Any:
    """Sums over the dims in which ``size`` is 1 or missing."""
    from wasm_torch.autograd.engine import sum_to_size as run

    return run(self, tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size)


@composite(method=True)
def frexp(self: Any) -> Any:
    """Mantissas in [0.5, 1) and exponents such that self = mantissa * 2 ** exponent."""
    magnitude = self.abs()
    safe = FUNCTIONS["where"]((magnitude == 0) | magnitude.isfinite().logical_not(), 1.0, magnitude)
    exponent = safe.detach().double().log2().floor() + 1
    mantissa = safe.double() / FUNCTIONS["exp2"](exponent)
    high = mantissa >= 1
    exponent = FUNCTIONS["where"](high, exponent + 1, exponent)
    special = (magnitude == 0) | magnitude.isfinite().logical_not()
    exponent = FUNCTIONS["where"](special, 0.0, exponent)
    return _FREXP(self / FUNCTIONS["exp2"](exponent).to(self.dtype), exponent.int())


_FREXP = return_type("frexp", ("mantissa", "exponent"))


@composite(method=True, inplace=True)
def mvlgamma(self: Any, p: int) -> Any:
    """The multivariate log-gamma function. Source: DLMF 35.3.4."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    x = self if self.dtype.is_floating_point else self.to(_C.get_default_dtype())
    offsets = FUNCTIONS["arange"](0, p, dtype=x.dtype) * -0.5
    total = (x.unsqueeze(-1) + offsets).lgamma().sum(-1)
    return total + p * (p - 1) / 4 * math.log(math.pi)


@composite()
def special_multigammaln(self: Any, p: int) -> Any:
    """mvlgamma."""
    return FUNCTIONS["mvlgamma"](self, p)


@composite(function=True)
def special_entr(self: Any) -> Any:
    """-x log(x), 0 at 0 and -inf below."""
    x = self if self.dtype.is_floating_point else self.to(_C.get_default_dtype())
    inner = FUNCTIONS["where"](x > 0, -x * x.log(), FUNCTIONS["where"](x == 0, 0.0, -math.inf))
    return FUNCTIONS["where"](x.isnan(), x, inner)


@composite()
def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Coordinates of flat indices in an array of this shape."""
    sizes = [shape] if isinstance(shape, int) else list(shape)
    results = []
    for length in reversed(sizes):
        results.append(indices % length)
        indices = indices // length
    return tuple(reversed(results))


@composite()
def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that shapes broadcast to."""
    return _C.broadcast_shapes(*[(s,) if isinstance(s, int) else tuple(s) for s in shapes])


@composite(method=True)
def angle(self: Any) -> Any:
    """pi for negative numbers, 0 for others, NaN for NaN."""
    x = self if self.dtype.is_floating_point else self.to(_C.get_default_dtype())
    plain = FUNCTIONS["where"](x < 0, math.pi, x * 0)
    return FUNCTIONS["where"](x.isnan(), x, plain)


@composite()
def real(self: Any) -> Any:
    """The tensor itself."""
    return self


# ---- copies of views -----------------------------------------------------------------------------
def _copying(name: str, view: Any) -> None:
    """``<name>_copy``: the view's elements in memory of their own."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = view(self, *args, **kwargs)
        if isinstance(result, tuple):
            return tuple(t.clone() for t in result)
        return result.clone()

    call.__name__ = f"{name}_copy"
    call.__doc__ = f"{name} with memory of its own."
    composite()(call)


for _name in (
    "alias",
    "as_strided",
    "detach",
    "diagonal",
    "expand",
    "narrow",
    "permute",
    "select",
    "split",
    "split_with_sizes",
    "squeeze",
    "t",
    "transpose",
    "unbind",
    "unfold",
    "unsqueeze",
    "view",
):
    _copying(_name, METHODS.get(_name) or FUNCTIONS[_name])

METHODS["narrow_copy"] = FUNCTIONS["narrow_copy"]


@composite(method=True)
def unsafe_split(self: Any, split_size: int, dim: int = 0) -> Any:
    """split; autograd does not track in-place changes of the pieces in torch."""
    return FUNCTIONS["split"](self, split_size, dim)


@composite(method=True)
def unsafe_split_with_sizes(self: Any, split_sizes: Any, dim: int = 0) -> Any:
    """split_with_sizes; autograd does not track in-place changes of the pieces in torch."""
    return FUNCTIONS["split_with_sizes"](self, split_sizes, dim)


@composite(method=True)
def unsafe_chunk(self: Any, chunks: int, dim: int = 0) -> Any:
    """chunk; autograd does not track in-place changes of the pieces in torch."""
    return FUNCTIONS["chunk"](self, chunks, dim)
