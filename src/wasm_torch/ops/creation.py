"""New tensors: uninitialised, filled, and from data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch._formats import (
    channels_last,
    channels_last_3d,
    channels_last_stride,
    preserve_format,
)
from wasm_torch._formats import device as make_device
from wasm_torch._formats import layout as layout_type
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._convert import Mismatch, check, check_tensor, spread_sizes
from wasm_torch.ops._table import FUNCTIONS, METHODS


# ---- arguments that all of them share ------------------------------------------------------------
def size_argument(args: tuple[Any, ...], kwargs: dict[str, Any], function: str) -> tuple[int, ...]:
    if "size" in kwargs:
        if args:
            raise TypeError(f"{function}() got multiple values for argument 'size'")
        return check("int[]", function, "size", None, kwargs.pop("size"))
    if not args:
        raise TypeError(f'{function}() missing 1 required positional arguments: "size"')
    return spread_sizes(function, "size", args)


def check_device(device: Any, function: str = "device") -> None:
    if device is not None:
        if not isinstance(device, (str, int, make_device)):
            raise TypeError(Mismatch("torch.device", device).describe(function, "device", None))
        make_device(device)


def factory_options(kwargs: dict[str, Any], name: str) -> tuple[Any, bool, Any, Any]:
    """dtype, requires_grad, out and memory_format; the rest has one meaning only here."""
    if not kwargs:
        return None, False, None, None
    dtype = kwargs.pop("dtype", None)
    requires_grad = kwargs.pop("requires_grad", False)
    out = kwargs.pop("out", None)
    memory_format = kwargs.pop("memory_format", None)
    check_device(kwargs.pop("device", None), name)
    layout, pin_memory = kwargs.pop("layout", None), kwargs.pop("pin_memory", None)
    if kwargs:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(kwargs))}'")
    if dtype is not None:
        dtype = check("ScalarType", name, "dtype", None, dtype)
    for option, value in (("requires_grad", requires_grad), ("pin_memory", pin_memory)):
        if value is not None and not isinstance(value, bool):
            raise TypeError(Mismatch("bool", value).describe(name, option, None))
    if layout is not None and not isinstance(layout, layout_type):
        raise TypeError(Mismatch("torch.layout", layout).describe(name, "layout", None))
    if out is not None:
        check_tensor(name, "out", None, out)
    return dtype, requires_grad, out, memory_format


def allocate(size: Sequence[int], dtype: Any, memory_format: Any = None) -> Any:
    """Uninitialised storage in a memory format."""
    if memory_format in (channels_last, channels_last_3d):
        wanted = 4 if memory_format is channels_last else 5
        if len(size) != wanted:
            raise RuntimeError(f"required rank {wanted} tensor to use {memory_format.name} format")
        return _C.empty(tuple(size), dtype, channels_last_stride(tuple(size)))
    return _C.empty(tuple(size), dtype)


def finished(result: Any, requires_grad: bool, out: Any) -> Any:
    if out is not None:
        if tuple(out.shape) != tuple(result.shape):
            out.resize_(tuple(result.shape))
        _C.copy_into(out, result)
        _C.bump(out)
        return out
    if requires_grad and not result.dtype.is_floating_point:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return result.requires_grad_() if requires_grad else result


def _filled(name: str, value: Any) -> None:
    def call(*size: Any, **kwargs: Any) -> Any:
        shape = size_argument(size, kwargs, name)
        if value == 0 and any(length < 0 for length in shape):
            raise RuntimeError("zeros: Dimension size must be non-negative.")
        dtype, requires_grad, out, memory_format = factory_options(kwargs, name)
        if out is not None and dtype is None:
            dtype = out.dtype
        result = allocate(shape, dtype or _C.get_default_dtype(), memory_format)
        if value is not None:
            k.fill(result, value)
        return finished(result, requires_grad, out)

    def like(self: Any, **kwargs: Any) -> Any:
        dtype, requires_grad, _, memory_format = factory_options(kwargs, f"{name}_like")
        result = like_allocated(self, dtype, memory_format)
        if value is not None:
            k.fill(result, value)
        return finished(result, requires_grad, None)

    def new(self: Any, *size: Any, **kwargs: Any) -> Any:
        shape = size_argument(size, kwargs, f"new_{name}")
        kwargs.setdefault("dtype", self.dtype)
        if kwargs["dtype"] is None:
            kwargs["dtype"] = self.dtype
        return call(shape, **kwargs)

    what = {0: "zeros", 1: "ones", None: "uninitialised elements"}[value]
    call.__name__, call.__doc__ = name, f"A new tensor of {what}."
    like.__name__, like.__doc__ = f"{name}_like", f"A tensor of {what} shaped like another."
    new.__name__, new.__doc__ = f"new_{name}", f"A tensor of {what} of the same dtype."
    FUNCTIONS[name] = call
    FUNCTIONS[f"{name}_like"] = with_input(like)
    METHODS[f"new_{name}"] = new


def with_input(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets the first argument be passed as ``input=``."""

    name = function.__name__

    def call(*args: Any, **kwargs: Any) -> Any:
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
        if not args:
            raise TypeError(f'{name}() missing 1 required positional arguments: "input"')
        check_tensor(name, "input", 1, args[0])
        return function(*args, **kwargs)

    call.__name__, call.__doc__ = function.__name__, function.__doc__
    return call


def like_allocated(self: Any, dtype: Any = None, memory_format: Any = None) -> Any:
    """Uninitialised storage shaped like a tensor, in its own layout unless a format is given."""
    if memory_format is None or memory_format is preserve_format:
        return k.empty_like(self, dtype)
    return allocate(tuple(self.shape), dtype or self.dtype, memory_format)


_filled("zeros", 0)
_filled("ones", 1)
_filled("empty", None)


def full(size: Any, fill_value: Any, **kwargs: Any) -> Any:
    """A tensor of one number; its dtype is inferred from the number unless given."""
    dtype, requires_grad, out, memory_format = factory_options(kwargs, "full")
    shape = check("int[]", "full", "size", 1, size)
    fill_value = check("Scalar", "full", "fill_value", 2, fill_value)
    if dtype is None:
        dtype = _C.from_data(fill_value).dtype if out is None else out.dtype
    result = k.fill(allocate(shape, dtype, memory_format), fill_value)
    return finished(result, requires_grad, out)


def full_like(self: Any, fill_value: Any, **kwargs: Any) -> Any:
    """A tensor of one number shaped like another."""
    dtype, requires_grad, _, memory_format = factory_options(kwargs, "full_like")
    fill_value = check("Scalar", "full_like", "fill_value", 2, fill_value)
    return finished(
        k.fill(like_allocated(self, dtype, memory_format), fill_value), requires_grad, None
    )


def new_full(self: Any, size: Any, fill_value: Any, **kwargs: Any) -> Any:
    """A tensor of one number of the same dtype."""
    kwargs.setdefault("dtype", self.dtype)
    size = check("int[]", "new_full", "size", 1, size)
    return full(size, fill_value, **kwargs)


def empty_strided(size: Any, stride: Any, **kwargs: Any) -> Any:
    """Uninitialised storage with these strides."""
    dtype, requires_grad, _, _ = factory_options(kwargs, "empty_strided")
    size = check("int[]", "empty_strided", "size", 1, size)
    stride = check("int[]", "empty_strided", "stride", 2, stride)
    result = _C.empty(size, dtype or _C.get_default_dtype(), stride)
    return finished(result, requires_grad, None)


def new_empty_strided(self: Any, size: Any, stride: Any, **kwargs: Any) -> Any:
    """Uninitialised storage with these strides, of the same dtype."""
    kwargs.setdefault("dtype", self.dtype)
    return empty_strided(size, stride, **kwargs)


def empty_permuted(size: Any, physical_layout: Any, **kwargs: Any) -> Any:
    """Uninitialised storage whose dims lie in memory in the given order."""
    strides, extent = [0] * len(size), 1
    for d in reversed(tuple(physical_layout)):
        strides[d] = extent
        extent *= max(size[d], 1)
    return empty_strided(size, strides, **kwargs)


FUNCTIONS.update(
    full=full,
    full_like=with_input(full_like),
    empty_strided=empty_strided,
    empty_permuted=empty_permuted,
)
METHODS.update(new_full=new_full, new_empty_strided=new_empty_strided)


# ---- from data -----------------------------------------------------------------------------------
def _is_array(data: Any) -> bool:
    return hasattr(data, "__array_interface__") or hasattr(data, "__array__")


def _stacked(data: Any) -> Any:
    """Nested lists that hold tensors or arrays become nested lists of numbers."""
    if isinstance(data, _C.TensorBase):
        return data.tolist()
    if isinstance(data, (list, tuple)):
        return [_stacked(item) for item in data]
    if _is_array(data):
        return data.tolist()
    return data


#: Dimensions that a tensor may have: WT_MAX_DIMS of abi.h.
_MOST_DIMS = 16


def _holds_tensors(data: Any) -> bool:
    for _ in range(_MOST_DIMS):  # deeper ones are refused later; a list may even contain itself
        if not isinstance(data, (list, tuple)) or not data:
            return False
        if any(isinstance(v, _C.TensorBase) or _is_array(v) for v in data):
            return True
        data = data[0]
    return False


def _first_dtype(data: Any) -> Any:
    while isinstance(data, (list, tuple)):
        data = data[0]
    return data.dtype if isinstance(data, _C.TensorBase) else None


def tensor_of(data: Any, dtype: Any = None) -> Any:
    """A new tensor from numbers, nested lists, an array, a buffer or another tensor."""
    if isinstance(data, _C.TensorBase):
        return k.dense_copy(k.cast(data, dtype or data.dtype))
    if _is_array(data):
        from wasm_torch._interop import from_array

        result = from_array(data)
        return k.dense_copy(result if dtype is None else k.cast(result, dtype))
    if _holds_tensors(data):
        dtype = dtype or _first_dtype(data)
        data = _stacked(data)
    if isinstance(data, (bytes, bytearray, memoryview, range)):
        data = list(data)
    return _C.from_data(data, dtype)


def tensor(data: Any, **kwargs: Any) -> Any:
    """A new leaf tensor that copies ``data``."""
    dtype, requires_grad, _, _ = factory_options(kwargs, "tensor")
    if isinstance(data, _C.TensorBase):
        import warnings

        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() "
            "or sourceTensor.detach().clone().requires_grad_(True), rather than "
            "torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
    return finished(tensor_of(data, dtype), requires_grad, None)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """The tensor itself, shared memory where that is possible, or a new tensor."""
    check_device(device)
    if isinstance(data, _C.TensorBase):
        return data if dtype is None else data.to(dtype)
    if _is_array(data) and hasattr(data, "shape"):
        from wasm_torch._interop import from_array

        result = from_array(data)
        return result if dtype is None else result.to(dtype)
    return tensor_of(data, dtype)


def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    copy: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Any:
    """A tensor of an object, sharing memory where possible unless ``copy``."""
    result = as_tensor(obj, dtype, device)
    if copy and (result is obj or not isinstance(obj, (list, tuple, int, float))):
        result = result.detach().clone()
    if requires_grad and not result.dtype.is_floating_point:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return result.requires_grad_() if requires_grad else result


def scalar_tensor(value: Any, **kwargs: Any) -> Any:
    """A 0-dim tensor of the default dtype."""
    dtype, requires_grad, _, _ = factory_options(kwargs, "scalar_tensor")
    return finished(_C.from_data(value, dtype or _C.get_default_dtype()), requires_grad, None)


def new_tensor(self: Any, data: Any, **kwargs: Any) -> Any:
    """A copy of ``data`` in this tensor's dtype."""
    kwargs.setdefault("dtype", self.dtype)
    return tensor(data, **kwargs)


FUNCTIONS.update(tensor=tensor, as_tensor=as_tensor, asarray=asarray, scalar_tensor=scalar_tensor)
METHODS["new_tensor"] = new_tensor
