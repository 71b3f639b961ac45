"""Convolution in one, two and three dimensions, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch._formats import channels_last_stride
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._dtypes import scalar_name
from wasm_torch.ops._table import FUNCTIONS, op


def spatial(t: Any) -> Any:
    """(N, C, *spatial) with leading spatial dims of size 1, so that there are three."""
    missing = 5 - t.ndim
    if missing == 0:
        return t
    size, stride = tuple(t.shape), t.stride()
    return _C.as_strided(
        t,
        (*size[:2], *(1,) * missing, *size[2:]),
        (*stride[:2], *(0,) * missing, *stride[2:]),
        t.storage_offset(),
    )


def three(values: Sequence[int], filler: int) -> tuple[int, ...]:
    """Per-dim parameters with leading ones, so that there are three."""
    return (filler,) * (3 - len(values)) + tuple(values)


def _geometry(
    stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int
) -> tuple[int, ...]:
    return (groups, *three(stride, 1), *three(padding, 0), *three(dilation, 1))


def is_channels_last(t: Any) -> bool:
    """Whether a dense 4-d or 5-d tensor has its channels innermost (and not only by size 1)."""
    if t.ndim not in (4, 5) or t.is_contiguous():
        return False
    return t.stride() == channels_last_stride(tuple(t.shape))


def output_like(size: tuple[int, ...], *operands: Any) -> Any:
    """Uninitialised storage in the memory format of the operands."""
    last = len(size) in (4, 5) and any(is_channels_last(t) for t in operands)
    return k.empty(size, operands[0].dtype, channels_last_stride(size) if last else None)


def output_size(
    input_size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, ...]:
    """Spatial output sizes of a convolution."""
    return tuple(
        (n + 2 * p - d * (kk - 1) - 1) // s + 1
        for n, kk, s, p, d in zip(input_size, kernel, stride, padding, dilation, strict=True)
    )


def transposed_size(
    input_size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
) -> tuple[int, ...]:
    """Spatial output sizes of a transposed convolution."""
    return tuple(
        (n - 1) * s - 2 * p + d * (kk - 1) + o + 1
        for n, kk, s, p, d, o in zip(
            input_size, kernel, stride, padding, dilation, output_padding, strict=True
        )
    )


def _spread(values: Sequence[int], count: int) -> tuple[int, ...]:
    return tuple(values) * count if len(values) == 1 else tuple(values)


def _check(
    input: Any,
    weight: Any,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> None:
    if any(p < 0 for p in padding):
        raise RuntimeError("negative padding is not supported")
    if any(p < 0 for p in output_padding):
        raise RuntimeError("negative output_padding is not supported")
    if any(s <= 0 for s in stride):
        raise RuntimeError("non-positive stride is not supported")
    if any(d <= 0 for d in dilation):
        raise RuntimeError("dilation should be greater than zero")
    if groups <= 0:
        raise RuntimeError("expected groups to be greater than 0, but got groups=" + str(groups))
    if weight.ndim != input.ndim:
        raise RuntimeError(
            f"Expected {weight.ndim - 1}D (unbatched) or {weight.ndim}D (batched) input to "
            f"conv{'_transpose' if transposed else ''}{weight.ndim - 2}d, but got input of size: "
            f"{list(input.shape)}"
        )
    if input.dtype is not weight.dtype or (bias is not None and bias.dtype is not input.dtype):
        other = weight if input.dtype is not weight.dtype else bias
        what = "weight" if other is weight else "bias"
        raise RuntimeError(
            f"Input type (torch.{scalar_name(input.dtype)}Tensor) and {what} type "
            f"(torch.{scalar_name(other.dtype)}Tensor) should be the same"
        )
    size, shape = list(weight.shape), list(input.shape)
    if weight.shape[0] < groups or weight.shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            "got "
            f"weight of size {size} instead"
            if weight.shape[0] < groups
            else f"Given groups={groups}, expected weight to be divisible by {groups} at "
            "dimension 0, "
            f"but got weight of size {size} instead"
        )
    expected = weight.shape[0] if transposed else weight.shape[1] * groups
    if input.shape[1] != expected:
        prefix = "Given transposed=1, weight" if transposed else f"Given groups={groups}, weight"
        raise RuntimeError(
            f"{prefix} of size {size}, expected input{shape} to have {expected} channels, but got "
            f"{input.shape[1]} channels instead"
        )
    channels = weight.shape[1] * groups if transposed else weight.shape[0]
    if bias is not None and (bias.ndim != 1 or bias.shape[0] != channels):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {size}, "
            f"expected bias to be 1-dimensional with {channels} elements, but got bias of size "
            f"{list(bias.shape)} instead"
        )
    if transposed:
        _check_output_padding(output_padding, stride, dilation)
    else:
        _check_kernel_fits(input, weight, padding, dilation)


def _check_output_padding(
    output_padding: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> None:
    triples = list(zip(output_padding, stride, dilation, strict=True))
    if all(extra < step or extra < spread for extra, step, spread in triples):
        return
    if len(triples) == 1:
        triples.insert(0, (0, 1, 1))  # torch runs one dim as two
    dims = ("depth", "height", "width")[-len(triples) :]
    names = ("output_padding", "stride", "dilation")
    listed = " ".join(
        f"{name}_{dim}: {triple[i]}"
        for i, name in enumerate(names)
        for dim, triple in zip(dims, triples, strict=True)
    )
    raise RuntimeError(
        f"output padding must be smaller than either stride or dilation, but got {listed}"
    )


def _check_kernel_fits(
    input: Any, weight: Any, padding: Sequence[int], dilation: Sequence[int]
) -> None:
    padded = [n + 2 * p for n, p in zip(input.shape[2:], padding, strict=True)]
    kernel = [d * (n - 1) + 1 for n, d in zip(weight.shape[2:], dilation, strict=True)]
    if any(a < b for a, b in zip(padded, kernel, strict=True)):
        raise RuntimeError(
            "Calculated padded input size per channel: "
            f"({' x '.join(map(str, padded))}). Kernel size: ({' x '.join(map(str, kernel))}). "
            "Kernel size can't be greater than actual input size"
        )


def _gradients(
    grad: Any,
    input: Any,
    weight: Any,
    bias_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    needs: tuple[bool, ...],
) -> tuple[Any, ...]:
    needs = (*needs[:2], needs[2] and bias_size is not None)
    grads = FUNCTIONS["convolution_backward"](
        grad,
        input,
        weight,
        stride,
        padding,
        dilation,
        transposed,
        output_padding,
        groups,
        tuple(needs),
    )
    return tuple(g if need else None for g, need in zip(grads, needs, strict=True))


@op(
    "convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] "
    "dilation, bool transposed, int[] output_padding, int groups) -> Tensor",
    family="conv",
    method=False,
    vjp={
        "input, weight, bias": _gradients,
    },
)
def convolution(
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Any:
    """Convolution over one to three spatial dimensions: input (N, C, *), weight (O, C / groups, *),
    bias (O). Transposed, the weight is (C, O / groups, *).
    """
    count = weight.ndim - 2
    stride, padding = _spread(stride, count), _spread(padding, count)
    dilation, output_padding = _spread(dilation, count), _spread(output_padding, count)
    _check(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)
    kernel = weight.shape[2:]
    geometry = _geometry(stride, padding, dilation, groups)
    if transposed:
        sizes = transposed_size(input.shape[2:], kernel, stride, padding, dilation, output_padding)
        if any(n <= 0 for n in sizes):
            raise RuntimeError(
                f"Given input size per channel: ({' x '.join(map(str, input.shape[2:]))}). "
                f"Calculated output size per channel: ({' x '.join(map(str, sizes))}). Output "
                "size is "
                "too small"
            )
        out = output_like((input.shape[0], weight.shape[1] * groups, *sizes), input, weight)
        if out.numel() == 0:
            return out
        if input.numel() == 0:
            k.fill(out, 0)
        else:
            k.launch(
                "conv_backward_input", spatial(out), spatial(input), spatial(weight), *geometry
            )
        if bias is not None:
            shaped = _C.as_strided(
                bias,
                (bias.shape[0], *(1,) * count),
                (bias.stride(0), *(0,) * count),
                bias.storage_offset(),
            )
            _C.copy_into(out, k.binary("add", out, shaped))
        return out
    sizes = output_size(input.shape[2:], kernel, stride, padding, dilation)
    out = output_like((input.shape[0], weight.shape[0], *sizes), input, weight)
    if out.numel() == 0:
        return out
    if input.shape[1] == 0:
        k.fill(out, 0)
        return out
    k.launch("conv", spatial(out), spatial(input), spatial(weight), bias, *geometry)
    return out


def _double_backward(
    grads: Any,
    grad_output: Any,
    input: Any,
    weight: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> tuple[Any, Any, Any]:
    """The backward pass is linear in the output's gradient and in either operand."""
    gi, gw, gb = (None if g is None or tuple(g.shape) == (0,) else g for g in grads)
    call = FUNCTIONS["convolution"]
    rest = (stride, padding, dilation, transposed, output_padding, groups)
    grad_grad, grad_input, grad_weight = None, None, None

    def plus(total: Any, value: Any) -> Any:
        return value if total is None else total + value

    if gi is not None:
        grad_grad = plus(grad_grad, call(gi, weight, None, *rest))
        _, by_weight, _ = FUNCTIONS["convolution_backward"](
            grad_output, gi, weight, *rest, (False, True, False)
        )
        grad_weight = plus(grad_weight, by_weight)
    if gw is not None:
        grad_grad = plus(grad_grad, call(input, gw, None, *rest))
        by_input, _, _ = FUNCTIONS["convolution_backward"](
            grad_output, input, gw, *rest, (True, False, False)
        )
        grad_input = plus(grad_input, by_input)
    if gb is not None:
        shape = (1, -1, *(1,) * (grad_output.ndim - 2))
        grad_grad = plus(grad_grad, gb.reshape(shape).expand(tuple(grad_output.shape)))
    return grad_grad, grad_input, grad_weight


@op(
    "convolution_backward(Tensor grad_output, Tensor input, Tensor weight, int[] stride, int[] "
    "padding, int[] dilation, bool transposed, int[] output_padding, int groups, bool[3] "
    "output_mask)"
    " -> (Tensor, Tensor, Tensor)",
    family="conv",
    method=False,
    vjp={
        "grad_output, input, weight": _double_backward,
    },
)
def convolution_backward(
    grad_output: Any,
    input: Any,
    weight: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    output_mask: Any,
) -> tuple[Any, Any, Any]:
    """The gradients of `convolution` for input, weight and bias: those in ``output_mask``."""
    count = weight.ndim - 2
    stride, padding, dilation = (_spread(v, count) for v in (stride, padding, dilation))
    geometry = _geometry(stride, padding, dilation, groups)
    need_input, need_weight, need_bias = output_mask
    grad_input = output_like(tuple(input.shape), input, weight) if need_input else k.empty((0,))
    grad_weight = k.empty(tuple(weight.shape), weight.dtype) if need_weight else k.empty((0,))
    channels = grad_output.shape[1]
    grad_bias = k.empty((channels,), grad_output.dtype) if need_bias else k.empty((0,))
    if grad_output.numel() == 0 or input.numel() == 0:
        return tuple(k.fill(t, 0) for t in (grad_input, grad_weight, grad_bias))  # type: ignore[return-value]
    if need_input:
        if transposed:
            k.launch(
                "conv", spatial(grad_input), spatial(grad_output), spatial(weight), None, *geometry
            )
        else:
            k.launch(
                "conv_backward_input",
                spatial(grad_input),
                spatial(grad_output),
                spatial(weight),
                *geometry,
            )
    if need_weight or need_bias:
        weight_out = spatial(grad_weight) if need_weight else None
        if transposed:
            if need_weight:
                k.launch(
                    "conv_backward_weight",
                    weight_out,
                    None,
                    spatial(input),
                    spatial(grad_output),
                    *geometry,
                )
            if need_bias:
                dims = (0, *range(2, grad_output.ndim))
                grad_bias = _C.reduce(grad_output, _C.REDUCE["sum"], dims)
        else:
            k.launch(
                "conv_backward_weight",
                weight_out,
                grad_bias if need_bias else None,
                spatial(grad_output),
                spatial(input),
                *geometry,
            )
    return grad_input, grad_weight, grad_bias
