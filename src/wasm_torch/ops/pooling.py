"""Pooling over windows in two and three dimensions (one dimension is a view of two)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._table import FUNCTIONS, op
from wasm_torch.ops.convolution import output_like, spatial, three


def pooled_size(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> tuple[int, ...]:
    """Output sizes; with ``ceil_mode`` a last window may hang over, if it starts inside."""
    result = []
    for n, kk, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        span = n + 2 * p - d * (kk - 1) - 1
        out = (span + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (out - 1) * s >= n + p:
            out -= 1
        result.append(out)
    return tuple(result)


def _spread(values: Sequence[int], count: int) -> tuple[int, ...]:
    return tuple(values) * count if len(values) == 1 else tuple(values)


class _Window:
    """The checked parameters of one pooling call."""

    def __init__(
        self,
        name: str,
        input: Any,
        count: int,
        kernel: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        ceil_mode: bool,
    ):
        self.kernel = _spread(kernel, count)
        self.stride = _spread(stride, count) if stride else self.kernel
        self.padding = _spread(padding, count)
        self.dilation = _spread(dilation, count)
        if any(s <= 0 for s in self.stride):
            raise RuntimeError("stride should not be zero")
        if any(v <= 0 for v in self.kernel):
            raise RuntimeError(
                f"kernel size should be greater than zero, but got kH: {self.kernel[0]} kW: "
                f"{self.kernel[-1]}"
            )
        if any(d <= 0 for d in self.dilation):
            raise RuntimeError("dilation should be greater than zero")
        if any(2 * p > kk for p, kk in zip(self.padding, self.kernel, strict=True)):
            raise RuntimeError(
                "pad should be at most half of effective kernel size, but got pad="
                f"{max(self.padding)}, kernel_size={self.kernel[0]} and dilation="
                f"{self.dilation[0]}"
                if name == "max"
                else "pad should be smaller than or equal to half of kernel size, but got "
                f"padW = {self.padding[-1]}, padH = {self.padding[0]}, kW = "
                f"{self.kernel[-1]}, kH = {self.kernel[0]}"
            )
        self.batched = input.ndim == count + 2
        if input.ndim not in (count + 1, count + 2):
            raise RuntimeError(
                f"Expected {count + 1}D or {count + 2}D (batch mode) tensor with optional 0 dim "
                f"batch size for input, but got:{list(input.shape)}"
            )
        self.input_size = tuple(input.shape[-count:])
        self.sizes = pooled_size(
            self.input_size, self.kernel, self.stride, self.padding, self.dilation, ceil_mode
        )
        if any(n < 1 for n in self.sizes):
            raise RuntimeError(
                f"Given input size: ({'x'.join(map(str, input.shape[-count - 1 :]))}). Calculated "
                f"output size: ({'x'.join(map(str, (input.shape[-count - 1], *self.sizes)))}). "
                "Output "
                "size is too small"
            )

    def fields(self, with_dilation: bool = True) -> tuple[int, ...]:
        return (
            *three(self.kernel, 1),
            *three(self.stride, 1),
            *three(self.padding, 0),
            *three(self.dilation, 1),
        )


def as_batch(t: Any, count: int) -> Any:
    """(C, *spatial) as a batch of one."""
    if t.ndim == count + 2:
        return t
    return _C.as_strided(t, (1, *t.shape), (t.numel(), *t.stride()), t.storage_offset())


def unbatched(t: Any, batched: bool) -> Any:
    """Drops the batch dim that ``as_batch`` added."""
    if batched:
        return t
    return _C.as_strided(t, tuple(t.shape[1:]), t.stride()[1:], t.storage_offset())


def _max_pool_row(count: int) -> None:
    name = f"max_pool{count}d_with_indices"

    @op(
        f"{name}(Tensor self, int[{count}] kernel_size, int[{count}] stride=[], int[{count}] "
        f"padding=0, int[{count}] dilation=1, bool ceil_mode=False) -> (Tensor result0, Tensor "
        "result1)",
        family="pool",
        method=False,
        doc=f"The largest element of each window of the last {count} dimensions, and its flat "
        "index in its plane (int64). ``stride`` is ``kernel_size`` where it is not given.",
        vjp=lambda grad, self_size, result1: FUNCTIONS["max_pool_backward"](
            grad, result1, tuple(self_size), count
        ),
    )
    def kernel(
        self: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
    ) -> Any:
        window = _Window("max", self, count, kernel_size, stride, padding, dilation, ceil_mode)
        source = as_batch(self, count)
        size = (*source.shape[:2], *window.sizes)
        out = output_like(size, source)
        indices = k.empty(size, _C.int64, out.stride())
        if out.numel():
            k.launch("max_pool", spatial(out), spatial(indices), spatial(source), *window.fields())
        return unbatched(out, window.batched), unbatched(indices, window.batched)


_max_pool_row(2)
_max_pool_row(3)


@op(
    "max_pool_backward(Tensor grad_output, Tensor indices, int[] input_size, int spatial_dims) -> "
    "Tensor",
    family="pool",
    method=False,
    function=True,
    vjp={
        "grad_output": lambda grad, indices, spatial_dims: _gather_plane(
            grad, indices, spatial_dims
        )
    },
)
def max_pool_backward(grad_output: Any, indices: Any, input_size: Any, spatial_dims: int) -> Any:
    """The gradient of max pooling: each element of ``grad_output`` added at its flat index in the
    plane.
    """
    batched = len(input_size) == spatial_dims + 2
    full = tuple(input_size) if batched else (1, *input_size)
    grads, at = as_batch(grad_output, spatial_dims), as_batch(indices, spatial_dims)
    result = output_like(full, grads)
    if result.numel():
        if grads.numel():
            k.launch("max_pool_backward", spatial(result), spatial(grads), spatial(at))
        else:
            k.fill(result, 0)
    return unbatched(result, batched)


def _gather_plane(grad: Any, indices: Any, count: int) -> Any:
    start = grad.ndim - count
    flat = grad.flatten(start)
    return flat.gather(start, indices.flatten(start)).reshape(tuple(indices.shape))


def _avg_pool_row(count: int) -> None:
    arguments = (
        f"int[{count}] kernel_size, int[{count}] stride=[], int[{count}] padding=0, bool "
        "ceil_mode=False, bool count_include_pad=True, int? divisor_override=None"
    )

    def window_of(
        self: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, divisor: Any
    ) -> _Window:
        if divisor == 0:
            raise RuntimeError("divisor must be not zero")
        if count == 3 and any(n < k for n, k in zip(self.shape[-3:], kernel_size, strict=True)):
            have, want = self.shape[-3:], kernel_size
            raise RuntimeError(
                f"input image (T: {have[0]} H: {have[1]} W: {have[2]}) smaller than kernel size "
                f"(kT: {want[0]} kH: {want[1]} kW: {want[2]})"
            )
        return _Window("avg", self, count, kernel_size, stride, padding, (1,) * count, ceil_mode)

    def gradient(
        grad: Any,
        self_size: Any,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: Any,
    ) -> Any:
        window = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        return FUNCTIONS[f"avg_pool{count}d_backward"](grad, tuple(self_size), *window)

    def gradient_of_gradient(
        grad: Any,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: Any,
    ) -> Any:
        window = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        return FUNCTIONS[f"avg_pool{count}d"](grad, *window)

    @op(
        f"avg_pool{count}d(Tensor self, {arguments}) -> Tensor",
        family="pool",
        method=False,
        doc=f"The mean of each window of the last {count} dimensions. ``stride`` is "
        "``kernel_size`` where it is not given.",
        vjp=gradient,
    )
    def kernel(
        self: Any,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: Any,
    ) -> Any:
        window = window_of(self, kernel_size, stride, padding, ceil_mode, divisor_override)
        source = as_batch(self, count)
        out = output_like((*source.shape[:2], *window.sizes), source)
        if out.numel():
            k.launch(
                "avg_pool",
                spatial(out),
                spatial(source),
                *window.fields(),
                count_include_pad,
                divisor_override or 0,
            )
        return unbatched(out, window.batched)

    @op(
        f"avg_pool{count}d_backward(Tensor grad_output, int[] input_size, int[{count}] "
        "kernel_size, "
        f"int[{count}] stride, int[{count}] padding, bool ceil_mode, bool count_include_pad, int? "
        "divisor_override) -> Tensor",
        family="pool",
        method=False,
        doc=f"The gradient of `avg_pool{count}d`.",
        vjp={"grad_output": gradient_of_gradient},
    )
    def backward(
        grad_output: Any,
        input_size: Any,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: Any,
    ) -> Any:
        grads = as_batch(grad_output, count)
        batched = len(input_size) == count + 2
        result = output_like(tuple(input_size) if batched else (1, *input_size), grads)
        window = window_of(result, kernel_size, stride, padding, ceil_mode, divisor_override)
        if result.numel():
            k.launch(
                "avg_pool_backward",
                spatial(result),
                spatial(grads),
                *window.fields(),
                count_include_pad,
                divisor_override or 0,
            )
        return unbatched(result, batched)


_avg_pool_row(2)
_avg_pool_row(3)


def _adaptive_size(self: Any, output_size: Any, count: int, name: str) -> tuple[int, ...]:
    if self.ndim not in (count + 1, count + 2):
        raise RuntimeError(
            f"{name}(): Expected {count + 1}D or {count + 2}D tensor, but got {list(self.shape)}"
        )
    for d in range(1, count + 1):
        if self.shape[-d] == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but "
                "input "
                f"has sizes {list(self.shape)} with dimension {self.ndim - d} being empty"
            )
    return tuple(output_size)


def _adaptive_rows(count: int) -> None:
    average = f"_adaptive_avg_pool{count}d"

    @op(
        f"{average}(Tensor self, int[{count}] output_size) -> Tensor",
        family="pool",
        method=False,
        node=f"AdaptiveAvgPool{count}DBackward0",
        doc=f"The means of windows that divide the last {count} dimensions into ``output_size``.",
        vjp=lambda grad, self_size: FUNCTIONS["adaptive_avg_pool_backward"](
            grad, tuple(self_size), count
        ),
    )
    def kernel(self: Any, output_size: Any) -> Any:
        sizes = _adaptive_size(self, output_size, count, f"adaptive_avg_pool{count}d")
        source = as_batch(self, count)
        out = output_like((*source.shape[:2], *sizes), source)
        if out.numel():
            k.launch("adaptive_avg_pool", spatial(out), spatial(source))
        return unbatched(out, self.ndim == count + 2)

    @op(
        f"adaptive_max_pool{count}d(Tensor self, int[{count}] output_size) -> (Tensor result0, "
        "Tensor "
        "result1)",
        family="pool",
        method=False,
        doc=f"The largest elements of windows that divide the last {count} dimensions into "
        "``output_size``, and their flat indices in the plane (int64).",
        vjp=lambda grad, self_size, result1: FUNCTIONS["max_pool_backward"](
            grad, result1, tuple(self_size), count
        ),
    )
    def max_kernel(self: Any, output_size: Any) -> Any:
        sizes = _adaptive_size(self, output_size, count, f"adaptive_max_pool{count}d")
        source = as_batch(self, count)
        size = (*source.shape[:2], *sizes)
        out = output_like(size, source)
        indices = k.empty(size, _C.int64, out.stride())
        if out.numel():
            k.launch("adaptive_max_pool", spatial(out), spatial(indices), spatial(source))
        batched = self.ndim == count + 2
        return unbatched(out, batched), unbatched(indices, batched)


_adaptive_rows(2)
_adaptive_rows(3)


@op(
    "adaptive_avg_pool_backward(Tensor grad_output, int[] input_size, int spatial_dims) -> Tensor",
    family="pool",
    method=False,
    vjp={
        "grad_output": lambda grad, grad_output_size, spatial_dims: FUNCTIONS[
            f"_adaptive_avg_pool{spatial_dims}d"
        ](grad, tuple(grad_output_size[-spatial_dims:]))
    },
)
def adaptive_avg_pool_backward(grad_output: Any, input_size: Any, spatial_dims: int) -> Any:
    """The gradient of adaptive average pooling over the last ``spatial_dims`` dimensions."""
    batched = len(input_size) == spatial_dims + 2
    grads = as_batch(grad_output, spatial_dims)
    result = output_like(tuple(input_size) if batched else (1, *input_size), grads)
    if result.numel():
        if grads.numel():
            k.launch("adaptive_avg_pool_backward", spatial(result), spatial(grads))
        else:
            k.fill(result, 0)
    return unbatched(result, batched)


@op(
    "max_pool2d_with_indices_backward(Tensor grad_output, Tensor self, int[2] kernel_size, int[2] "
    "stride, int[2] padding, int[2] dilation, bool ceil_mode, Tensor indices) -> Tensor",
    family="pool",
    method=False,
    vjp={
        "grad_output": lambda grad, indices: _gather_plane(grad, indices, 2),
        "self": lambda grad: FUNCTIONS["zeros_like"](grad),
    },
)
def max_pool2d_with_indices_backward(
    grad_output: Any,
    self: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    indices: Any,
) -> Any:
    """The gradient of `max_pool2d_with_indices`."""
    return max_pool_backward.kernel(grad_output, indices, tuple(self.shape), 2)
