"""Views in terms of others: flattening, moving and splitting dims."""

from __future__ import annotations

import itertools
from typing import Any

from wasm_torch import _C
from wasm_torch.ops._convert import check, is_int
from wasm_torch.ops._kernels import numel, wrap_dim
from wasm_torch.ops._table import METHODS, alias, composite
from wasm_torch.ops.views import infer_size, slice_row


# ---- composites ----------------------------------------------------------------------------------
@composite(method=True)
def flatten(self: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Joins the dims from ``start_dim`` to ``end_dim`` into one."""
    start, end = wrap_dim(start_dim, self.ndim), wrap_dim(end_dim, self.ndim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if self.ndim == 0:
        return self.reshape(1)
    if start == end:
        return self
    size = self.shape
    return self.reshape((*size[:start], numel(size[start : end + 1]), *size[end + 1 :]))


@composite(method=True)
def unflatten(self: Any, dim: int, sizes: Any) -> Any:
    """Splits ``dim`` into ``sizes``, of which one may be -1."""
    at = wrap_dim(dim, self.ndim)
    sizes = (sizes,) if type(sizes) is int else check("int[]", "unflatten", "sizes", 2, sizes)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    length = self.shape[at]
    try:
        inner = infer_size(sizes, length)
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {at} "
            f"({length}) in the input tensor"
        ) from None
    return self.view((*self.shape[:at], *inner, *self.shape[at + 1 :]))


@composite(method=True)
def ravel(self: Any) -> Any:
    """One dimension, a view where possible."""
    return self.contiguous().view(-1)


@composite(method=True)
def movedim(self: Any, source: Any, destination: Any) -> Any:
    """Moves dims to other places; the others keep their order."""
    source = (source,) if isinstance(source, int) else tuple(source)
    destination = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(source) != len(destination):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source "
            f"({list(source)} dims) should contain the same number of dims as destination "
            f"({list(destination)} dims)"
        )
    sources = [wrap_dim(d, self.ndim) for d in source]
    targets = [wrap_dim(d, self.ndim) for d in destination]
    for label, dims in (("source", sources), ("destination", targets)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{label}` ({list(dims)})")
    placed = dict(zip(targets, sources, strict=True))
    rest = iter(d for d in range(self.ndim) if d not in sources)
    return self.permute([placed[d] if d in placed else next(rest) for d in range(self.ndim)])


for _name in ("moveaxis",):
    alias(_name, "movedim")


@composite(method=True)
def adjoint(self: Any) -> Any:
    """The last two dims swapped."""
    return self.transpose(-2, -1)


def split_sizes(size: int, length: int) -> list[int]:
    """Lengths of chunks of at most ``size``."""
    if size == 0 and length == 0:
        return [0]
    if size <= 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    return [min(size, length - start) for start in range(0, length, size)] or [0]


@composite(method=True)
def split(self: Any, split_size_or_sections: Any = None, dim: int = 0, **kwargs: Any) -> Any:
    """Views of consecutive pieces along ``dim``: of one size, or of given sizes."""
    sections = kwargs.get("split_size", split_size_or_sections)
    if self.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    at = wrap_dim(dim, self.ndim)
    length = self.shape[at]
    if is_int(sections):
        sizes = split_sizes(int(sections), length)
    else:
        sizes = list(check("int[]", "split_with_sizes", "split_sizes", 2, sections))
        if sum(sizes) != length or any(s < 0 for s in sizes):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {length} (input tensor's "
                f"size at dimension {dim}), but got split_sizes={list(sizes)}"
            )
    pieces, start = [], 0
    for size in sizes:
        pieces.append(slice_row(self, at, start, start + size, 1))
        start += size
    return tuple(pieces)


@composite(method=True)
def split_with_sizes(self: Any, split_sizes: Any, dim: int = 0) -> Any:
    """Views of consecutive pieces of given sizes along ``dim``."""
    return split(self, list(split_sizes), dim)


@composite(method=True)
def chunk(self: Any, chunks: int, dim: int = 0) -> Any:
    """At most ``chunks`` views of equal size (the last may be smaller) along ``dim``."""
    if self.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    chunks = check("int", "chunk", "chunks", 2, chunks)
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    length = self.shape[wrap_dim(dim, self.ndim)]
    size = -(-length // chunks)
    if size == 0:
        return split(self, [0] * chunks, dim)
    return split(self, size, dim)


@composite(method=True)
def tensor_split(self: Any, indices_or_sections: Any = None, dim: int = 0, **kwargs: Any) -> Any:
    """Views along ``dim``, cut at indices or into a number of nearly equal sections."""
    where = kwargs.get("indices", kwargs.get("sections", indices_or_sections))
    if self.ndim == 0:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    at = wrap_dim(dim, self.ndim)
    length = self.shape[at]
    if isinstance(where, _C.TensorBase):
        where = where.tolist()
    if isinstance(where, int):
        if where <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {where}")
        base, extra = divmod(length, where)
        bounds = [0]
        for i in range(where):
            bounds.append(bounds[-1] + base + (i < extra))
    else:
        bounds = [0, *where, length]
    return tuple(
        slice_row(self, at, start, max(end, start) if start >= 0 and end >= 0 else end, 1)
        for start, end in itertools.pairwise(bounds)
    )


@composite(method=True)
def unbind(self: Any, dim: int = 0) -> Any:
    """Views of the slices along ``dim``."""
    at = wrap_dim(dim, self.ndim)
    if self.ndim == 0:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    return tuple(self.select(at, i) for i in range(self.shape[at]))


@composite(method=True)
def vsplit(self: Any, indices_or_sections: Any) -> Any:
    """tensor_split along dim 0."""
    if self.ndim < 2:
        raise RuntimeError(
            f"torch.vsplit requires a tensor with at least 2 dimension, but got a tensor with "
            f"{self.ndim} dimensions!"
        )
    return _checked_split("vsplit", self, indices_or_sections, 0)


@composite(method=True)
def hsplit(self: Any, indices_or_sections: Any) -> Any:
    """tensor_split along dim 1 (0 for one dimension)."""
    if self.ndim < 1:
        raise RuntimeError(
            "torch.hsplit requires a tensor with at least 1 dimension, but got a tensor with 0 "
            "dimensions!"
        )
    return _checked_split("hsplit", self, indices_or_sections, 0 if self.ndim == 1 else 1)


@composite(method=True)
def dsplit(self: Any, indices_or_sections: Any) -> Any:
    """tensor_split along dim 2."""
    if self.ndim < 3:
        raise RuntimeError(
            f"torch.dsplit requires a tensor with at least 3 dimension, but got a tensor with "
            f"{self.ndim} dimensions!"
        )
    return _checked_split("dsplit", self, indices_or_sections, 2)


def _checked_split(name: str, self: Any, sections: Any, dim: int) -> Any:
    if isinstance(sections, int) and self.shape[dim] % sections:
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension "
            f"{self.shape[dim]} is not divisible by the split_size {sections}!"
        )
    return tensor_split(self, sections, dim)


def _at_least(count: int) -> None:
    def call(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
            return tuple(one(t) for t in tensors[0])
        return one(tensors[0]) if len(tensors) == 1 else tuple(one(t) for t in tensors)

    def one(tensor: Any) -> Any:
        if tensor.ndim >= count:
            return tensor
        if tensor.ndim == 0:
            return tensor.reshape((1,) * count)
        if count == 2:
            return tensor.unsqueeze(0)
        return tensor.unsqueeze(0).unsqueeze(-1) if tensor.ndim == 1 else tensor.unsqueeze(-1)

    call.__name__ = f"atleast_{count}d"
    call.__doc__ = f"Views with at least {count} dimensions."
    composite()(call)


for reduced_count in (1, 2, 3):
    _at_least(reduced_count)


# ---- geometry in place ---------------------------------------------------------------------------
def _inplace_geometry(name: str) -> None:
    """``x.t_()`` and its kin change the geometry of the tensor object itself."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        changed = getattr(self.detach(), name)(*args, **kwargs)
        _C.set_geometry(self, tuple(changed.shape), changed.stride(), changed.storage_offset())
        return self

    call.__name__ = call.__qualname__ = f"{name}_"
    call.__doc__ = f"`{name}` of this tensor object itself; its storage stays. Returns ``self``."
    METHODS[f"{name}_"] = call


for _name in ("t", "transpose", "swapaxes", "swapdims", "squeeze", "unsqueeze", "as_strided"):
    _inplace_geometry(_name)


@composite(method=True)
def detach(self: Any) -> Any:
    """The same storage without history; in-place changes are still counted."""
    return _C.alias(self)
