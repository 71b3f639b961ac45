"""assert_close: tensors, numbers and containers of them, with torch's messages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import wasm_torch as torch

#: rtol and atol by dtype; integers compare exactly.
_TOLERANCES = {
    torch.float16: (1e-3, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-5),
    torch.float32: (1.3e-6, 1e-5),
    torch.float64: (1e-7, 1e-7),
}


@dataclass(frozen=True)
class Options:
    """The arguments of assert_close."""

    allow_subclasses: bool
    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool
    message: str | Callable[[str], str] | None

    def fail(self, text: str, place: tuple[Any, ...]) -> NoReturn:
        """Raises AssertionError with this text, or with what ``msg`` makes of it."""
        if place:
            item = "".join(f"[{p!r}]" for p in place)
            text += f"\n\nThe failure occurred for item {item}"
        if callable(self.message):
            text = self.message(text)
        elif self.message is not None:
            text = self.message
        raise AssertionError(text) from None

    def tolerances(self, *dtypes: Any) -> tuple[float, float]:
        """rtol and atol: those given, or the loosest of the dtypes'."""
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        defaults = [_TOLERANCES.get(dtype, (0.0, 0.0)) for dtype in dtypes]
        return max(r for r, _ in defaults), max(a for _, a in defaults)


# ---- messages ------------------------------------------------------------------------------------
def _title(kind: str, rtol: float, atol: float) -> str:
    return f"{kind} are not {'equal' if rtol == 0 and atol == 0 else 'close'}!\n\n"


def _difference(name: str, value: Any, allowed: float, exact: bool, place: str = "") -> str:
    limit = "" if exact else f" (up to {allowed} allowed)"
    return f"{name} difference: {value}{place}{limit}"


# ---- tensors -------------------------------------------------------------------------------------
def _compare_tensors(a: Any, b: Any, options: Options, place: tuple[Any, ...]) -> None:
    checks = [("shape", a.shape, b.shape)]
    if options.check_layout:
        checks.append(("layout", a.layout, b.layout))
    if options.check_device:
        checks.append(("device", a.device, b.device))
    if options.check_dtype:
        checks.append(("dtype", a.dtype, b.dtype))
    if options.check_stride:
        checks.append(("stride()", a.stride(), b.stride()))
    for name, x, y in checks:
        if x != y:
            options.fail(f"The values for attribute '{name}' do not match: {x} != {y}.", place)
    rtol, atol = options.tolerances(a.dtype, b.dtype)
    with torch.no_grad():
        if a.dtype is not b.dtype:
            common = torch.promote_types(a.dtype, b.dtype)
            a, b = a.to(common), b.to(common)
        close = torch.isclose(a, b, rtol=rtol, atol=atol, equal_nan=options.equal_nan)
        if not bool(close.all()):
            options.fail(_tensor_message(a, b, close, rtol, atol), place)


def _tensor_message(a: Any, b: Any, close: Any, rtol: float, atol: float) -> str:
    if a.ndim == 0:
        return _number_message(a.item(), b.item(), rtol, atol)
    if a.dtype is torch.bool or (not a.dtype.is_floating_point and a.dtype is not torch.int64):
        a, b = a.long(), b.long()
    absolute = (a - b).abs().masked_fill(close, 0)
    relative = (absolute / b.abs()).masked_fill(close, 0)
    wrong, count, exact = int((~close).sum()), close.numel(), rtol == 0 and atol == 0

    def greatest(name: str, values: Any, allowed: float) -> str:
        flat = values.reshape(-1)
        at = int(flat.argmax())
        index = tuple(int(i) for i in torch.unravel_index(torch.tensor(at), tuple(values.shape)))
        where = f" at index {index}"
        return _difference(f"Greatest {name}", flat[at].item(), allowed, exact, where)

    return (
        _title("Tensor-likes", rtol, atol)
        + f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})\n"
        + greatest("absolute", absolute, atol)
        + "\n"
        + greatest("relative", relative, rtol)
    )


# ---- numbers -------------------------------------------------------------------------------------
def _number_message(a: Any, b: Any, rtol: float, atol: float) -> str:
    exact = rtol == 0 and atol == 0
    absolute = abs(a - b)
    relative = math.inf if b == 0 else absolute / abs(b)
    return (
        _title("Scalars", rtol, atol)
        + f"Expected {b} but got {a}.\n"
        + _difference("Absolute", absolute, atol, exact)
        + "\n"
        + _difference("Relative", relative, rtol, exact)
    )


def _compare_numbers(a: Any, b: Any, options: Options, place: tuple[Any, ...]) -> None:
    if options.check_dtype and type(a) is not type(b):
        options.fail(f"The (d)types do not match: {type(a)} != {type(b)}.", place)
    dtypes = [torch.float64 if isinstance(x, float) else torch.int64 for x in (a, b)]
    rtol, atol = options.tolerances(*dtypes)
    if a == b or (options.equal_nan and a != a and b != b):
        return
    if math.isfinite(a) and math.isfinite(b) and abs(a - b) <= atol + rtol * abs(b):
        return
    options.fail(_number_message(a, b, rtol, atol), place)


# ---- dispatch ------------------------------------------------------------------------------------
def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array_interface__") and not isinstance(value, torch.Tensor)


def _pairs(
    a: Any, b: Any, options: Options, place: tuple[Any, ...]
) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """The leaves of two nested containers, side by side, and where they are."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        missing = sorted((key for key in b if key not in a), key=str)
        additional = sorted((key for key in a if key not in b), key=str)
        if missing or additional:
            options.fail(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {missing}\n"
                f"Additional keys in the actual mapping: {additional}",
                place,
            )
        for key in a:
            yield from _pairs(a[key], b[key], options, (*place, key))
    elif _is_sequence(a) and _is_sequence(b):
        if len(a) != len(b):
            options.fail(f"The length of the sequences mismatch: {len(a)} != {len(b)}", place)
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _pairs(x, y, options, (*place, i))
    else:
        yield a, b, place


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _compare(a: Any, b: Any, options: Options, place: tuple[Any, ...]) -> None:
    related = isinstance(a, type(b)) or isinstance(b, type(a))
    if a is None or b is None:
        if a is not b:
            options.fail(f"None mismatch: {a} is not {b}", place)
    elif isinstance(a, bool) and isinstance(b, bool):
        if a is not b:
            options.fail(f"Booleans mismatch: {a} is not {b}", place)
    elif _is_number(a) and _is_number(b):
        _compare_numbers(a, b, options, place)
    elif _is_array(a) and _is_array(b):
        _compare_tensors(torch.as_tensor(a), torch.as_tensor(b), options, place)
    elif (
        isinstance(a, torch.Tensor)
        and isinstance(b, torch.Tensor)
        and (type(a) is type(b) or (options.allow_subclasses and related))
    ):
        _compare_tensors(a, b, options, place)
    else:
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}."
        )


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Asserts that |actual - expected| <= atol + rtol * |expected| and that all attributes agree.

    Takes tensors, NumPy arrays, numbers, bools, None, and sequences and mappings of them. Without
    tolerances those of the dtype hold: (rtol, atol) is (1e-3, 1e-5) for float16, (1.6e-2, 1e-5) for
    bfloat16, (1.3e-6, 1e-5) for float32, (1e-7, 1e-7) for float64, and 0 for all others.

    Raises AssertionError where they differ, ValueError where only one of the tolerances is given,
    TypeError for what cannot be compared.
    """
    if (rtol is None) != (atol is None):
        missing = "atol" if atol is None else "rtol"
        raise ValueError(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}."
        )
    options = Options(
        allow_subclasses,
        rtol,
        atol,
        equal_nan,
        check_device,
        check_dtype,
        check_layout,
        check_stride,
        msg,
    )
    for a, b, place in _pairs(actual, expected, options, ()):
        _compare(a, b, options, place)
