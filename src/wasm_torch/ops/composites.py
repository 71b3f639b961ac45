"""Operations written in terms of others: comparisons of whole tensors, distances, differences."""

from __future__ import annotations

import itertools
import math
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite, op, scalar_name
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


def _where(condition: Any, *args: Any, **kwargs: Any) -> Any:
    """Elements of one tensor or the other; with the condition alone, its nonzero positions."""
    if not args and not kwargs:
        return FUNCTIONS["nonzero"](condition, as_tuple=True)
    if "input" in kwargs:
        kwargs["self"] = kwargs.pop("input")
    return _where_three(condition, *args, **kwargs)


def _where_method(self: Any, condition: Any, other: Any) -> Any:
    """This tensor where the condition holds, else ``other``."""
    return _where_three(condition, self, other)


FUNCTIONS["where"], METHODS["where"] = _where, _where_method


# ---- differences and integrals -------------------------------------------------------------------
@composite(method=True)
def diff(self: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The n-th difference of neighbours along ``dim``."""
    if self.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0:
        return self.clone()
    parts = [t for t in (prepend, self, append) if t is not None]
    result = FUNCTIONS["cat"](parts, dim) if len(parts) > 1 else self
    at = k.wrap_dim(dim, result.ndim)
    for _ in range(min(n, result.shape[at])):
        length = result.shape[at] - 1
        if length < 0:
            break
        after, before = result.narrow(at, 1, length), result.narrow(at, 0, length)
        result = after ^ before if result.dtype is _C.bool else after - before
    return result


def _spacing(y: Any, x: Any, dx: Any, dim: int) -> Any:
    if x is None:
        return dx
    if x.ndim == 1:
        shape = [1] * y.ndim
        shape[dim] = x.shape[0]
        x = x.reshape(tuple(shape))
    elif x.ndim < y.ndim:
        x = x.reshape((1,) * (y.ndim - x.ndim) + tuple(x.shape))
    length = x.shape[dim]
    return x.narrow(dim, 1, length - 1) - x.narrow(dim, 0, length - 1)


def _pairs(y: Any, x: Any, dx: Any, dim: int) -> tuple[Any, int]:
    at = k.wrap_dim(dim, y.ndim)
    length = y.shape[at]
    sums = y.narrow(at, 1, length - 1) + y.narrow(at, 0, length - 1)
    return sums * _spacing(y, x, dx, at) / 2, at


@composite()
def trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """The integral along ``dim`` by the trapezoidal rule."""
    at = k.wrap_dim(dim, y.ndim)
    if y.shape[at] == 0:
        size = [s for d, s in enumerate(y.shape) if d != at]
        return FUNCTIONS["zeros"](tuple(size), dtype=y.dtype)
    if x is None:
        pieces, at = _pairs(y, None, 1.0, dim)
        return pieces.sum(at) * dx
    pieces, at = _pairs(y, x, dx, dim)
    return pieces.sum(at)


@composite()
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """The running integral along ``dim`` by the trapezoidal rule."""
    pieces, at = _pairs(y, x, dx, dim)
    return pieces.cumsum(at)


FUNCTIONS["trapz"] = FUNCTIONS["trapezoid"]


@composite()
def gradient(
    input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Any, ...]:
    """Central differences along each dim, one-sided at the edges (of order ``edge_order``)."""
    dims = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = [k.wrap_dim(d, input.ndim) for d in dims]
    if spacing is None:
        spacing = 1
    spacings = spacing if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if not input.dtype.is_floating_point:
        input = input.to(_C.get_default_dtype())
    return tuple(
        _gradient_along(input, d, s, edge_order) for d, s in zip(dims, spacings, strict=True)
    )


def _gradient_along(x: Any, dim: int, spacing: Any, edge_order: int) -> Any:
    length = x.shape[dim]
    if length < edge_order + 1:
        raise RuntimeError(
            "torch.gradient expected each dimension size to be at least edge_order+1"
        )

    def at(start: int, count: int) -> Any:
        return x.narrow(dim, start, count)

    if not isinstance(spacing, _C.TensorBase):
        h = float(spacing)
        inner = (at(2, length - 2) - at(0, length - 2)) / (2 * h)
        if edge_order == 1:
            left, right = (at(1, 1) - at(0, 1)) / h, (at(length - 1, 1) - at(length - 2, 1)) / h
        else:
            left = (-1.5 * at(0, 1) + 2 * at(1, 1) - 0.5 * at(2, 1)) / h
            right = (1.5 * at(length - 1, 1) - 2 * at(length - 2, 1) + 0.5 * at(length - 3, 1)) / h
        return FUNCTIONS["cat"]((left, inner, right), dim)
    shape = [1] * x.ndim
    shape[dim] = length - 1
    steps = (spacing[1:] - spacing[:-1]).reshape(tuple(shape))
    h1, h2 = steps.narrow(dim, 0, length - 2), steps.narrow(dim, 1, length - 2)
    inner = (
        at(0, length - 2) * (-h2 / (h1 * (h1 + h2)))
        + at(1, length - 2) * ((h2 - h1) / (h1 * h2))
        + at(2, length - 2) * (h1 / (h2 * (h1 + h2)))
    )
    first, last = steps.narrow(dim, 0, 1), steps.narrow(dim, length - 2, 1)
    if edge_order == 1:
        left = (at(1, 1) - at(0, 1)) / first
        right = (at(length - 1, 1) - at(length - 2, 1)) / last
    else:
        second, before = steps.narrow(dim, 1, 1), steps.narrow(dim, length - 3, 1)
        left = (
            at(0, 1) * (-(2 * first + second) / (first * (first + second)))
            + at(1, 1) * ((first + second) / (first * second))
            + at(2, 1) * (-first / (second * (first + second)))
        )
        right = (
            at(length - 3, 1) * (last / (before * (before + last)))
            + at(length - 2, 1) * (-(before + last) / (before * last))
            + at(length - 1, 1) * ((2 * last + before) / (last * (before + last)))
        )
    return FUNCTIONS["cat"]((left, inner, right), dim)


# ---- norms and distances -------------------------------------------------------------------------
@composite(method=True)
def norm(
    self: Any,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    out: Any = None,
    dtype: Any = None,
) -> Any:
    """The vector norm of order ``p`` over dims ("fro": 2), or the nuclear norm of matrices."""
    if p == "nuc":
        return FUNCTIONS["linalg_matrix_norm"](
            self, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype
        )
    order = 2.0 if p in ("fro", None) else p
    dims = None if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    return FUNCTIONS["linalg_vector_norm"](self, order, dims, keepdim, dtype=dtype)


@composite(method=True)
def dist(self: Any, other: Any, p: float = 2) -> Any:
    """The p-norm of the difference."""
    return FUNCTIONS["linalg_vector_norm"](self - other, p)


@composite(method=True, inplace=True)
def renorm(self: Any, p: float, dim: int, maxnorm: float) -> Any:
    """Scales down the slices along ``dim`` whose p-norm is above ``maxnorm``."""
    at = k.wrap_dim(dim, self.ndim)
    dims = tuple(d for d in range(self.ndim) if d != at)
    norms = FUNCTIONS["linalg_vector_norm"](self, p, dims, True)
    scale = FUNCTIONS["where"](norms > maxnorm, maxnorm / (norms + 1e-7), 1.0)
    return self * scale.to(self.dtype)


@composite()
def cdist(
    x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary"
) -> Any:
    """Distances (..., P, R) between rows (..., P, M) and (..., R, M)."""
    for name, x in (("X1", x1), ("X2", x2)):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    difference = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    return FUNCTIONS["linalg_vector_norm"](difference, p, (-1,))


@composite(method=True)
def cross(self: Any, other: Any, dim: int | None = None) -> Any:
    """The cross product along a dim of size 3."""
    size = tuple(_C.broadcast_shapes(tuple(self.shape), tuple(other.shape)))
    if dim is None:
        found = [d for d, n in enumerate(size) if n == 3]
        if not found:
            raise RuntimeError("no dimension of size 3 in input")
        dim = found[0]
    return FUNCTIONS["linalg_cross"](self, other, dim=dim)


@composite(method=False)
def linalg_cross(self: Any, other: Any, *, dim: int = -1) -> Any:
    """The cross product along ``dim``, broadcast over the others."""
    if self.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    size = tuple(_C.broadcast_shapes(tuple(self.shape), tuple(other.shape)))
    at = k.wrap_dim(dim, len(size))
    if self.shape[at] != 3 or other.shape[at] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {self.shape[at]} and "
            f"{other.shape[at]}"
        )
    a, b = self.expand(size).unbind(at), other.expand(size).unbind(at)
    return FUNCTIONS["stack"](
        (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]), at
    )


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


# ---- matrices ------------------------------------------------------------------------------------
@op(
    "trace(Tensor self) -> Tensor",
    family="reduction",
    vjp=lambda grad, self_size: (
        FUNCTIONS["eye"](self_size[0], self_size[1], dtype=grad.dtype) * grad
    ),
)
def trace(self: Any) -> Any:
    if self.ndim != 2:
        raise RuntimeError("trace: expected a matrix")
    length = min(self.shape)
    diagonal = _C.as_strided(
        self, (length,), (self.stride(0) + self.stride(1),), self.storage_offset()
    )
    dtype = self.dtype if self.dtype.is_floating_point else _C.int64
    return _C.reduce(diagonal, _C.REDUCE["sum"], None, False, 0.0, dtype)


@composite()
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Powers of a vector as columns, highest first unless ``increasing``."""
    result = FUNCTIONS["linalg_vander"](x, N=x.shape[0] if N is None else N)
    return result if increasing else result.flip(-1)


@composite(method=False)
def linalg_vander(x: Any, *, N: int | None = None) -> Any:
    """Powers 0..N-1 of the last dim, as columns."""
    count = x.shape[-1] if N is None else N
    ones = FUNCTIONS["ones_like"](x).unsqueeze(-1)
    if count <= 1:
        return ones[..., :count]
    columns = x.unsqueeze(-1).expand((*x.shape, count - 1))
    return FUNCTIONS["cat"]((ones, columns.cumprod(-1)), -1)


@composite()
def cartesian_prod(*tensors: Any) -> Any:
    """All combinations of one element of each vector, as rows."""
    if len(tensors) == 1:
        return tensors[0]
    grids = FUNCTIONS["meshgrid"](*tensors, indexing="ij")
    return FUNCTIONS["stack"]([g.flatten() for g in grids], 1)


@composite()
def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All selections of ``r`` elements of a vector, as rows."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r == 0:
        return FUNCTIONS["empty"](0, dtype=input.dtype)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = [list(c) for c in choose(range(input.numel()), r)]
    if not rows:
        return FUNCTIONS["empty"](0, r, dtype=input.dtype)
    return input[FUNCTIONS["tensor"](rows)]


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
