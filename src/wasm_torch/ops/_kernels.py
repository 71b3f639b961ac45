"""What kernels of rows share: calls by operator name, dims, shapes. Nothing here is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from wasm_torch import _C

Tensor = Any

launch = _C.launch
empty = _C.empty
cast = _C.cast
result_type = _C.result_type


def contiguous_stride(size: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides."""
    strides, extent = [], 1
    for length in reversed(size):
        strides.append(extent)
        extent *= max(length, 1)
    return tuple(reversed(strides))


def numel(size: Iterable[int]) -> int:
    """The product of the sizes."""
    total = 1
    for length in size:
        total *= length
    return total


def empty_like(tensor: Tensor, dtype: Any = None) -> Tensor:
    """Uninitialised, of the shape of ``tensor``, and of its strides or their order."""
    dtype = tensor.dtype if dtype is None else dtype
    if tensor.is_contiguous():
        return empty(tuple(tensor.shape), dtype)
    pairs = sorted(zip(tensor.stride(), tensor.shape, strict=True))
    expected = 1
    for stride, length in pairs:
        if length != 1 and stride != expected:
            size = tuple(tensor.shape)
            return empty(size, dtype, pointwise_stride(size, [tensor]))
        expected *= length
    return empty(tuple(tensor.shape), dtype, tuple(tensor.stride()))


def pointwise_stride(size: Sequence[int], tensors: Sequence[Tensor]) -> tuple[int, ...]:
    """Dense strides in the memory order of broadcast operands, as torch's TensorIterator has it:
    the first operand that repeats along neither of two dims tells which of them is the inner one.
    """
    if tensors[0].is_contiguous() and tuple(tensors[0].shape) == tuple(size):
        return contiguous_stride(size)
    strides = [expand_to(tensor, size).stride() for tensor in tensors]
    inner_first = list(reversed(range(len(size))))
    for i in range(1, len(size)):
        moving = i
        for j in range(i - 1, -1, -1):
            order = _compare_dims(size, strides, inner_first[j], inner_first[moving])
            if order < 0:
                break
            if order > 0:
                inner_first[j], inner_first[moving] = inner_first[moving], inner_first[j]
                moving = j
    result, extent = [0] * len(size), 1
    for d in inner_first:
        result[d] = extent
        extent *= max(size[d], 1)
    return tuple(result)


def _compare_dims(size: Sequence[int], strides: list[tuple[int, ...]], a: int, b: int) -> int:
    """Negative where dim ``a`` is the inner one, positive where ``b`` is, 0 where none tells."""
    for stride in strides:
        if stride[a] == 0 or stride[b] == 0:
            continue
        if stride[a] != stride[b]:
            return stride[a] - stride[b]
        if size[a] > size[b]:
            return 1
    return 0


def as_float(tensor: Tensor) -> Tensor:
    """Integers and bools as the default float dtype."""
    if tensor.dtype.is_floating_point:
        return tensor
    return cast(tensor, _C.get_default_dtype())


def unary(name: str, tensor: Tensor, p0: float = 0.0, p1: float = 0.0, out: Any = None) -> Tensor:
    """Runs a unary operator in the tensor's own dtype."""
    return _C.unary(tensor, _C.UNARY[name], p0, p1, out)


def unary_float(name: str, tensor: Tensor, p0: float = 0.0, p1: float = 0.0) -> Tensor:
    """Runs a unary operator that is defined on floats."""
    return _C.unary(as_float(tensor), _C.UNARY[name], p0, p1)


def binary(
    name: str, a: Any, b: Any, alpha: float = 1.0, compute: Any = None, out: Any = None
) -> Tensor:
    """Runs a binary operator on tensors and numbers; ``compute`` is the common dtype."""
    if not isinstance(a, _C.TensorBase) and not isinstance(b, _C.TensorBase):
        a = _C.from_data(a)
    a, b = _number(a), _number(b)
    return _C.binary(a, b, _C.BINARY[name], float(alpha), compute, out)


def _number(value: Any) -> Any:
    """Integers beyond int64 enter as floats, as in torch."""
    if type(value) is int and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def binary_float(name: str, a: Any, b: Any) -> Tensor:
    """Runs a binary operator that is defined on floats."""
    return binary(name, a, b, 1.0, float_result_type(a, b))


def float_result_type(*operands: Any) -> Any:
    """torch.result_type, with the default float dtype in place of integers."""
    dtype = result_type(*operands)
    return dtype if dtype.is_floating_point else _C.get_default_dtype()


def common_shape(*tensors: Tensor) -> tuple[int, ...]:
    """The broadcast shape. Raises RuntimeError where the shapes do not fit."""
    return tuple(_C.broadcast_shapes(*[tuple(t.shape) for t in tensors]))


def expand_to(tensor: Tensor, size: Sequence[int]) -> Tensor:
    """An alias with stride 0 where it is repeated; shapes are known to fit."""
    extra = len(size) - tensor.ndim
    strides = [0] * extra
    for own, length, stride in zip(tensor.shape, size[extra:], tensor.stride(), strict=True):
        strides.append(stride if own == length else 0)
    return _C.as_strided(tensor, tuple(size), tuple(strides), tensor.storage_offset())


def ternary(name: str, a: Tensor, b: Tensor, c: Tensor, value: float, dtype: Any) -> Tensor:
    """Runs a ternary operator on tensors already of the dtypes it wants."""
    size = common_shape(a, b, c)
    out = empty(size, dtype, pointwise_stride(size, [a, b, c]))
    if out.numel():
        operands = [expand_to(t, size) for t in (a, b, c)]
        launch("ternary", out, *operands, _C.TERNARY[name], value)
    return out


def fill(tensor: Tensor, value: Any) -> Tensor:
    """Writes one number everywhere. Raises RuntimeError where it does not fit the dtype."""
    return _C.fill(tensor, value)


def full(size: Sequence[int], value: Any, dtype: Any) -> Tensor:
    """A new tensor of one number."""
    return fill(empty(tuple(size), dtype), value)


def full_like(tensor: Tensor, value: Any, dtype: Any = None) -> Tensor:
    """A new tensor of one number in the shape of another."""
    return full(tuple(tensor.shape), value, tensor.dtype if dtype is None else dtype)


def dense_copy(tensor: Tensor) -> Tensor:
    """A row-major copy, always new."""
    out = empty(tuple(tensor.shape), tensor.dtype)
    _C.copy_into(out, tensor)
    return out


def contiguous(tensor: Tensor) -> Tensor:
    """Row-major: the tensor itself or a copy."""
    return _C.contiguous(tensor)


# ---- dims ----------------------------------------------------------------------------------------
def wrap_dim(dim: int, ndim: int) -> int:
    """A dim counted from the front. Raises IndexError where it is out of range."""
    if type(dim) is not int:
        if isinstance(dim, (float, str)) or not hasattr(dim, "__index__"):
            raise TypeError(f"argument 'dim' must be int, not {type(dim).__name__}")
        dim = dim.__index__()
    limit = max(ndim, 1)
    if not -limit <= dim < limit:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], "
            f"but got {dim})"
        )
    return dim + limit if dim < 0 else dim


def wrap_dims(dims: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Distinct dims counted from the front; none given means all."""
    if dims is None:
        return tuple(range(ndim))
    if isinstance(dims, int):
        return (wrap_dim(dims, ndim),)
    if len(dims) == 0:
        return tuple(range(ndim))
    wrapped = tuple(wrap_dim(d, ndim) for d in dims)
    if len(set(wrapped)) != len(wrapped):
        seen = next(d for i, d in enumerate(wrapped) if d in wrapped[:i])
        raise RuntimeError(f"dim {seen} appears multiple times in the list of dims")
    return wrapped


def reduced_size(size: Sequence[int], dims: Sequence[int], keepdim: bool) -> tuple[int, ...]:
    """The shape after reducing ``dims``."""
    if keepdim:
        return tuple(1 if d in dims else s for d, s in enumerate(size))
    return tuple(s for d, s in enumerate(size) if d not in dims)


def reshaped(tensor: Tensor, size: Sequence[int]) -> Tensor:
    """An alias of a dense tensor in another shape."""
    return _C.as_strided(tensor, tuple(size), contiguous_stride(size), tensor.storage_offset())
