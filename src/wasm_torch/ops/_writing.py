"""Results written into tensors that exist: in place, and by ``out=``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wasm_torch import _C
from wasm_torch.ops._dtypes import can_cast, scalar_name

if TYPE_CHECKING:
    from wasm_torch.ops._table import Op


def run_inplace(row: Op, values: list[Any]) -> Any:
    """Runs a row and writes its result into the first argument, whose history it joins."""
    self = values[0]
    mode = _C.get_mode()
    if mode is not None:
        return self.copy_(mode(row, values))
    _C.check_inplace(self)
    enabled = _C.grad_enabled()
    if enabled and row.saves_first and _tracks_grad(values):
        values = [self.clone(), *values[1:]]  # the gradient wants the values of before
    _C.set_grad_enabled(False)
    try:
        result = row.kernel(*values)
        if result.shape != self.shape:
            raise RuntimeError(
                f"output with shape {list(self.shape)} doesn't match the broadcast shape "
                f"{list(result.shape)}"
            )
        if not can_cast(result.dtype, self.dtype):
            raise RuntimeError(
                f"result type {scalar_name(result.dtype)} can't be cast to the desired output type "
                f"{scalar_name(self.dtype)}"
            )
        _C.copy_into(self, result)
    finally:
        _C.set_grad_enabled(enabled)
    _C.record_inplace(row, tuple(values), self)
    return self


def _tracks_grad(values: list[Any]) -> bool:
    return any(isinstance(v, _C.TensorBase) and v.requires_grad for v in values)


def write_out(name: str, out: Any, compute: Callable[[], Any], args: tuple[Any, ...]) -> Any:
    """Computes and writes into ``out``, a tensor or a tuple of them, resizing it where needed."""
    involved = [*args, *(out if isinstance(out, (tuple, list)) else (out,))]
    tensors = [t for t in involved if isinstance(t, _C.TensorBase)]
    if _C.grad_enabled() and any(t.requires_grad for t in tensors):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    result = compute()
    if isinstance(out, (tuple, list)):
        for target, value in zip(out, result, strict=True):
            _store(target, value)
        return type(result)(*out) if hasattr(result, "_fields") else tuple(out)
    _store(out, result)
    return out


def _store(out: Any, result: Any) -> None:
    if not can_cast(result.dtype, out.dtype):
        raise RuntimeError(
            f"result type {scalar_name(result.dtype)} can't be cast to the desired output type "
            f"{scalar_name(out.dtype)}"
        )
    if out.shape != result.shape:
        if out.numel() != 0:
            _warn_resize(out, result)
        out.resize_(result.shape)
    _C.copy_into(out, result.detach() if result.requires_grad else result)
    _C.bump(out)


def _warn_resize(out: Any, result: Any) -> None:
    import warnings

    warnings.warn(
        f"An output with one or more elements was resized since it had shape {list(out.shape)}, "
        f"which does not match the required output shape {list(result.shape)}. This behavior is "
        "deprecated, and in a future PyTorch release outputs will not be resized unless they have "
        "zero elements. You can explicitly reuse an out tensor t by resizing it, inplace, to zero "
        "elements with t.resize_(0).",
        UserWarning,
        stacklevel=4,
    )
