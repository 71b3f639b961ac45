"""The largest and smallest elements, and where they are."""

from __future__ import annotations

from typing import Any

from wasm_torch import _C
from wasm_torch.ops._kernels import (
    contiguous,
    empty,
    launch,
    reduced_size,
    wrap_dim,
    wrap_dims,
)
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite, op
from wasm_torch.ops.reduction import reduce, restore_dims
from wasm_torch.return_types import return_type


def _share_among_equal(grad: Any, self: Any, result: Any, dim: Any, keepdim: bool) -> Any:
    size = self.shape
    mask = self == restore_dims(result, size, dim, keepdim)
    count = mask.sum(wrap_dims(dim, self.ndim), True) if self.ndim else mask.sum()
    return mask * (restore_dims(grad, size, dim, keepdim) / count)


def _check_not_empty(name: str, self: Any, dims: Any) -> None:
    if self.numel() == 0 and any(self.shape[d] == 0 for d in wrap_dims(dims, self.ndim)):
        raise IndexError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
            if dims is None or dims == ()
            else f"{name}(): Expected reduction dim {wrap_dims(dims, self.ndim)[0]} to have "
            "non-zero "
            "size."
        )


def _extreme_rows(name: str, which: str) -> None:
    @op(
        f"{name}(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor",
        doc=f"The {which} elements over ``dim`` (all dimensions); equal ones share the gradient.",
        family="reduction",
        vjp=lambda grad, self, result, dim, keepdim: _share_among_equal(
            grad, self, result, dim, keepdim
        ),
    )
    def kernel(self: Any, dim: Any, keepdim: bool) -> Any:
        _check_not_empty(name, self, dim)
        return reduce(name, self, dim, keepdim)


_extreme_rows("amax", "largest")
_extreme_rows("amin", "smallest")


def value_at(grad: Any, size: Any, indices: Any, dim: int, keepdim: bool) -> Any:
    """Zeros of ``size`` with ``grad`` at ``indices`` along ``dim``."""
    zeros = FUNCTIONS["zeros"](tuple(size), dtype=grad.dtype)
    if not size:
        return zeros.scatter(0, indices, grad)
    if not keepdim:
        grad, indices = grad.unsqueeze(dim), indices.unsqueeze(dim)
    return zeros.scatter(dim, indices, grad)


def arg_reduce(self: Any, dim: int, keepdim: bool, maximum: bool, name: str) -> tuple[Any, Any]:
    """Values and indices of the extreme elements along ``dim``."""
    dim = wrap_dim(dim, self.ndim)
    if self.ndim and self.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    size = reduced_size(self.shape, (dim,), True)
    values, indices = empty(size, self.dtype), empty(size, _C.int64)
    if values.numel():
        launch("arg_reduce", values, indices, self, dim, maximum)
    if keepdim or not self.ndim:
        return values, indices
    final = reduced_size(self.shape, (dim,), False)
    return tuple(_C.as_strided(t, final, _without(t.stride(), dim), 0) for t in (values, indices))  # type: ignore[return-value]


def _without(values: Any, position: int) -> tuple[int, ...]:
    return tuple(v for i, v in enumerate(values) if i != position)


def _extreme_with_index(name: str, whole: str) -> None:
    which = "largest" if name == "max" else "smallest"

    @op(
        f"{name}(Tensor self) -> Tensor",
        doc=f"The {which} element. Raises RuntimeError where there is none.",
        family="reduction",
        node=f"{name.title()}Backward1",
        vjp=lambda grad, self, result: _share_among_equal(grad, self, result, None, False),
    )
    def reduce_all(self: Any) -> Any:
        if self.numel() == 0:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
                "the reduction dim with the 'dim' argument."
            )
        return reduce(whole, self, None)

    @op(
        f"{name}.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        doc=f"The {which} elements along ``dim``, and their indices (int64).",
        family="reduction",
        node=f"{name.title()}Backward0",
        vjp=lambda grad, self_size, dim, keepdim, result1: value_at(
            grad, self_size, result1, dim, keepdim
        ),
    )
    def reduce_dim(self: Any, dim: int, keepdim: bool) -> Any:
        return arg_reduce(self, dim, keepdim, name == "max", name)


_extreme_with_index("max", "amax")
_extreme_with_index("min", "amin")


def _also_elementwise(name: str, elementwise: str) -> None:
    """``max(a, b)`` is ``maximum(a, b)``."""
    reducing = FUNCTIONS[name]

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        other = args[0] if args else kwargs.get("other")
        if isinstance(other, _C.TensorBase):
            kwargs.pop("other", None)
            return FUNCTIONS[elementwise](self, other, **kwargs)
        if "input" in kwargs:
            kwargs["self"] = kwargs.pop("input")
        return reducing(self, *args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{reducing.__doc__}\n\nOf two tensors: `{elementwise}`."
    FUNCTIONS[name] = METHODS[name] = call


_also_elementwise("max", "maximum")
_also_elementwise("min", "minimum")


def _arg_row(name: str, maximum: bool) -> None:
    which = "largest" if maximum else "smallest"

    @op(
        f"{name}(Tensor self, int? dim=None, bool keepdim=False) -> Tensor",
        doc=f"The index (int64) of the first {which} element along ``dim``, or of the flattened "
        "tensor.",
        family="reduction",
    )
    def kernel(self: Any, dim: int | None, keepdim: bool) -> Any:
        if self.numel() == 0 and dim is None:
            raise IndexError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
            )
        if dim is not None:
            return arg_reduce(self, dim, keepdim, maximum, name)[1]
        flat = contiguous(self)
        flat = _C.as_strided(flat, (self.numel(),), (1,), flat.storage_offset())
        result = arg_reduce(flat, 0, False, maximum, name)[1]
        if keepdim and self.ndim:
            return _C.as_strided(result, (1,) * self.ndim, (1,) * self.ndim, 0)
        return result


_arg_row("argmax", True)
_arg_row("argmin", False)


@composite(method=True)
def aminmax(self: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest element, over all or along ``dim``."""
    if dim is None and self.numel() == 0:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    dims = () if dim is None else dim
    result = FUNCTIONS["amin"](self, dims, keepdim), FUNCTIONS["amax"](self, dims, keepdim)
    return _AMINMAX(*result)


_AMINMAX = return_type("aminmax", ("min", "max"))
