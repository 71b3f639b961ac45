"""Exchange with numpy, the buffer protocol and DLPack.

On the desktop memory is shared. In Pyodide the engine's memory is not Python's, so arrays are
copies, and ``numpy()`` gives a read-only one: a write that would be lost is an error.
"""

from __future__ import annotations

import sys
from typing import Any

from wasm_torch import _C

SHARES_MEMORY = sys.platform != "emscripten"


def to_numpy(tensor: Any, force: bool) -> Any:
    """The tensor as a numpy array: the same memory on the desktop, a read-only copy in Pyodide."""
    try:
        import numpy
    except ImportError:
        raise RuntimeError("Numpy is not available") from None
    if tensor.requires_grad and not force:
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if tensor.dtype is _C.bfloat16:
        raise TypeError("Got unsupported ScalarType BFloat16")
    plain = tensor.detach()
    if SHARES_MEMORY:
        return numpy.asarray(memoryview(plain))
    array = numpy.frombuffer(_C.to_bytes(plain), dtype=plain.dtype.name)
    return array.reshape(tuple(plain.shape))


_KINDS = {
    "f": {2: "float16", 4: "float32", 8: "float64"},
    "b": {1: "bool"},
    "u": {1: "uint8"},
    "i": {1: "int8", 2: "int16", 4: "int32", 8: "int64"},
}


def array_dtype(array: Any) -> Any:
    """The dtype of an array's elements. Raises TypeError where there is none."""
    name = _KINDS.get(array.dtype.kind, {}).get(array.dtype.itemsize)
    if name is None:
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{array.dtype.type.__name__}. The only "
            "supported types are: float64, float32, float16, int64, int32, int16, int8, uint8, "
            "and bool."
        )
    return _C.dtype_by_name(name)


def from_array(array: Any) -> Any:
    """A tensor over an array's memory (desktop) or with a copy of it (Pyodide).

    Raises TypeError for what is no numpy array and ValueError for negative strides.
    """
    if not hasattr(array, "__array_interface__"):
        import numpy

        array = numpy.asarray(array)
    dtype = array_dtype(array)
    size = tuple(array.shape)
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion "
            "between byte orders is currently not supported."
        )
    if any(s < 0 for s in array.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) "
        )
    if any(s % array.dtype.itemsize for s in array.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy "
            "array to reallocate the memory."
        )
    if not SHARES_MEMORY or array.size == 0:
        return _C.from_buffer(array.tobytes(), dtype, size)
    strides = tuple(s // array.dtype.itemsize for s in array.strides)
    extent = 1 + sum((n - 1) * s for n, s in zip(size, strides, strict=True))
    address = array.__array_interface__["data"][0]
    return _C.from_address(address, extent * array.dtype.itemsize, array, dtype, size, strides)


def from_numpy(array: Any) -> Any:
    """A tensor that shares the memory of a numpy array (a copy in Pyodide)."""
    if not hasattr(array, "__array_interface__") or not hasattr(array, "strides"):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    return from_array(array)


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Any:
    """A 1-d tensor over a buffer (a copy in Pyodide), ``offset`` bytes in."""
    try:
        view = memoryview(buffer)
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    length = view.nbytes
    if length == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({length} bytes) minus 1"
        )
    if count == 0 or count < -1:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if count < 0:
        if (length - offset) % dtype.itemsize:
            raise ValueError(
                f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a "
                f"multiple of element size ({dtype.itemsize})"
            )
        count = (length - offset) // dtype.itemsize
    if offset + count * dtype.itemsize > length:
        raise ValueError(
            f"requested buffer length ({count} * {dtype.itemsize} bytes) after offset ({offset} "
            f"bytes) must not be greater than actual buffer length ({length} bytes)"
        )
    result = _C.from_buffer(buffer, dtype, (count,), offset, SHARES_MEMORY)
    return result.requires_grad_() if requires_grad else result


def to_dlpack(tensor: Any, **options: Any) -> Any:
    """A DLPack capsule over the tensor's memory, by way of numpy."""
    return to_numpy(tensor, False).__dlpack__(**options)


class _Capsule:
    """A DLPack capsule of this machine's memory, as numpy wants it."""

    def __init__(self, capsule: Any):
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def from_dlpack(external: Any) -> Any:
    """A tensor that shares the memory of an object with ``__dlpack__`` or of a capsule."""
    if isinstance(external, _C.TensorBase):
        return external
    if not hasattr(external, "__dlpack__"):
        external = _Capsule(external)
    import numpy

    return from_array(numpy.from_dlpack(external))
