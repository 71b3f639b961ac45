"""New tensors: filled, from ranges, from data, and copies of others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch._formats import (
    channels_last,
    channels_last_3d,
    channels_last_stride,
    contiguous_format,
    preserve_format,
)
from wasm_torch._formats import device as make_device
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite, op, run_inplace


# ---- arguments that all of them share ------------------------------------------------------------
def _size(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, ...]:
    if "size" in kwargs:
        args = (kwargs.pop("size"),)
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    return tuple(int(s) for s in args)


def _check_device(device: Any) -> None:
    if device is not None:
        make_device(device)


def _options(kwargs: dict[str, Any], name: str) -> tuple[Any, bool, Any, Any]:
    """dtype, requires_grad, out and memory_format; the rest has one meaning only here."""
    dtype = kwargs.pop("dtype", None)
    requires_grad = kwargs.pop("requires_grad", False)
    out = kwargs.pop("out", None)
    memory_format = kwargs.pop("memory_format", None)
    _check_device(kwargs.pop("device", None))
    for ignored in ("layout", "pin_memory", "generator", "names"):
        kwargs.pop(ignored, None)
    if kwargs:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(kwargs))}'")
    if isinstance(dtype, type):
        dtype = {float: _C.float32, int: _C.int64, bool: _C.bool}[dtype]
    return dtype, requires_grad, out, memory_format


def allocate(size: Sequence[int], dtype: Any, memory_format: Any = None) -> Any:
    """Uninitialised storage in a memory format."""
    if memory_format in (channels_last, channels_last_3d):
        wanted = 4 if memory_format is channels_last else 5
        if len(size) != wanted:
            raise RuntimeError(f"required rank {wanted} tensor to use {memory_format.name} format")
        return _C.empty(tuple(size), dtype, channels_last_stride(tuple(size)))
    return _C.empty(tuple(size), dtype)


def _finish(result: Any, requires_grad: bool, out: Any) -> Any:
    if out is not None:
        if tuple(out.shape) != tuple(result.shape):
            out.resize_(tuple(result.shape))
        _C.copy_into(out, result)
        _C.bump(out)
        return out
    return result.requires_grad_() if requires_grad else result


def _filled(name: str, value: Any) -> None:
    def call(*size: Any, **kwargs: Any) -> Any:
        shape = _size(size, kwargs)
        dtype, requires_grad, out, memory_format = _options(kwargs, name)
        if out is not None and dtype is None:
            dtype = out.dtype
        result = allocate(shape, dtype or _C.get_default_dtype(), memory_format)
        if value is not None:
            k.fill(result, value)
        return _finish(result, requires_grad, out)

    def like(self: Any, **kwargs: Any) -> Any:
        dtype, requires_grad, _, memory_format = _options(kwargs, f"{name}_like")
        result = like_allocated(self, dtype, memory_format)
        if value is not None:
            k.fill(result, value)
        return _finish(result, requires_grad, None)

    def new(self: Any, *size: Any, **kwargs: Any) -> Any:
        shape = _size(size, kwargs)
        kwargs.setdefault("dtype", self.dtype)
        if kwargs["dtype"] is None:
            kwargs["dtype"] = self.dtype
        return call(shape, **kwargs)

    what = {0: "zeros", 1: "ones", None: "uninitialised elements"}[value]
    call.__name__, call.__doc__ = name, f"A new tensor of {what}."
    like.__name__, like.__doc__ = f"{name}_like", f"A tensor of {what} shaped like another."
    new.__name__, new.__doc__ = f"new_{name}", f"A tensor of {what} of the same dtype."
    FUNCTIONS[name] = call
    FUNCTIONS[f"{name}_like"] = _with_input(like)
    METHODS[f"new_{name}"] = new


def _with_input(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets the first argument be passed as ``input=``."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if "input" in kwargs:
            args = (kwargs.pop("input"), *args)
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
    dtype, requires_grad, out, memory_format = _options(kwargs, "full")
    if isinstance(fill_value, _C.TensorBase):
        fill_value = fill_value.item()
    if dtype is None:
        dtype = _C.from_data(fill_value).dtype if out is None else out.dtype
    shape = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    result = k.fill(allocate(shape, dtype, memory_format), fill_value)
    return _finish(result, requires_grad, out)


def full_like(self: Any, fill_value: Any, **kwargs: Any) -> Any:
    """A tensor of one number shaped like another."""
    dtype, requires_grad, _, memory_format = _options(kwargs, "full_like")
    if isinstance(fill_value, _C.TensorBase):
        fill_value = fill_value.item()
    return _finish(
        k.fill(like_allocated(self, dtype, memory_format), fill_value), requires_grad, None
    )


def new_full(self: Any, size: Any, fill_value: Any, **kwargs: Any) -> Any:
    """A tensor of one number of the same dtype."""
    kwargs.setdefault("dtype", self.dtype)
    return full(size, fill_value, **kwargs)


def empty_strided(size: Any, stride: Any, **kwargs: Any) -> Any:
    """Uninitialised storage with these strides."""
    dtype, requires_grad, _, _ = _options(kwargs, "empty_strided")
    result = _C.empty(tuple(size), dtype or _C.get_default_dtype(), tuple(stride))
    return _finish(result, requires_grad, None)


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
    full_like=_with_input(full_like),
    empty_strided=empty_strided,
    empty_permuted=empty_permuted,
)
METHODS.update(new_full=new_full, new_empty_strided=new_empty_strided)


# ---- ranges --------------------------------------------------------------------------------------
def arange(*args: Any, **kwargs: Any) -> Any:
    """``arange(end)``, ``arange(start, end, step=1)``: numbers from start (included) to end."""
    start, end, step = 0, None, 1
    if len(args) == 1:
        end = args[0]
    elif len(args) >= 2:
        start, end = args[:2]
        step = args[2] if len(args) > 2 else 1
    start, step = kwargs.pop("start", start), kwargs.pop("step", step)
    end = kwargs.pop("end", end)
    dtype, requires_grad, out, _ = _options(kwargs, "arange")
    if end is None:
        raise TypeError('arange() missing 1 required positional arguments: "end"')
    start, end, step = (v.item() if isinstance(v, _C.TensorBase) else v for v in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if any(isinstance(v, float) and not math.isfinite(v) for v in (start, end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype is None and out is not None:
        dtype = out.dtype
    if dtype is None:
        floating = any(isinstance(v, float) for v in (start, end, step))
        dtype = _C.get_default_dtype() if floating else _C.int64
    if not dtype.is_floating_point:
        start, end, step = int(start), int(end), int(step)
        count = max(-(-(end - start) // step), 0)
    else:
        count = max(math.ceil((end - start) / step), 0)
    result = _C.empty((count,), dtype)
    if count:
        _C.launch("arange", result, start, step)
    return _finish(result, requires_grad, out)


def range_(start: Any = 0, end: Any = None, step: Any = 1, **kwargs: Any) -> Any:
    """Like arange with the end included (deprecated in torch)."""
    if end is None:
        start, end = 0, start
    dtype, requires_grad, out, _ = _options(kwargs, "range")
    count = int((end - start) / step) + 1
    result = _C.empty((count,), dtype or _C.get_default_dtype())
    _C.launch("arange", result, start, step)
    return _finish(result, requires_grad, out)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, _C.TensorBase) else value


def linspace(start: Any, end: Any, steps: int, **kwargs: Any) -> Any:
    """``steps`` evenly spaced numbers from start to end, both included."""
    dtype, requires_grad, out, _ = _options(kwargs, "linspace")
    start, end = _number(start), _number(end)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if dtype is None:
        dtype = out.dtype if out is not None else _C.get_default_dtype()
    result = _C.empty((steps,), dtype)
    if steps:
        _C.launch("linspace", result, float(start), float(end))
    return _finish(result, requires_grad, out)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, **kwargs: Any) -> Any:
    """``base`` to the powers of ``linspace``."""
    dtype, requires_grad, out, _ = _options(kwargs, "logspace")
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if dtype is None:
        dtype = out.dtype if out is not None else _C.get_default_dtype()
    start, end = float(_number(start)), float(_number(end))
    exponents = _C.empty((steps,), _C.float64)
    if steps:
        if dtype.is_floating_point:
            _C.launch("linspace", exponents, start, end)
        else:
            step = (end - start) / (steps - 1) if steps > 1 else 0.0
            _C.launch("arange", exponents, start, step)
    powers = k.binary("pow", _C.from_data(float(base), _C.float64), exponents)
    return _finish(k.cast(powers, dtype), requires_grad, out)


def eye(n: int, m: int | None = None, **kwargs: Any) -> Any:
    """Ones on the diagonal of an (n, m) tensor of zeros."""
    dtype, requires_grad, out, _ = _options(kwargs, "eye")
    columns = n if m is None else m
    if n < 0 or columns < 0:
        which = "n" if n < 0 else "m"
        raise RuntimeError(f"{which} must be greater or equal to 0, got {n if n < 0 else columns}")
    result = k.full((n, columns), 0, dtype or _C.get_default_dtype())
    length = min(n, columns)
    if length:
        k.fill(_C.as_strided(result, (length,), (columns + 1,), 0), 1)
    return _finish(result, requires_grad, out)


def tril_indices(row: int, col: int, offset: int = 0, **kwargs: Any) -> Any:
    """Indices (2, N) of the lower triangle."""
    return _triangle_indices(row, col, offset, kwargs, lambda i, j: j - i <= offset)


def triu_indices(row: int, col: int, offset: int = 0, **kwargs: Any) -> Any:
    """Indices (2, N) of the upper triangle."""
    return _triangle_indices(row, col, offset, kwargs, lambda i, j: j - i >= offset)


def _triangle_indices(
    row: int, col: int, offset: int, kwargs: dict[str, Any], inside: Callable[[int, int], bool]
) -> Any:
    dtype, requires_grad, _, _ = _options(kwargs, "tril_indices")
    pairs = [(i, j) for i in range(row) for j in range(col) if inside(i, j)]
    flat = [p[0] for p in pairs] + [p[1] for p in pairs]
    result = _C.from_data(flat, dtype or _C.int64) if flat else _C.empty((0,), dtype or _C.int64)
    return _finish(result.view(2, len(pairs)), requires_grad, None)


FUNCTIONS.update(
    arange=arange,
    range=range_,
    linspace=linspace,
    logspace=logspace,
    eye=eye,
    tril_indices=tril_indices,
    triu_indices=triu_indices,
)


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


def _holds_tensors(data: Any) -> bool:
    while isinstance(data, (list, tuple)):
        if not data:
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
    dtype, requires_grad, _, _ = _options(kwargs, "tensor")
    if isinstance(data, _C.TensorBase):
        import warnings

        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() "
            "or sourceTensor.detach().clone().requires_grad_(True), rather than "
            "torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
    return _finish(tensor_of(data, dtype), requires_grad, None)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """The tensor itself, shared memory where that is possible, or a new tensor."""
    _check_device(device)
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
    return result.requires_grad_() if requires_grad else result


def scalar_tensor(value: Any, **kwargs: Any) -> Any:
    """A 0-dim tensor of the default dtype."""
    dtype, requires_grad, _, _ = _options(kwargs, "scalar_tensor")
    return _finish(_C.from_data(value, dtype or _C.get_default_dtype()), requires_grad, None)


def new_tensor(self: Any, data: Any, **kwargs: Any) -> Any:
    """A copy of ``data`` in this tensor's dtype."""
    kwargs.setdefault("dtype", self.dtype)
    return tensor(data, **kwargs)


FUNCTIONS.update(tensor=tensor, as_tensor=as_tensor, asarray=asarray, scalar_tensor=scalar_tensor)
METHODS["new_tensor"] = new_tensor


# ---- copies and conversions ----------------------------------------------------------------------
@op(
    "clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor",
    family="copy",
    vjp=lambda grad: grad,
)
def clone(self: Any, memory_format: Any) -> Any:
    if memory_format is contiguous_format:
        return k.dense_copy(self)
    result = like_allocated(self, None, memory_format)
    _C.copy_into(result, self)
    return result


@op(
    "_to_copy(Tensor self, *, ScalarType? dtype=None, MemoryFormat? memory_format=None) -> Tensor",
    family="copy",
    method=False,
    node="ToCopyBackward0",
    vjp=lambda grad, self_dtype: grad.to(self_dtype),
)
def to_copy(self: Any, dtype: Any, memory_format: Any) -> Any:
    result = like_allocated(self, dtype, memory_format)
    _C.copy_into(result, self)
    return result


def _is_in_format(self: Any, memory_format: Any) -> bool:
    if memory_format is None or memory_format is preserve_format:
        return True
    return self.is_contiguous(memory_format=memory_format)


def to(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Converts dtype or memory format: ``to(dtype)``, ``to(device, dtype)``, ``to(other)``.

    Gives the tensor itself where nothing changes, unless ``copy=True``.
    """
    dtype, copy = kwargs.pop("dtype", None), kwargs.pop("copy", False)
    memory_format = kwargs.pop("memory_format", None)
    kwargs.pop("non_blocking", None)
    _check_device(kwargs.pop("device", None))
    other = kwargs.pop("other", None)
    rest = []
    for value in (*args, other):
        if isinstance(value, _C.TensorBase):
            dtype = value.dtype
        elif isinstance(value, _C.dtype):
            dtype = value
        elif value in (float, int, bool) and isinstance(value, type):
            dtype = {float: _C.float32, int: _C.int64, bool: _C.bool}[value]
        elif isinstance(value, bool):
            rest.append(value)
        elif value is not None:
            _check_device(value)
    if len(rest) > 1:
        copy = rest[1]
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    same = dtype is None or dtype is self.dtype
    if same and not copy and _is_in_format(self, memory_format):
        return self
    return FUNCTIONS["_to_copy"](self, dtype=dtype or self.dtype, memory_format=memory_format)


METHODS["to"] = to


def _conversion(name: str, dtype: Any) -> None:
    def convert(self: Any, memory_format: Any = None) -> Any:
        return to(self, dtype, memory_format=memory_format)

    convert.__name__ = name
    convert.__doc__ = f"The tensor as {dtype}."
    METHODS[name] = convert


for _name, _dtype in (
    ("float", _C.float32),
    ("double", _C.float64),
    ("half", _C.float16),
    ("bfloat16", _C.bfloat16),
    ("int", _C.int32),
    ("long", _C.int64),
    ("short", _C.int16),
    ("char", _C.int8),
    ("byte", _C.uint8),
    ("bool", _C.bool),
):
    _conversion(_name, _dtype)


@composite(function=False, method=True)
def type_as(self: Any, other: Any) -> Any:
    """The tensor in the dtype of ``other``."""
    return to(self, other.dtype)


@composite(function=False, method=True)
def contiguous(self: Any, memory_format: Any = contiguous_format) -> Any:
    """The tensor itself where it lies densely in the format, else a copy that does."""
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    if self.is_contiguous(memory_format=memory_format):
        return self
    return self.clone(memory_format=memory_format)


@op(
    "copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor",
    family="copy",
    function=False,
    method=False,
    node="CopyBackwards",
    vjp={"self": lambda grad: FUNCTIONS["zeros_like"](grad), "src": lambda grad: grad},
)
def copy_values(self: Any, src: Any, non_blocking: bool) -> Any:
    result = k.empty_like(self)
    _C.copy_into(result, src)
    return result


def copy_(self: Any, src: Any, non_blocking: bool = False) -> Any:
    """Writes the elements of ``src``, broadcast and converted, into this tensor."""
    if not isinstance(src, _C.TensorBase):
        src = tensor_of(src)
    _C.check_inplace(self)
    _C.copy_into(self, src)
    _C.record_inplace(copy_values, (self, src, non_blocking), self)
    return self


METHODS["copy_"] = copy_


@op(
    "fill.Scalar(Tensor self, Tensor value) -> Tensor",
    family="copy",
    wrapped_numbers=True,
    method=False,
    node="FillBackward0",
    vjp={"self": lambda grad: FUNCTIONS["zeros_like"](grad), "value": lambda grad: grad.sum()},
)
def fill(self: Any, value: Any) -> Any:
    if isinstance(value, _C.TensorBase):
        if value.ndim:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{value.ndim} dimensions."
            )
        value = value.item()
    return k.fill(k.empty_like(self), value)


def fill_(self: Any, value: Any) -> Any:
    """Writes one number everywhere."""
    if isinstance(value, _C.TensorBase) and value.requires_grad:
        return run_inplace(fill, [self, value])
    if isinstance(value, _C.TensorBase):
        fill.kernel(_C.empty((), self.dtype), value)
        value = value.item()
    elif not isinstance(value, (int, float)):
        value = _number(value)
    _C.check_inplace(self)
    k.fill(self, value)
    _C.record_inplace(fill, (self, value), self)
    return self


def zero_(self: Any) -> Any:
    """Writes zeros everywhere."""
    return fill_(self, 0)


METHODS.update(fill_=fill_, zero_=zero_)
FUNCTIONS.update(fill_=fill_, zero_=zero_)


def resize_(self: Any, *sizes: Any, memory_format: Any = None) -> Any:
    """Changes the shape in place; new elements are uninitialised."""
    size = _size(sizes, {})
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if self.grad_fn is not None:
        raise RuntimeError("cannot resize variables that require grad")
    stride = k.contiguous_stride(size)
    if memory_format in (channels_last, channels_last_3d):
        stride = channels_last_stride(size)
    needed = (k.numel(size) + self.storage_offset()) * self.itemsize
    _C.resize_storage(self, needed)
    _C.set_geometry(self, size, stride, self.storage_offset())
    return self


METHODS["resize_"] = resize_


def resize_as_(self: Any, other: Any, memory_format: Any = None) -> Any:
    """Changes the shape in place to that of ``other``."""
    return resize_(self, tuple(other.shape), memory_format=memory_format)


METHODS["resize_as_"] = FUNCTIONS["resize_as_"] = resize_as_


def set_(self: Any, source: Any = None, *args: Any) -> Any:
    """Makes this tensor stand for the storage and geometry of ``source``."""
    self.data = self.new_empty((0,)) if source is None else source.detach()
    return self


METHODS["set_"] = set_


# ---- triangles -----------------------------------------------------------------------------------
def _triangle_row(name: str, upper: bool) -> None:
    @op(
        f"{name}(Tensor self, int diagonal=0) -> Tensor",
        family="copy",
        inplace=True,
        vjp=lambda grad, diagonal: FUNCTIONS[name](grad, diagonal),
    )
    def kernel(self: Any, diagonal: int) -> Any:
        if self.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        out = _C.empty(tuple(self.shape), self.dtype)
        if out.numel():
            _C.launch("triangle", out, self, diagonal, upper)
        return out


_triangle_row("tril", False)
_triangle_row("triu", True)
