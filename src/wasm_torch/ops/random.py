"""Random numbers by torch's CPU generator: the same numbers after the same seed."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch._random import Generator, default_generator
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._convert import check, check_tensor, type_name
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite, naming_misfits, op
from wasm_torch.ops.creation import (
    allocate,
    factory_options,
    finished,
    like_allocated,
    size_argument,
    with_input,
)


def draw(
    out: Any,
    name: str,
    generator: Generator | None,
    p0: float = 0.0,
    p1: float = 0.0,
    low: int = 0,
    extent: int = 0,
    a: Any = None,
    b: Any = None,
) -> Any:
    """Fills ``out`` from the generator in row-major order."""
    if out.numel():
        source = default_generator if generator is None else generator
        if not isinstance(source, Generator):
            raise TypeError(f"expected a torch.Generator, but got {type_name(source)}")
        k.launch("random", out, a, b, source.address, _C.RANDOM[name], p0, p1, low, extent)
    return out


def _require_float(name: str, dtype: Any) -> None:
    if not dtype.is_floating_point:
        raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(dtype)}'")


# ---- new tensors ---------------------------------------------------------------------------------
def _float_factory(name: str, kind: str, p0: float, p1: float) -> None:
    def fill(out: Any, generator: Any) -> Any:
        _require_float(
            "check_uniform_bounds" if kind == "uniform" else "normal_kernel_cpu", out.dtype
        )
        return draw(out, kind, generator, p0, p1)

    def call(*size: Any, **kwargs: Any) -> Any:
        generator = kwargs.pop("generator", None)
        shape = size_argument(size, kwargs, name)
        dtype, requires_grad, out, memory_format = factory_options(kwargs, name)
        if out is not None and dtype is None:
            dtype = out.dtype
        result = allocate(shape, dtype or _C.get_default_dtype(), memory_format)
        return finished(fill(result, generator), requires_grad, out)

    def like(self: Any, **kwargs: Any) -> Any:
        generator = kwargs.pop("generator", None)
        dtype, requires_grad, _, memory_format = factory_options(kwargs, f"{name}_like")
        return finished(
            fill(like_allocated(self, dtype, memory_format), generator), requires_grad, None
        )

    what = "uniform in [0, 1)" if kind == "uniform" else "standard normal"
    call.__name__, call.__doc__ = name, f"Random numbers, {what}."
    like.__name__, like.__doc__ = f"{name}_like", f"Random numbers, {what}, shaped like another."
    FUNCTIONS[name] = call
    FUNCTIONS[f"{name}_like"] = with_input(like)


_float_factory("rand", "uniform", 0.0, 1.0)
_float_factory("randn", "normal", 0.0, 1.0)


def _integers(out: Any, low: int, high: int, generator: Any) -> Any:
    if high <= low:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    return draw(out, "integers", generator, 0.0, 0.0, low, high - low)


def randint(*args: Any, **kwargs: Any) -> Any:
    """Integers from ``low`` (default 0) to ``high`` (excluded): ``randint(low, high, size)``."""
    generator = kwargs.pop("generator", None)
    given = [*map(type_name, args), *(f"{key}={type_name(v)}" for key, v in kwargs.items())]
    names: tuple[str, ...] = ("low", "high", "size")
    if (len(args) == 1 and "size" in kwargs and "high" not in kwargs) or (
        len(args) == 2 and "size" not in kwargs
    ):
        names = ("high", "size")
    values = dict(zip(names, args, strict=False))
    for name in ("low", "high", "size"):
        if name in kwargs:
            values[name] = kwargs.pop(name)
    dtype, requires_grad, out, _ = factory_options(kwargs, "randint")
    if "high" not in values or "size" not in values or len(args) > len(names):
        raise TypeError(
            "randint() received an invalid combination of arguments - got "
            f"({', '.join(given)}), but expected one of:\n"
            " * (int high, tuple of ints size)\n * (int low, int high, tuple of ints size)"
        )
    for position, name in enumerate(names, 1):
        if name not in values:
            continue  # low is 0
        kind = "int[]" if name == "size" else "int"
        values[name] = check(kind, "randint", name, position, values[name])
    result = allocate(values["size"], dtype or _C.int64)
    filled = _integers(result, values.get("low", 0), values["high"], generator)
    return finished(filled, requires_grad, out)


def randint_like(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Integers shaped like another tensor: ``randint_like(x, low, high)``."""
    low = check("int", "randint_like", "low", 2, kwargs.pop("low", args[0] if args[1:] else 0))
    high = check("int", "randint_like", "high", 2, kwargs.pop("high", args[-1] if args else None))
    dtype, requires_grad, _, memory_format = factory_options(kwargs, "randint_like")
    result = like_allocated(self, dtype, memory_format)
    return finished(_integers(result, int(low), int(high), None), requires_grad, None)


def randperm(n: int, **kwargs: Any) -> Any:
    """A random permutation of 0..n-1."""
    generator = kwargs.pop("generator", None)
    dtype, requires_grad, out, _ = factory_options(kwargs, "randperm")
    n = check("int", "randperm", "n", 1, n)
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    result = k.empty((n,), dtype or _C.int64)
    return finished(draw(result, "permutation", generator), requires_grad, out)


FUNCTIONS.update(randint=randint, randint_like=with_input(randint_like), randperm=randperm)


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, **kwargs: Any) -> Any:
    """Normal numbers with means and standard deviations from numbers or tensors."""
    generator = kwargs.pop("generator", None)
    dtype, requires_grad, out, _ = factory_options(kwargs, "normal")
    if size is not None:
        _check_std(std)
        result = allocate(
            check("int[]", "normal", "size", 3, size), dtype or _C.get_default_dtype()
        )
        draw(result, "normal", generator, float(mean), float(std))
        return finished(result, requires_grad, out)
    if not isinstance(std, _C.TensorBase):
        check_tensor("normal", "mean", 1, mean)
    shapes = [tuple(v.shape) for v in (mean, std) if isinstance(v, _C.TensorBase)]
    shape = tuple(_C.broadcast_shapes(*shapes))
    source = mean if isinstance(mean, _C.TensorBase) else std
    if isinstance(std, _C.TensorBase):
        if std.numel() and not bool((std.detach() >= 0).all()):
            raise RuntimeError("normal expects all elements of std >= 0.0")
    else:
        _check_std(std)
    return finished(normal_row(mean, std, shape, source.dtype, generator), requires_grad, out)


@op(
    "_normal(Tensor mean, Tensor std, int[] size, ScalarType dtype, Generator? generator) -> "
    "Tensor",
    family="random",
    function=False,
    method=False,
    wrapped_numbers=True,
    node="NormalBackward0",
    vjp={
        "mean": lambda grad, mean_size: FUNCTIONS["zeros"](tuple(mean_size), dtype=grad.dtype),
        "std": lambda grad, std_size: FUNCTIONS["zeros"](tuple(std_size), dtype=grad.dtype),
    },
)
def normal_row(mean: Any, std: Any, size: Any, dtype: Any, generator: Any) -> Any:
    """Normal random numbers of the given means and standard deviations."""
    unit = draw(k.empty(size, dtype), "normal", generator, 0.0, 1.0)
    return k.binary("add", k.binary("mul", unit, std), mean)


def _check_std(std: float) -> None:
    if not std >= 0.0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")


FUNCTIONS["normal"] = normal


# ---- in place ------------------------------------------------------------------------------------
def _inplace(name: str, fill: Any) -> None:
    """A method that overwrites a tensor with random numbers."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        _C.check_inplace(self)
        fill(self, *args, **kwargs)
        _C.record_inplace(overwrite, (self,), self)
        return self

    call.__name__ = call.__qualname__ = name
    call.__doc__ = fill.__doc__
    METHODS[name] = call


@op(
    "_overwrite(Tensor self) -> Tensor",
    family="random",
    function=False,
    method=False,
    vjp=lambda grad: FUNCTIONS["zeros_like"](grad),
)
def overwrite(self: Any) -> Any:
    """What in-place draws record: nothing flows back."""
    return k.empty_like(self)


def uniform(
    self: Any, from_: float = 0.0, to: float = 1.0, *, generator: Any = None, **kwargs: Any
) -> None:
    """Uniform in [from, to)."""
    from_ = kwargs.pop("from", from_)
    _require_float("check_uniform_bounds", self.dtype)
    if from_ > to:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={from_:g} > to={to:g}"
        )
    draw(self, "uniform", generator, float(from_), float(to))


def normal_(self: Any, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> None:
    """Normal with ``mean`` and ``std``."""
    _require_float("normal_kernel_cpu", self.dtype)
    _check_std(std)
    draw(self, "normal", generator, float(mean), float(std))


def random(self: Any, *args: Any, generator: Any = None, **kwargs: Any) -> None:
    """Integers: random_(), random_(to), random_(from, to)."""
    low = kwargs.pop("from", args[0] if len(args) == 2 else 0)
    high = kwargs.pop("to", args[-1] if args else None)
    if high is None:
        draw(self, "random_full", generator)
    else:
        _integers(self, int(low), int(high), generator)


def _probabilities(self: Any, p: Any) -> Any:
    if isinstance(p, _C.TensorBase):
        return k.expand_to(p.detach(), tuple(self.shape))
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    return None


def bernoulli_(self: Any, p: Any = 0.5, *, generator: Any = None) -> None:
    """One with probability ``p``, else zero."""
    tensor = _probabilities(self, p)
    if tensor is None:
        draw(self, "bernoulli", generator, float(p))
    else:
        draw(self, "bernoulli_tensor", generator, a=tensor)


def exponential(self: Any, lambd: float = 1.0, *, generator: Any = None) -> None:
    """Exponential with rate ``lambd``."""
    if not lambd > 0.0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    _require_float("exponential_", self.dtype)
    draw(self, "exponential", generator, float(lambd))


def geometric(self: Any, p: float, *, generator: Any = None) -> None:
    """Geometric: the number of trials up to the first success."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    draw(self, "geometric", generator, float(p))


def cauchy(self: Any, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> None:
    """Cauchy with ``median`` and scale ``sigma``."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    _require_float(
        "Cauchy distribution is a continuous probability distribution. dtype must be a "
        "floating point but you specified ",
        self.dtype,
    )
    draw(self, "cauchy", generator, float(median), float(sigma))


def log_normal(self: Any, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> None:
    """The exponential of normal numbers."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    _require_float("log_normal_", self.dtype)
    draw(self, "log_normal", generator, float(mean), float(std))


for _name, _fill in (
    ("uniform_", uniform),
    ("normal_", normal_),
    ("random_", random),
    ("bernoulli_", bernoulli_),
    ("exponential_", exponential),
    ("geometric_", geometric),
    ("cauchy_", cauchy),
    ("log_normal_", log_normal),
):
    _inplace(_name, _fill)


# ---- samples by the elements of tensors ----------------------------------------------------------
def _zero_gradient(grad: Any) -> Any:
    return FUNCTIONS["zeros_like"](grad)


@op(
    "bernoulli(Tensor self, *, Generator? generator=None) -> Tensor",
    family="random",
    function=False,
    method=False,
    vjp=_zero_gradient,
)
def bernoulli_row(self: Any, generator: Any) -> Any:
    """0 or 1, each 1 with the probability in ``self``. Raises RuntimeError outside of [0, 1]."""
    if self.numel():
        low, high = (float(FUNCTIONS[n](self.detach()).item()) for n in ("amin", "amax"))
        if not (low >= 0 and high <= 1):
            raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    return draw(k.empty_like(self), "bernoulli_tensor", generator, a=self)


def bernoulli(input: Any, p: float | None = None, *, generator: Any = None, out: Any = None) -> Any:
    """One with the probability that the element (or ``p``) states, else zero."""
    if p is None:
        result = bernoulli_row(input, generator=generator)
    else:
        result = k.empty_like(input)
        bernoulli_(result, p, generator=generator)
    return result if out is None else out.copy_(result)


FUNCTIONS["bernoulli"] = METHODS["bernoulli"] = naming_misfits(bernoulli)


@op(
    "poisson(Tensor self, Generator? generator=None) -> Tensor",
    family="random",
    method=False,
    vjp=_zero_gradient,
)
def poisson(self: Any, generator: Any) -> Any:
    """Poisson random numbers, each with the rate in ``self``."""
    if self.numel() and float(FUNCTIONS["amin"](self.detach()).item()) < 0:
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    return draw(k.empty_like(self), "poisson", generator, a=self)


@op(
    "binomial(Tensor count, Tensor prob, Generator? generator=None) -> Tensor",
    family="random",
    method=False,
    vjp={"prob": _zero_gradient},
)
def binomial(count: Any, prob: Any, generator: Any) -> Any:
    """Binomial random numbers: successes in ``count`` trials of probability ``prob``."""
    size = k.common_shape(count, prob)
    out = k.empty(size, prob.dtype)
    return draw(
        out,
        "binomial",
        generator,
        a=k.expand_to(k.cast(count, prob.dtype), size),
        b=k.expand_to(prob, size),
    )


@op(
    "_standard_gamma(Tensor self, Generator? generator=None) -> Tensor",
    family="random",
    method=False,
)
def standard_gamma(self: Any, generator: Any) -> Any:
    """Gamma random numbers of scale 1, each with the shape parameter in ``self``."""
    return draw(k.empty_like(self), "gamma", generator, a=self)


def multinomial(
    input: Any,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Any = None,
    out: Any = None,
) -> Any:
    """Indices drawn with probabilities proportional to the rows of ``input``."""
    weights = input.detach()
    if not weights.dtype.is_floating_point:
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{_word(weights.dtype)}"
        )
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    _check_weights(weights)
    if not replacement or num_samples == 1:
        # Exponential races: the k smallest of E / w are a sample without replacement.
        noise = k.empty(tuple(weights.shape), weights.dtype)
        exponential(noise, 1.0, generator=generator)
        keys = weights / noise
        result = keys.argmax(-1, True) if num_samples == 1 else keys.topk(num_samples, -1)[1]
    else:
        cumulative = weights.cumsum(-1)
        cumulative = cumulative / cumulative[..., -1:]
        points = FUNCTIONS["rand"](
            (*weights.shape[:-1], num_samples), dtype=weights.dtype, generator=generator
        )
        result = FUNCTIONS["searchsorted"](cumulative, points, right=True)
        result = result.clamp(max=weights.shape[-1] - 1)
    return result if out is None else out.copy_(result)


def _word(dtype: Any) -> str:
    return scalar_name(dtype)


def _check_weights(weights: Any) -> None:
    if weights.numel() == 0:
        return
    if not bool(weights.isfinite().all()) or bool((weights < 0).any()):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if bool((weights.sum(-1) == 0).any()):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")


FUNCTIONS["multinomial"] = METHODS["multinomial"] = naming_misfits(multinomial)


# ---- dropout -------------------------------------------------------------------------------------
@op(
    "native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)",
    family="random",
    method=False,
    vjp=lambda grad, result1, p, train: (
        grad * result1 * (1.0 if not train else 0.0 if p == 1 else 1 / (1 - p))
    ),
)
def native_dropout(input: Any, p: float, train: Any) -> tuple[Any, Any]:
    """``input`` with elements zeroed with probability ``p`` and the others scaled by 1 / (1 - p),
    and the bool mask of what is kept.
    """
    if not train:
        return k.dense_copy(input), k.full_like(input, True, _C.bool)
    mask = draw(k.empty_like(input, _C.bool), "bernoulli", None, 1 - p)
    scale = 0.0 if p == 1 else 1 / (1 - p)
    return k.binary("mul", k.binary("mul", input, mask), scale), mask


@composite()
def native_dropout_backward(grad_output: Any, mask: Any, scale: float) -> Any:
    """The gradient of dropout's input."""
    return grad_output * mask * scale
